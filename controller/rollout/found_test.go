package rollout

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// What the properties have found, each as the shortest walk to it.

func (w *walker) fails(kind fault.Kind) {
	w.t.Helper()
	d := w.pass()
	if d.Action == nil {
		w.t.Fatalf("did nothing; why: %s", d.Record.Why)
	}
	w.rec = Failed(w.now, w.rec, d.Action, fault.New(kind, "Code", fmt.Errorf("no"))).Record
}

// The tasks of before may drain for an hour after the deadline: until then the service is watched, not asked about without pause.
func TestDrainingIsWatchedAtThePace(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.rolls(2)
	w.after(20 * time.Minute)
	d := w.pass(observed.Reading{Check: CheckSteady, Verdict: observed.NoData, Reason: ReasonDraining, Detail: "old tasks drain"})
	w.state(StateRolling)
	if d.WakeAt.Sub(w.now) != w.want.Pace.Watch {
		t.Errorf("looks again in %s", d.WakeAt.Sub(w.now))
	}
}

// The revision is deregistered between its migration and its roll: it is registered anew, and the migration, which succeeded, is
// neither run again nor looked for.
func TestRegisteredAnewAfterItsMigration(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	w.fails(fault.Unknown)
	w.seen.Revisions[td(2)] = observed.Revision{ARN: td(2)}
	w.seen.Startable[td(2)] = observed.Startable{Lacks: observed.LackRevision}
	w.seen.Migration = nil // nobody asks for it
	w.after(time.Minute)
	answer[Register](w, Outcome{Revision: td(3)})
	if roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/30"}); roll.Revision != td(3) || w.rec.Lost != nil {
		t.Errorf("rolled %s, lost %+v", roll.Revision, w.rec.Lost)
	}
}

// git tries a rejected ask once more; that try ends without a verdict. It was the one try.
func TestARetryThatStallsIsOver(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestB, 2)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	w.complete()
	w.pass(passing())
	again := *intentFor(digestB)
	again.Service.Spec.Retry = 1
	w.want.Intent = &again
	w.rest(1)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/22"})
	w.after(20 * time.Minute).pass(under()) // late: nobody's fault
	answer[Roll](w, Outcome{Deployment: "ecs-svc/23"})
	w.complete()
	w.pass(passing())
	rolls := count[Roll](w.done)
	w.rest(20)
	w.state(StateStalled)
	if n := count[Roll](w.done) - rolls; n != 0 {
		t.Errorf("tried %d times more", n)
	}
	third := again
	third.Service.Spec.Retry = 2
	w.want.Intent = &third
	answer[Roll](w, Outcome{Deployment: "ecs-svc/24"})
}

// asksTwice takes git's ask to a migration whose first request had no answer, and whose second is refused.
func asksTwice(t *testing.T, refusal fault.Kind) *walker {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	w.fails(fault.Lost)
	w.after(10 * time.Second).fails(refusal)
	w.after(10 * time.Second)
	return w
}

// One refusal says nothing about the request before it, whose answer never came: its task may be running.
func TestARefusalSaysNothingOfTheRequestBefore(t *testing.T) {
	w := asksTwice(t, fault.Throttled)
	w.want.Intent = intentFor(digestB)
	w.pass()
	if w.rec.Rollout == nil || w.rec.Rollout.Migration == nil || w.rec.HoldsLock() != "db" {
		t.Fatalf("left a migration that may be running: %s", w.rec.Why)
	}
	w = asksTwice(t, fault.Terminal)
	w.want.Intent = intentFor(digestB)
	w.pass()
	w.after(time.Second).pass()
	w.rest(3)
	if n := count[RunMigration](w.done); n != 2 || w.rec.HoldsLock() != "db" {
		t.Errorf("asked for %d migrations, holds %q", n, w.rec.HoldsLock())
	}
}

// A migration that was asked for and never heard of may be running: no other of its lock runs until git says what became of it.
func TestAnUnheardMigrationKeepsItsLock(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprintf("idempotent %v", idempotent), func(t *testing.T) {
			w := newWalker(t)
			w.want.Intent.Service.Spec.Migration.Idempotent = idempotent
			answer[Register](w, Outcome{Revision: td(1)})
			for range 15 {
				d := w.after(5 * time.Minute).pass()
				if d.Action == nil {
					break // given up
				}
				if d.Record.Rollout.Migration.Attempt == 2 {
					// It may run beside itself. The second request is refused; the first may run all the same.
					w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Throttled, "Code", fmt.Errorf("no"))).Record
					break
				}
				w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Lost, "timeout", fmt.Errorf("no answer"))).Record
			}
			w.want.Intent = intentFor(digestB)
			w.after(time.Minute).pass()
			w.after(time.Minute)
			answer[Register](w, Outcome{Revision: td(2)})
			before := count[RunMigration](w.done)
			w.rest(60)
			w.state(StateWaitingLock)
			if n := count[RunMigration](w.done) - before; n != 0 || w.rec.HoldsLock() != "db" {
				t.Fatalf("%d migrations beside one that may be running; holds %q", n, w.rec.HoldsLock())
			}
			told := *intentFor(digestB)
			told.Service.Spec.Migration.Assume = desired.AssumeFailed
			w.want.Intent = &told
			answer[RunMigration](w, Outcome{Task: "task/n"})
			w.seen.Migration = ended(0)
			answer[Tag](w, Outcome{})
			answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
			if w.rec.Lost != nil {
				t.Errorf("still lost: %+v", w.rec.Lost)
			}
		})
	}
}

