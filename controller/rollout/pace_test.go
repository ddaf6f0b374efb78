package rollout

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
)

// Services that roll are looked at together: whenever the last pass was, the next look is on the same grid, half a watch to one and
// a half from now.
func TestLooksComeTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		watch := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Minute)).Draw(t, "watch"))
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		in := Input{Now: now, Want: Want{Pace: Pace{Watch: watch}}}
		at := in.watchAt()
		if d := at.Sub(now); d < watch/2 || d > watch*3/2+1 {
			t.Errorf("the next look is %s from now, at a pace of %s", d, watch)
		}
		if !at.Truncate(watch).Equal(at) {
			t.Errorf("%s is not on the grid of %s", at, watch)
		}
		if next := (Input{Now: at, Want: in.Want}).watchAt(); next.Sub(at) != watch {
			t.Errorf("the look after it is %s later, want %s", next.Sub(at), watch)
		}
	})
}

// A registration that surely had no effect left nothing that would have to be searched for.
func TestARefusedRegistrationIsNotLookedFor(t *testing.T) {
	for kind, looks := range map[fault.Kind]bool{fault.Throttled: false, fault.Unavailable: false, fault.Lost: true} {
		w := newWalker(t)
		w.want.Intent = intentFor(digestA)
		for range 2 {
			d := w.pass()
			if _, is := d.Action.(Register); !is {
				t.Fatalf("it does %v: %s", d.Action, d.Record.Why)
			}
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(kind, "x", errors.New("no"))).Record
			w.after(10 * time.Minute)
		}
		d := w.pass()
		if r, is := d.Action.(Register); !is || r.Look != looks {
			t.Errorf("after two that ended %s: %+v, want look %t", kind, d.Action, looks)
		}
	}
}

// A deploy that a person keeps from touching the service gives its place up once its migration is over, and asks for one again. One that
// migrates, or waits for anything else, keeps it.
func TestASuspendedDeployGivesItsPlaceUp(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Policy.MaxConcurrentRollouts = 1
	w.want.Intent, w.seen.Migration = intentFor(digestB), nil
	holds := func(when string, want bool) {
		t.Helper()
		if w.rec.HoldsPlace() != want {
			t.Errorf("%s: holds a place %v", when, !want)
		}
	}
	answer[Register](w, Outcome{Revision: td(2)})
	holds("registered", false)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.want.Intent = intentFor(digestB)
	w.want.Intent.Service.Spec.Suspend = &desired.Override{Owner: "kitchen", Reason: "stocktaking", Until: w.now.Add(time.Hour)}
	w.after(5 * time.Second).pass()
	holds("migrating", true)
	w.seen.Migration = ended(0)
	w.rest(1)
	w.state(StateSuspended)
	holds("suspended", false)
	w.want.Intent, w.want.Others = intentFor(digestB), 1
	w.rest(1)
	w.state(StateWaitingConcurrent)
	holds("waits for a place", false)
	w.want.Others = 0
	for range 3 {
		if d := w.pass(); d.Action != nil {
			w.rec = Apply(w.now, w.rec, d.Action, Outcome{Deployment: "ecs-svc/20"})
		}
	}
	w.state(StateRolling)
	holds("rolls", true)
}
