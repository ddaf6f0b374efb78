package rollout

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// A check that lapsed has passed since the first look that shows it passing, so the whole bake is counted from there.
func TestALapseCountsToTheNextLook(t *testing.T) {
	w := toRoll(t)
	w.complete()
	w.after(5 * time.Second).pass(passing())
	w.state(StateBaking)
	w.after(5*time.Second).pass(passing(), observed.Reading{Check: "alarms", Verdict: observed.NoData, Detail: "alarm db-cpu is red and holds the verdict back"})
	again := w.now.Add(10 * time.Second)
	for w.now.Before(again.Add(2*time.Minute - 10*time.Second)) {
		w.after(10*time.Second).pass(passing(), observed.Reading{Check: "alarms", Verdict: observed.Pass})
	}
	if w.now = again.Add(2*time.Minute - time.Second); w.pass(passing(), observed.Reading{Check: "alarms", Verdict: observed.Pass}).History != nil {
		t.Errorf("good %s after the check passes again, want the whole bake of 2m", w.now.Sub(again))
	}
	if w.now = again.Add(2 * time.Minute); w.pass(passing(), observed.Reading{Check: "alarms", Verdict: observed.Pass}).History == nil {
		t.Errorf("not good after the whole bake: %s", w.rec.Why)
	}
}
