package rollout

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// rests lets minutes go by with the readings; tags that are due are written, rolls are answered.
func (w *walker) rests(minutes int, readings ...observed.Reading) {
	w.t.Helper()
	for range minutes {
		w.after(time.Minute)
		w.does(w.pass(readings...).Action)
	}
}

// does has the action come true.
func (w *walker) does(action Action) {
	switch a := action.(type) {
	case nil:
	case Tag:
		w.rec = Apply(w.now, w.rec, a, Outcome{})
		for k, v := range a.Set {
			w.seen.Tags[k] = v
		}
	case Keep:
		w.rec = Apply(w.now, w.rec, a, Outcome{})
		w.seen.Parameter = &a.Revision
	case Roll:
		id := fmt.Sprintf("ecs-svc/%d", 1000+len(w.done))
		w.rec = Apply(w.now, w.rec, a, Outcome{Deployment: id})
		w.deploy(id, a.Revision, observed.RolloutInProgress)
	case Register:
		arn := td(100 + len(w.done))
		w.rec = Apply(w.now, w.rec, a, Outcome{Revision: arn})
		w.seen.Revisions[arn] = observed.Revision{ARN: arn, Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint, Commit: a.Commit}
		w.seen.Startable[arn] = observed.Startable{OK: true}
	case RunMigration:
		w.rec = Apply(w.now, w.rec, a, Outcome{Task: "task/m"})
	default:
		w.rec = Apply(w.now, w.rec, a, Outcome{})
	}
}

func (w *walker) rolledTo(revision string, since int) bool {
	for _, a := range w.done[since:] {
		if r, ok := a.(Roll); ok && r.Revision == revision {
			return true
		}
	}
	return false
}

// A revert whose first request was throttled, and which a hold or a stack's update then keeps from being asked for, is asked for once
// that is over: the time in which nothing may be written is none that ECS had.
func TestARevertOutlastsAHold(t *testing.T) {
	for name, c := range map[string]struct{ begin, end func(*walker) }{
		"outage": {func(w *walker) { // nothing answers: no pass comes to a decision
			for range 20 {
				w.rec = Failed(w.after(time.Minute).now, w.rec, nil, fault.New("", "ServerException", errors.New("500"))).Record
			}
			w.after(3 * time.Minute)
		}, func(*walker) {}},
		"hold":  {func(w *walker) { w.seen.Tags[TagHold] = "ops/" + w.now.Add(20*time.Minute).Format(time.RFC3339) }, func(w *walker) { delete(w.seen.Tags, TagHold) }},
		"stack": {func(w *walker) { w.seen.Stack.InProgress, w.seen.Stack.Status = true, "UPDATE_IN_PROGRESS" }, func(w *walker) { w.seen.Stack.InProgress, w.seen.Stack.Status = false, "UPDATE_COMPLETE" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t)
			w.good(digestA, 1)
			w.fallsOver(digestB, 2)
			d := w.pass()
			if _, ok := d.Action.(Roll); !ok {
				t.Fatalf("did %T", d.Action)
			}
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Throttled, "ThrottlingException", errors.New("Rate exceeded"))).Record
			since := len(w.done)
			c.begin(w)
			if name != "outage" {
				w.rests(20)
			}
			c.end(w)
			w.rests(3, under())
			if !w.rolledTo(td(1), since) {
				t.Errorf("the rejected version goes on serving: %s: %s (%s)", w.rec.State, w.rec.Why, w.rec.Next)
			}
		})
	}
}

// What git asks may not begin yet. Then the last good version is what is to serve, and what CloudFormation, or a person, put in its place is
// put right as ever.
func TestDriftWhileTheNewestWaits(t *testing.T) {
	for name, waits := range map[string]func(*walker){
		"window": func(w *walker) {
			w.want.Policy.Windows = []desired.Window{{Days: []string{"sat"}, From: "10:00", To: "11:00", Timezone: "UTC"}}
		},
		"image":      func(w *walker) { w.unpushed = true },
		"dependency": func(w *walker) { w.want.Waiting = []string{"menus"} },
	} {
		for _, stack := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, stack %v", name, stack), func(t *testing.T) {
				w := newWalker(t)
				w.good(digestA, 1)
				w.want.Intent = intentFor(digestB)
				waits(w)
				w.rests(10)
				w.deploy("ecs-svc/99", tdInfra, observed.RolloutInProgress)
				w.complete()
				w.seen.Deployments[0].CreatedAt = w.now
				if stack {
					w.seen.Stack.UpdatedAt = w.now
				}
				since := len(w.done)
				w.after(time.Second).pass()
				t.Logf("at once: %s: %s (%s)", w.rec.State, w.rec.Why, w.rec.Next)
				w.rests(60)
				if !w.rolledTo(td(1), since) {
					t.Errorf("an hour later infra:1 serves in place of the last good version: %s: %s (%s)", w.rec.State, w.rec.Why, w.rec.Next)
				}
			})
		}
	}
}

