package rollout

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

const tdElsewhere = "arn:aws:ecs:eu-central-1:000000000000:task-definition/elsewhere:1"

// moves lets git name another stack, whose service is as its infrastructure has made it.
func (w *walker) moves(digest string) {
	there := newWalker(w.t).seen
	there.Stack.Name, there.TaskDefinition = "orders-next", tdElsewhere
	there.Deployments = []observed.Deployment{{ID: "ecs-svc/9000", Primary: true, TaskDefinition: tdElsewhere, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
	w.elsewhere = map[string]observed.Service{"orders-next": there}
	w.want.Intent = intentFor(digest)
	w.want.Intent.Commit.SHA = strings.Repeat("d", 40)
	w.want.Intent.Service.Spec.Stack = "orders-next"
}

// untilIn lets passes go by until the other stack is looked at. What they do comes true.
func (w *walker) untilIn(stack string, readings ...observed.Reading) {
	w.t.Helper()
	for range 100 {
		a := w.after(5 * time.Second).pass(readings...).Action
		if w.seen.Stack.Name == stack {
			return
		}
		if w.does(a); a != nil && a.Name() == (Roll{}).Name() {
			w.complete()
			readings = []observed.Reading{passing()}
		}
	}
	w.t.Fatalf("never looks at %s: %s", stack, w.rec.Why)
}

// migrates takes what git asks up to the end of its migration, as revision n.
func (w *walker) migrates(n, code int) {
	w.t.Helper()
	answer[Register](w, Outcome{Revision: td(n)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(code)
}

func (w *walker) in(stack string) {
	w.t.Helper()
	if w.seen.Stack.Name != stack {
		w.t.Fatalf("looks at the stack %s, want %s; why: %s", w.seen.Stack.Name, stack, w.rec.Why)
	}
}

// A service in another stack has another database, of which nothing is known: the migration of the very same version runs there, and
// what was good in the old stack is no way back.
func TestAnotherStackIsAnotherPlace(t *testing.T) {
	w := newWalker(t)
	w.good(digestB, 1)
	w.good(digestA, 2)
	w.moves(digestA)
	w.after(time.Minute).rolls(3)
	w.in("orders-next")
	if w.rec.Good != nil || w.rec.Rollout.Number != 3 || !w.rec.Rollout.First {
		t.Errorf("takes over: good %v, rollout %d, first %t", w.rec.Good, w.rec.Rollout.Number, w.rec.Rollout.First)
	}
	tokens := map[string]bool{}
	for _, a := range w.done {
		if m, is := a.(RunMigration); is {
			tokens[m.Token] = true
		}
	}
	if len(tokens) != 3 { // ECS answers a token that it knows with the task of before
		t.Errorf("three migrations are asked for under %d tokens", len(tokens))
	}
	since := len(w.done)
	w.after(5 * time.Second).pass(under())
	w.after(5 * time.Second).pass(crashed())
	w.seen.Desired = 2
	w.rests(10, crashed())
	if w.rolledTo(td(1), since) || w.rolledTo(td(2), since) || w.rec.RejectionOf(w.past[len(w.past)-1].Ask) == nil {
		t.Errorf("goes back to what was good elsewhere, or has no verdict: %v; %s", w.done[since:], w.rec.Why)
	}
}

// What was rejected in the old stack is tried in the new one, and what the tags of the new one's service say is believed: somebody
// moves back.
func TestTheTagsOfAnotherStackCount(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	ask, key := w.rec.Good.Target.Ask, w.rec.Migrated[0]
	print := fingerprint(ask, *w.seen.Template, nil)
	w.moves(digestA)
	there := w.elsewhere["orders-next"]
	there.Tags = map[string]string{TagGood: td(7), TagMigrated: key, TagCount: "41"}
	there.Revisions = map[string]observed.Revision{td(7): {ARN: td(7), Active: true, Ask: ask, Fingerprint: print}}
	there.Startable = map[string]observed.Startable{td(7): {OK: true}}
	there.TaskDefinition, there.Deployments[0].TaskDefinition = td(7), td(7)
	w.elsewhere["orders-next"] = there
	since := len(w.done)
	w.rest(3)
	w.in("orders-next")
	w.state(StateSettled)
	if w.rec.Good == nil || w.rec.Good.Revision != td(7) || w.rec.Count < 41 || count[Roll](w.done[since:])+count[RunMigration](w.done[since:]) > 0 {
		t.Errorf("good %v, count %d, did %v", w.rec.Good, w.rec.Count, w.done[since:])
	}
}

// What has touched the old stack's service goes to its verdict there, under the word that git said before.
func TestWhatIsInFlightEndsInItsStack(t *testing.T) {
	for result, reading := range map[Result]observed.Reading{ResultSucceeded: passing(), ResultReverted: crashed()} {
		t.Run(string(result), func(t *testing.T) {
			w := newWalker(t)
			w.good(digestA, 1)
			w.want.Intent = intentFor(digestB)
			w.rolls(2)
			w.moves(digestC)
			w.after(20 * time.Second).complete()
			w.untilIn("orders-next", reading)
			if last := w.past[len(w.past)-1]; last.Result != result {
				t.Errorf("ended as %s: %s", last.Result, last.Message)
			}
		})
	}
}

// What has touched nothing yet, or what has lost its service or its stack, is left at once.
func TestWhatCannotEndInItsStackIsLeft(t *testing.T) {
	for name, before := range map[string]func(*walker){
		"untouched": func(w *walker) {
			answer[Register](w, Outcome{Revision: td(2)})
		},
		"service gone": func(w *walker) {
			w.rolls(2)
			w.seen.Status, w.seen.Deployments = observed.StatusMissing, nil
		},
		"stack gone": func(w *walker) {
			w.rolls(2)
			w.rec = Failed(w.now, w.rec, nil, fault.New(fault.Blocked, "stack_missing", errors.New("no such stack"))).Record
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t)
			w.good(digestA, 1)
			w.want.Intent = intentFor(digestB)
			before(w)
			w.moves(digestC)
			if w.after(5 * time.Second).pass(); w.rec.Rollout != nil && name != "stack gone" {
				t.Fatalf("still in flight: %s", w.rec.Why)
			}
			if name != "stack gone" {
				answer[Register](w, Outcome{Revision: td(3)})
			} else {
				w.rec = Apply(w.now, w.rec, w.done[len(w.done)-1], Outcome{Revision: td(3)})
			}
			answer[RunMigration](w, Outcome{Task: "task/n"})
			w.in("orders-next")
			if last := w.past[len(w.past)-1]; last.Result != ResultSuperseded || !strings.Contains(last.Message, "orders-next") {
				t.Errorf("ended as %s: %s", last.Result, last.Message)
			}
		})
	}
}

// A lost migration's task may be running against a database that the new stack has too: its lock stays held until git says what became
// of it.
func TestALostMigrationKeepsItsLockInAnotherStack(t *testing.T) {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = nil
	w.after(5 * time.Minute).rests(3)
	if w.rec.Lost == nil {
		t.Fatalf("not lost: %s", w.rec.Why)
	}
	w.moves(digestA)
	since := len(w.done)
	w.rests(5)
	w.in("orders-next")
	if w.rec.HoldsLock() != "db" || count[RunMigration](w.done[since:]) > 0 {
		t.Errorf("holds %q, did %v", w.rec.HoldsLock(), w.done[since:])
	}
	w.want.Intent.Service.Spec.Migration.Assume = desired.AssumeFailed
	w.rests(5)
	w.want.Intent.Service.Spec.Migration.Assume = ""
	w.want.Intent.Service.Spec.Retry++
	w.rests(5)
	if count[RunMigration](w.done[since:]) != 1 {
		t.Errorf("git has said that it failed and is to be tried, and it does not run: %s", w.rec.Why)
	}
}

// A deploy that has migrated, and waits for what nobody mends in the old stack any more, is left.
func TestWhatHasMigratedAndMayNotRollIsLeft(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.migrates(2, 0)
	red := observed.Reading{Check: "alarms", Verdict: observed.Fail, Reason: "Unhealthy", Detail: "is red"}
	answer[Tag](w, Outcome{})
	w.after(time.Minute).pass(red)
	w.state(StateWaitingHealth)
	w.moves(digestC)
	w.untilIn("orders-next", red)
}

// What became good in the old stack is written down there before it is left: its parameter is what the stack would deploy.
func TestAVerdictIsWrittenDownBeforeItsStackIsLeft(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	was := td(1)
	w.seen.Parameter = &was
	w.want.Intent = intentFor(digestB)
	w.rolls(2)
	w.moves(digestC)
	w.after(20 * time.Second).complete()
	w.untilIn("orders-next", passing())
	if old := w.elsewhere["orders-dev"]; old.Tags[TagGood] != td(2) || *old.Parameter != td(2) {
		t.Errorf("tag %q, parameter %q; serves %q", old.Tags[TagGood], *old.Parameter, old.TaskDefinition)
	}
}

// What was rejected while git had named another stack already is known to be where git comes back.
func TestWhatWasRejectedInAStackIsNotTriedThereAgain(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.migrates(2, 1)
	w.moves(digestC)
	w.untilIn("orders-next")
	w.want.Intent = intentFor(digestB)
	w.untilIn("orders-dev")
	since := len(w.done)
	w.rests(20)
	w.in("orders-dev")
	if count[RunMigration](w.done[since:]) > 0 {
		t.Errorf("the rejected version's migration ran again: %s", w.rec.Why)
	}
}

// The cluster is another stack's, and gone, while the service's own stack is still there.
func TestWhatIsInAClusterThatIsGoneIsLeft(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.rolls(2)
	w.moves(digestC)
	w.rec = Failed(w.now, w.rec, nil, fault.New(fault.Blocked, "ClusterNotFoundException", errors.New("no such cluster"))).Record
	w.after(time.Hour)
	if want := w.want.Heeding(w.rec); want.Moves != "" {
		t.Errorf("the word before is heeded: %s", w.rec.Why)
	}
}
