package rollout

import (
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// A record is about a service in one stack. What was good, rejected and migrated there says nothing about another one, which has another
// ECS service and, as far as anybody knows, another database. Where git names another stack, what has touched the old one goes to its
// end first, under the word that git said before; then the service begins in the new one as if it were seen for the first time.

// Heeding is the word that counts in this pass: git's, unless it names another stack while something is in flight in one that is there.
func (w Want) Heeding(rec Record) Want {
	gone := false
	if t := rec.Trouble; t != nil {
		why := fault.Reason(fault.Kind(t.Kind), t.Code)
		gone = why == fault.ReasonStackMissing || why == fault.ReasonClusterMissing
	}
	// What was judged is written down in the account before it is left: for a service that comes back nothing else knows of it.
	judged := rec.hasBegun() && contains([]string{saidGood, saidServesAgain, saidWritesDown}, rec.Said)
	if (rec.Rollout != nil || judged) && !gone && rec.leavesFor(w.Intent) {
		w.Intent, w.Moves = rec.Intent, w.Intent.Service.Spec.Stack
	}
	return w
}

// hasBegun reports whether a rollout was ever begun in this stack: until then the record knows what the service's tags say, and no more.
func (r Record) hasBegun() bool { return r.Generation > int(r.Came) }

// leavesFor reports whether git names another stack than the record is about.
func (r Record) leavesFor(next *Intent) bool {
	return next != nil && r.Intent != nil && r.Intent.Service.Spec.Stack != next.Service.Spec.Stack
}

// moved is the record in the stack that git names now. A migration whose outcome is not known keeps its lock and stays refused: its
// task may be running, and whether the new stack has the same database only a person knows, who says so once it is there.
func moved(in Input, rec Record) (Record, []Entry) {
	var history []Entry
	if !rec.leavesFor(in.Want.Intent) {
		return rec, nil
	}
	if rec.Rollout != nil {
		rec, history = leave(in, rec, in.Want.Intent.Service.Spec.Stack)
	}
	if rec.Lost != nil { // a word that comes together with the stack may be older than the loss
		rec.Intent = in.Want.Intent
		rec.Lost = copied(rec.Lost)
		rec.Lost.Retry, rec.Lost.Assume = rec.retry(), rec.assumption()
	}
	return Record{
		Schema: rec.Schema, Service: rec.Service, Version: rec.Version, Generation: rec.Generation, Came: int32(rec.Generation),
		Lost: rec.Lost, Unsettled: rec.Unsettled, Queued: rec.Queued, State: rec.State, Since: rec.Since,
	}, history
}

// left is the end in a stack that git does not name any more, with nothing in flight: what must not be lost is written down there, then
// the old stack is left. The new one was not looked at in this pass.
func left(in Input, rec Record) Decision {
	if in.Seen.Status == observed.StatusActive && rec.hasBegun() {
		if rec.Good != nil && !in.Look.Parameter {
			return Decision{Record: rec, Look: &observed.Look{Parameter: true, Revisions: []string{rec.Good.Revision}}}
		}
		if a := due(in, rec); a != nil {
			return act(in, rec, sayWritesDown(written(a), StateWritingDown), a)
		}
	}
	return wait(in, rec, sayMoves(in.Want.Moves), in.Now)
}

// leave gives up what is in flight in a stack that is gone, or whose service is.
func leave(in Input, rec Record, next string) (Record, []Entry) {
	entry := rec.entry(in.Now, ResultSuperseded, "git names the stack "+next+", and what the one before had is gone")
	if run := rec.Rollout.Migration; run != nil && rec.Rollout.Stage == StageMigrate && run.asked() {
		rec = lose(rec, Lost{Key: run.Key, Lock: run.Lock, Task: run.Task})
	}
	rec.Rollout = nil
	return rec, []Entry{entry}
}

// leaves ends what is in flight in a stack that git does not name any more where its service is gone. A migration that runs is watched
// all the same.
func leaves(in Input, rec Record) (Decision, bool) {
	run := rec.Rollout.Migration
	if in.Want.Moves == "" || in.Seen.Status == observed.StatusActive || rec.Rollout.Stage == StageMigrate && run != nil && run.Task != "" {
		return Decision{}, false
	}
	if !in.Look.Fresh { // one short answer ends nothing
		return Decision{Record: rec, Look: &observed.Look{Fresh: true}}, true
	}
	rec, history := leave(in, rec, in.Want.Moves)
	d := wait(in, rec, sayMoves(in.Want.Moves), in.Now)
	d.History = history
	return d, true
}

// asked reports whether a task of the migration may have been started.
func (m *Migration) asked() bool {
	return m.Task != "" || !m.UnsureSince.IsZero() || m.Requests > 0 && !m.Refused
}