// A version is left for a newer one only where that one may begin, and what the newer one comes to before it touches the service does not
// leave the other to nobody.
func TestNobodyIsLeftToNobody(t *testing.T) {
	t.Run("lock", func(t *testing.T) {
		w := newWalker(t)
		w.good(digestA, 1)
		w.want.Intent = intentFor(digestB)
		w.rolls(2)
		w.after(10 * time.Second).pass(under())
		w.want.Intent, w.want.LockHolder, w.seen.Migration = intentFor(digestC), "menus", nil
		since := len(w.done)
		w.rests(3, under())
		w.rests(240, crashed())
		if !w.rolledTo(td(1), since) {
			t.Errorf("B has crashed for four hours and serves: %s: %s (%s)", w.rec.State, w.rec.Why, w.rec.Next)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		w := newWalker(t)
		w.good(digestA, 1)
		w.want.Intent = intentFor(digestB)
		w.rolls(2)
		w.after(10 * time.Second).pass(under())
		w.want.Intent, w.seen.Migration = intentFor(digestC), nil
		since := len(w.done)
		w.pass(under()) // superseded
		answer[Register](w, Outcome{Revision: td(3)})
		answer[RunMigration](w, Outcome{Task: "task/m"})
		w.seen.Migration = &observed.Task{ARN: "task/m", LastStatus: "STOPPED", DesiredStatus: "STOPPED", StopCode: "UserInitiated", StartedAt: w.now}
		w.rests(240)
		if !w.rolledTo(td(1), since) {
			t.Errorf("B, which nobody judged, serves for four hours: %s: %s (%s)", w.rec.State, w.rec.Why, w.rec.Next)
		}
	})
}

// Git goes back to the last good version while the next one is watched, and the change window has closed meanwhile. What is put back waits for
// no window, so nothing keeps the version that nobody wants any more.
func TestGoingBackWaitsForNoWindow(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.Verify.Bake = desired.Duration(30 * time.Minute)
	w.want.Intent = b
	w.rolls(2)
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.state(StateBaking)
	w.want.Policy.Windows = []desired.Window{{Days: []string{"sat"}, From: "10:00", To: "11:00", Timezone: "UTC"}} // closed now
	w.want.Intent = intentFor(digestA)
	since := len(w.done)
	for range 24 {
		d := w.after(5 * time.Second).pass(passing())
		if _, ok := d.Action.(Roll); ok {
			break
		}
	}
	t.Logf("two minutes later: %s: %s", w.rec.State, w.rec.Why)
	for range 500 {
		if w.rolledTo(td(1), since) {
			return
		}
		w.after(5 * time.Second).pass(passing())
	}
	t.Errorf("%s: %s (%s); good is %s", w.rec.State, w.rec.Why, w.rec.Next, w.rec.Good.Target.Name())
}

// A file that is removed releases its service: what has touched nothing yet is not begun.
func TestRemovedWhileItWaits(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent, w.seen.Migration, w.want.LockHolder = intentFor(digestB), nil, "menus"
	answer[Register](w, Outcome{Revision: td(2)})
	w.rests(3)
	w.state(StateWaitingLock)
	w.want.Intent, w.want.Removed = nil, true
	since := len(w.done)
	w.rests(3)
	w.want.LockHolder = ""
	w.after(time.Minute).pass()
	if len(w.done) > since {
		t.Errorf("its file is gone, and it did %#v", w.done[since])
	}
}

// Git says that a migration may be run again. Where each of its tasks is stopped from outside, it is tried a few times, and then a person is
// asked: it does not go on for ever.
func TestAnIdempotentMigrationComesToAnEnd(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.Migration.Idempotent = true
	w.want.Intent, w.seen.Migration = b, nil
	before, tokens := count[RunMigration](w.done), map[string]bool{}
	for range 720 { // an hour
		w.after(5 * time.Second)
		d := w.pass()
		switch a := d.Action.(type) {
		case Tag:
			w.rec = Apply(w.now, w.rec, a, Outcome{})
			for k, v := range a.Set {
				w.seen.Tags[k] = v
			}
		case Register:
			w.rec = Apply(w.now, w.rec, a, Outcome{Revision: td(2)})
			w.seen.Revisions[td(2)] = observed.Revision{ARN: td(2), Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint, Commit: a.Commit}
			w.seen.Startable[td(2)] = observed.Startable{OK: true}
		case RunMigration:
			tokens[a.Token] = true
			w.rec = Apply(w.now, w.rec, a, Outcome{Task: fmt.Sprintf("task/%d", len(tokens))})
			w.seen.Migration = &observed.Task{ARN: w.rec.Rollout.Migration.Task, LastStatus: "STOPPED", DesiredStatus: "STOPPED", StopCode: "UserInitiated", StoppedReason: "a DBA pulls the plug", StartedAt: w.now}
		}
	}
	if n := count[RunMigration](w.done) - before; n > 2*migrationAttemptsMax {
		t.Errorf("asked for %d tasks in an hour, in %d rollouts: %s: %s (%s)", n, len(w.past)-1, w.rec.State, w.rec.Why, w.rec.Next)
	}
}
