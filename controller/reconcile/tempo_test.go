package reconcile

import (
	"fmt"
	"testing"
	"time"
)

func TestTempo(t *testing.T) {
	var tm tempo
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	if got := tm.begins("first", now); got != 0 {
		t.Errorf("with nothing measured it is %s behind", got)
	}
	// Every turn comes 90 s late.
	for i := range 100 {
		service := fmt.Sprint(i % 50)
		tm.ends(service, true, now)
		tm.begins(service, now.Add(90*time.Second))
	}
	if got := tm.behind; got < 80*time.Second || got > 90*time.Second {
		t.Errorf("every look is 90 s late, and it is %s behind", got)
	}
	// One service that nobody could look at for hours says little of all.
	tm.ends("lost", true, now)
	if got := tm.begins("lost", now.Add(5*time.Hour)); got > 90*time.Second+tempoMax/tempoWeight {
		t.Errorf("one was late, and it is %s behind", got)
	}
	for range 100 {
		tm.ends("quick", true, now)
		tm.begins("quick", now.Add(-time.Second)) // woken before it was due
	}
	if got := tm.behind; got > time.Second {
		t.Errorf("all are in time again, and it is %s behind", got)
	}
	tm.ends("settled", false, now)
	if len(tm.due) > 0 {
		t.Errorf("what is settled is remembered: %v", tm.due)
	}
}
