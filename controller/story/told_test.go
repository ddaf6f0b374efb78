package story

import (
	"slices"
	"testing"
)

// TestToldKills kills the controller before and after each message and each mark that says how far a receiver was told: after its next
// start both receivers were told the same as by one that was never killed, once in effect and in order (toldWell).
func TestToldKills(t *testing.T) {
	s := read(t, "testdata/told/rejected.txtar")
	undisturbed := tell(t, s, nil)
	if t.Failed() {
		return
	}
	var kills []Kill
	for _, k := range undisturbed.Kills() {
		if !k.Save && slices.Contains([]string{"told", "chat.postMessage", "KeepMark"}, undisturbed.meter.requests[k.Number-1].operation) {
			kills = append(kills, k)
		}
	}
	if len(kills) < 2*(6+6+12) { // two receivers, six messages and as many marks
		t.Fatalf("only %d moments: the story does not reach what it tells", len(kills))
	}
	for i, k := range kills {
		if !sampled(i) {
			continue
		}
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			w := tell(t, s, func(o *Options) { o.Kill = &k })
			if !t.Failed() && w.starts != undisturbed.starts+1 {
				t.Fatalf("the controller was started %d times, want one more than %d", w.starts, undisturbed.starts)
			}
		})
	}
}