// A backup of the ledger is put back. The tag names the newest verdict; the older ones, which only the ledger knows, stand.
func TestAnOlderLedgerKeepsItsVerdicts(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.rec.Rejected = []Rejection{{Ask: "v1:older", Rollout: 1}}
	w.seen.Tags[TagRejected], w.seen.Tags[TagCount] = "v1:newer", strconv.Itoa(w.rec.Count+5)
	w.pass()
	if w.rec.RejectionOf("v1:older") == nil || w.rec.RejectionOf("v1:newer") == nil {
		t.Errorf("rejected are %+v", w.rec.Rejected)
	}
}

// git gives the lock another name while the migration runs: the one that is held is held to its end, and by another attempt too.
func TestTheLockOfABegunMigrationStays(t *testing.T) {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	other := *intentFor(digestA)
	other.Service.Spec.Migration.Lock = "another"
	w.want.Intent = &other
	w.seen.Migration = &observed.Task{ARN: "task/m", LastStatus: "STOPPED", StopCode: stopFailedToStart, StoppedReason: "Capacity is unavailable at this time"}
	w.pass()
	w.want.LockHolder = "billing" // of the other lock
	w.after(time.Minute)
	answer[RunMigration](w, Outcome{Task: "task/n"})
	if w.rec.HoldsLock() != "db" {
		t.Errorf("holds %q", w.rec.HoldsLock())
	}
}

// A pause that was written down while the clock was wrong ends when the clock is right again.
func TestAPauseOfAWrongClock(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.rec.Trouble = &Trouble{NextAt: w.now.Add(24 * time.Hour), Attempts: 1, Message: "throttled"}
	if w.pass(); w.rec.Trouble != nil {
		t.Error("still pauses after a failed pass")
	}
	w.want.Intent = intentFor(digestB)
	w.rec.Intent = w.want.Intent
	target, _ := resolve(*w.want.Intent, "repo", Words{{digestB, digestB}})
	w.rec.Blocked = &Hold{Ask: target.Ask, Attempts: 1, Until: w.now.AddDate(1, 0, 0), Message: "no image"}
	answer[Register](w, Outcome{Revision: td(2)})
}

// A number that nobody can count on from is not believed: the tags would count as older than the ledger, or newer, for ever.
func TestACountThatCannotBe(t *testing.T) {
	for _, n := range []string{strconv.Itoa(math.MaxInt), "-7"} {
		w := newWalker(t)
		w.good(digestA, 1)
		w.seen.Tags[TagCount] = n
		w.fallsOver(digestB, 2)
		answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
		if tag := answer[Tag](w, Outcome{}, under()); tag.Set[TagCount] != "4" {
			t.Errorf("after %s counts %s", n, tag.Set[TagCount])
		}
	}
}

// What the ledger says may be impossible. Then nothing is written on its word, nothing panics, and a migration that may be running
// keeps its lock.
func TestARolloutThatCannotBeIsGivenUp(t *testing.T) {
	good, _ := resolve(*intentFor(digestA), "repo", Words{{digestA, digestA}})
	for name, ro := range map[string]Rollout{
		"evidence without a failure": {Stage: StageEvidence, Kind: KindDeploy},
		"a bake of nothing":          {Stage: StageBake, Kind: KindDeploy, Revision: td(2)},
		"a revert to what failed":    {Stage: StageRoll, Kind: KindRevert, Revision: td(2), Target: Target{Ask: "v1:bad"}},
		"no stage":                   {Kind: KindDeploy},
		"no kind":                    {Stage: StageRoll},
		"no revision":                {Stage: StageRoll, Kind: KindDeploy},
		"unmigrated":                 {Stage: StageRoll, Kind: KindDeploy, Revision: td(2), Target: Target{Ask: "v1:b", Key: "v1:k", Migration: good.Migration}, Migration: &Migration{Key: "v1:k", Lock: "db", Requests: 1, Task: "task/m"}},
		"another's migration":        {Stage: StageMigrate, Kind: KindDeploy, Revision: td(2), Migration: &Migration{Key: "v1:k", Lock: "db", Requests: 1}},
		"a count beside a good one":  {Stage: StageRoll, Kind: KindUndo, CountWas: -3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t)
			w.good(digestA, 1)
			w.rec.Rollout = &ro
			d := w.pass()
			if d.Action != nil || w.rec.Rollout != nil || len(d.History) != 1 {
				t.Fatalf("did %v, in flight %+v, history %+v", d.Action, w.rec.Rollout, d.History)
			}
			if ro.Migration != nil && w.rec.HoldsLock() != "db" {
				t.Error("the lock is free")
			}
			w.rest(2)
			w.state(StateSettled)
		})
	}
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	target, _ := resolve(*w.want.Intent, "repo", Words{{digestB, digestB}})
	w.rec.Blocked = &Hold{Ask: target.Ask}
	w.rolls(2)
	w.pass(observed.Reading{Check: CheckSteady, Verdict: observed.Fail, Class: observed.ClassBlocked, Detail: "no secret"})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	w.complete()
	w.rec.Blocked.Attempts = 0
	w.pass(passing())
}
