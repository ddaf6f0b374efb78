package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// A way back that may not be looked at is told before it is needed: the next version would not be begun. What passes by itself is not told.
func TestAWayBackThatMayNotBeLookedAtIsTold(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	unseen := func(kind fault.Kind) {
		w.t.Helper()
		delete(w.seen.Startable, td(1))
		w.seen.Missing = []observed.Missing{{Fact: observed.FactStartable, Kind: string(kind), Message: "AccessDeniedException: no"}}
	}
	unseen(fault.Throttled)
	w.after(wayBackEvery + time.Minute).rest(2)
	w.state(StateSettled)
	if w.rec.Said != "Runs" {
		t.Errorf("throttled: %s", w.rec.Why)
	}
	unseen(fault.Blocked)
	w.after(wayBackAgain).rest(2)
	w.state(StateSettled)
	if !strings.Contains(w.rec.Why, "AccessDeniedException: no") || w.rec.Said == "Runs" {
		t.Errorf("denied: %s", w.rec.Why)
	}
	w.seen.Missing, w.seen.Startable[td(1)] = nil, observed.Startable{OK: true}
	w.after(wayBackAgain).rest(2)
	if w.rec.Said != "Runs" {
		t.Errorf("allowed again: %s", w.rec.Why)
	}
}
