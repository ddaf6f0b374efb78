package reconcile

import (
	"slices"
	"testing"
	"time"
)

// Who rolls no more makes room for those that have waited longest, as many as the limit leaves room for; without a limit nobody was
// kept waiting, and nobody is woken.
func TestTurns(t *testing.T) {
	for limit, want := range map[int][]string{0: nil, 1: nil, 2: {"c"}, 3: {"c", "b"}, 9: {"c", "b"}} {
		f := NewFleet()
		now := time.Now()
		f.set("b", member{waiting: true, queued: now})
		f.set("c", member{waiting: true, queued: now.Add(-time.Minute)})
		f.set("d", member{rolling: true})
		f.set("e", member{rolling: true})
		if got := f.turns(limit); got != nil {
			t.Errorf("limit %d: nobody has made room, and it is the turn of %v", limit, got)
		}
		f.set("e", member{})
		if got := f.turns(limit); !slices.Equal(got, want) {
			t.Errorf("limit %d: it is the turn of %v, want %v", limit, got, want)
		}
		if got := f.turns(limit); got != nil {
			t.Errorf("limit %d: once more it is the turn of %v", limit, got)
		}
	}
}
