package rollout

import (
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

const (
	// tokenFor is how long a repeated RunTask with the same client token surely is the same task: AWS keeps a token for
	// 24 h at most, and for 1 h after the task ended (ECS API reference, "Ensuring idempotency").
	tokenFor = 50 * time.Minute
	// visibleWithin is how long a started task may take to become visible to DescribeTasks (RunTask, "eventual consistency").
	visibleWithin = 5 * time.Minute
	// migrationAttemptsMax bounds how often a task that never ran the program is started again.
	migrationAttemptsMax = 5
)

// migrate runs the migration to its exit code, which alone decides.
func migrate(in Input, rec Record) Decision {
	ro := rec.Rollout
	run := ro.Migration
	switch {
	case rec.SkipsMigration() != SkipNothing:
		// What succeeded is never run or waited for again, though its version may have to be registered anew before its roll.
		return moveOn(rec.enter(in.Now, StageRoll))
	case run == nil:
		return startMigration(in, rec)
	}
	task := in.Seen.Migration
	switch {
	case run.Task == "":
		return requestMigration(in, rec)
	case task == nil:
		return missingMigration(in, rec)
	case !task.Stopped():
		run.Seen = true
		return watchMigration(in, rec)
	}
	run.Seen = true
	return migrationEnded(in, rec, *task)
}

// startMigration begins the run.
func startMigration(in Input, rec Record) Decision {
	ro := rec.Rollout
	m := ro.Target.Migration
	if d, ok := superseded(in, rec); ok {
		return d
	}
	if d, ok := restrained(in, rec); ok {
		return d
	}
	if l := rec.Lost; l != nil && l.Key != ro.Target.Key && (!l.Ended || l.Lock != m.Lock) {
		rec = settledBy(rec, rec.said())
		switch {
		case rec.Lost != nil && !l.Ended:
			return wait(in, rec, sayLockLost(ro.Target.Name(), l.Lock), in.idleAt())
		case rec.Lost != nil:
			return wait(in, rec, sayLockUnknown(ro.Target.Name(), l.Lock), in.idleAt())
		}
	}
	again := m.Idempotent && m.Assume == ""
	if rec.Lost != nil && rec.Lost.Key == ro.Target.Key && !again {
		return lostMigration(in, rec, "nobody saw how its task ended")
	}
	if h := in.Want.LockHolder; h != "" && h != rec.Service {
		return wait(in, rec, sayLockTaken(ro.Target.Name(), m.Lock, h), in.watchAt())
	}
	if contains(rec.unknown(), ro.Target.Key) && !again { // it takes its lock again, once that is free
		return lostMigration(in, lose(rec, Lost{Key: ro.Target.Key, Lock: m.Lock, Ended: true}), "nobody saw how its task ended")
	}
	if d, ok := crowded(in, rec, ro.Target); ok {
		return d
	}
	ro.Migration = newRun(rec, 1)
	ro.Migration.Repeats = rec.Lost != nil && rec.Lost.Key == ro.Target.Key || contains(rec.unknown(), ro.Target.Key)
	return requestMigration(in, rec)
}

func newRun(rec Record, attempt int) *Migration {
	t, lock := rec.Rollout.Target, rec.Rollout.Target.Migration.Lock
	if run := rec.Rollout.Migration; run != nil {
		lock = run.Lock // the one that is held
	}
	return &Migration{Key: t.Key, Lock: lock, Attempt: attempt, Token: token(rec, rec.over())}
}

// requestMigration sends the request, or sends it again: the client token makes it the same task. Only a request whose
// answer never came can have started one, so only that makes the token's age matter.
func requestMigration(in Input, rec Record) Decision {
	ro, run := rec.Rollout, rec.Rollout.Migration
	if run.UnsureSince.IsZero() && (run.Refused || run.Requests == 0) {
		// No task of it can be running, so it need not be waited for. One refusal says nothing about the request before it.
		if d, ok := superseded(in, rec); ok {
			return d
		}
		if late(in, rec) {
			return fail(in, rec, failMigrationUnasked(rec.spec().Rollout.Deadline.Std(), *rec.Trouble))
		}
		if run.Repeats && !ro.Target.Migration.Idempotent { // git has taken back that it does no harm
			if rec.Lost == nil || rec.Lost.Key != run.Key {
				rec = lose(rec, Lost{Key: run.Key, Lock: run.Lock, Ended: true})
			}
			return fail(in, rec, failMigrationLost("nobody saw how its task ended"))
		}
	}
	if in.pauses(run.NotBefore, backoffMax) {
		return wait(in, rec, sayMigrationPauses(ro.Target.Name(), run.NotBefore), run.NotBefore)
	}
	if run.Requests > 0 && !run.Refused && run.UnsureSince.IsZero() {
		run.UnsureSince = run.RequestedAt
	}
	if !run.UnsureSince.IsZero() && in.Now.Sub(run.UnsureSince) > tokenFor {
		return lostMigration(in, rec, "it was asked for, and for too long nobody could ask for the same task again")
	}
	run.Requests++
	run.RequestedAt, run.Refused = in.Now, false
	if run.AskedAt.IsZero() {
		run.AskedAt = in.Now
	}
	m := ro.Target.Migration
	return act(in, rec, sayMigrates(ro.Target.Name()), RunMigration{
		Revision: ro.Revision, Container: m.Container, Command: m.Command, Token: run.Token, Key: run.Key, Timeout: m.Timeout.Std(),
	})
}

// late reports whether ECS has refused the migration for longer than the rollout's deadline. What is missing or forbidden is told
// as blocked and has no deadline: it goes on as soon as somebody has mended it.
func late(in Input, rec Record) bool {
	t, asked := rec.Trouble, rec.Rollout.Migration.AskedAt
	return t != nil && t.Kind != string(fault.Blocked) && !asked.IsZero() && !in.Now.Before(asked.Add(rec.spec().Rollout.Deadline.Std()))
}

// missingMigration tells a task that is not visible yet from one that is not visible any more.
func missingMigration(in Input, rec Record) Decision {
	run := rec.Rollout.Migration
	if m, ok := in.Seen.Lacks(observed.FactMigration); ok {
		return wait(in, rec, sayMigrationUnseen(m.Message), in.watchAt())
	}
	if !run.Seen && in.Now.Before(run.StartedAt.Add(visibleWithin)) {
		return wait(in, rec, sayMigrationRuns(rec.Rollout.Target.Name()), in.watchAt())
	}
	return lostMigration(in, rec, "its task is no longer visible and nobody saw its exit code")
}

// lostMigration never guesses: it runs again only where git says that this does no harm. Until git says what became of
// it, its lock stays held and its key is refused.
func lostMigration(in Input, rec Record, how string) Decision {
	ro := rec.Rollout
	m := ro.Target.Migration
	run := ro.Migration
	word := desired.Assumption("")
	if run == nil { // a word that is there already when it is lost was not said about it
		word = rec.said()
	}
	switch {
	case word == desired.AssumeDone:
		return migrationDone(in, rec)
	case word == desired.AssumeFailed:
		return fail(in, found(rec, ro.Target.Key), failMigrationAssumed())
	case m.Idempotent && run != nil && run.Attempt < migrationAttemptsMax:
		if run.Task == "" {
			rec = lose(rec, Lost{Key: run.Key, Lock: run.Lock}) // it may be running, which does no harm to its like only
		}
		rec = spend(rec)
		ro.Migration = newRun(rec, run.Attempt+1)
		ro.Migration.NotBefore, ro.Migration.Repeats = in.Now.Add(Backoff(run.Attempt)), true
		return moveOn(rec)
	}
	switch {
	case run != nil:
		if run.Task != "" {
			rec = spend(rec) // one that nobody heard of is asked for again under its token, which may find it
		}
		// A task that was seen and is not visible any more, or is STOPPED, runs no more: running ones are always visible.
		rec = lose(rec, Lost{Key: ro.Target.Key, Lock: run.Lock, Task: run.Task, Ended: run.Task != ""})
	case rec.Lost == nil:
		rec = lose(rec, Lost{Key: ro.Target.Key, Lock: m.Lock})
	}
	return fail(in, rec, failMigrationLost(how))
}

func watchMigration(in Input, rec Record) Decision {
	ro, run := rec.Rollout, rec.Rollout.Migration
	if !run.StartedAt.IsZero() {
		run.Deadline = run.StartedAt.Add(ro.Target.Migration.Timeout.Std()) // as git has it now
	}
	if in.Now.Before(run.Deadline) {
		return wait(in, rec, sayMigrationRuns(ro.Target.Name()), sooner(in.watchAt(), run.Deadline))
	}
	say := sayMigrationTooLong(ro.Target.Name(), ro.Target.Migration.Timeout.Std())
	if in.Seen.Migration.DesiredStatus == "STOPPED" {
		return wait(in, rec, say, in.watchAt())
	}
	run.Stopping = true
	d := act(in, rec, say, StopTask{Task: run.Task, Reason: "migration timeout"})
	d.WakeAt = in.watchAt()
	return d
}

// migrationEnded reads the exit code of the named container, never of the first one: sidecars are injected. Only a task
// that ended by itself has said something about the migration.
func migrationEnded(in Input, rec Record, task observed.Task) Decision {
	ro, run := rec.Rollout, rec.Rollout.Migration
	c, found := task.Container(ro.Target.Migration.Container)
	itself := task.StopCode == stopContainerExited
	switch {
	case itself && found && c.Exited && c.ExitCode == 0:
		return migrationDone(in, rec)
	case run.Stopping:
		return fail(in, rec, failMigrationTimeout(ro.Target.Migration.Timeout.Std()))
	case itself && found && c.Exited:
		return fail(in, rec, failMigrationExited(c.ExitCode))
	case task.StopCode == stopFailedToStart, task.StartedAt.IsZero() && !(found && c.Exited):
		return migrationNotStarted(in, rec, Stopped(task))
	}
	return lostMigration(in, rec, "its task was stopped from outside ("+task.StopCode+": "+clip(task.StoppedReason)+")")
}

// migrationNotStarted tries again, since no code of the program's ran.
func migrationNotStarted(in Input, rec Record, stop Stop) Decision {
	rec = spend(rec)
	ro, run := rec.Rollout, rec.Rollout.Migration
	if stop.Class == "" {
		stop = Stop{observed.ClassInfrastructure, "Interrupted", "its task was stopped before it had started"}
	}
	if stop.Class == observed.ClassInfrastructure && run.Attempt < migrationAttemptsMax {
		next := newRun(rec, run.Attempt+1)
		next.AskedAt, next.Repeats = run.AskedAt, run.Repeats
		next.NotBefore = in.Now.Add(Backoff(run.Attempt))
		ro.Migration = next
		return wait(in, rec, sayMigrationAgain(stop.Message), next.NotBefore)
	}
	return fail(in, rec, failMigrationNotStarted(stop))
}

// migrationDone goes on to the roll.
func migrationDone(in Input, rec Record) Decision {
	ro := rec.Rollout
	rec.Migrated = remember(rec.Migrated, ro.Target.Key, migratedMax)
	rec = untried(rec, ro.Target.Key)
	if l := rec.Lost; l != nil && l.Key != ro.Target.Key {
		rec = rec.refuse(l.Key) // its lock is free, and it is refused as before
		rec.Lost = nil
	}
	rec = found(rec, ro.Target.Key)
	if ro.Migration != nil {
		ro.Migration.Log = clipped(in.Seen.MigrationLog, outputLinesMax)
	}
	if breaks(ro.Target) {
		rec = rec.leave(rec.leaves(ro.Target.Ask), ro.Retry)
	}
	return moveOn(rec.enter(in.Now, StageRoll))
}
