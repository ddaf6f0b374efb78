package client

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockIsTheAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := -time.Hour
		c := NewClock(func() time.Time { return time.Now().Add(wrong).Round(0) })
		off := func() time.Duration { return c.Now().Sub(time.Now()) }
		if off() != wrong {
			t.Errorf("before any answer it is %s off, want the machine's %s", off(), wrong)
		}
		heard := func() {
			sent := time.Now()
			time.Sleep(7 * time.Millisecond)
			date := time.Now().Truncate(time.Second)
			time.Sleep(7 * time.Millisecond)
			c.Heard(date, sent)
		}
		heard()
		if off() > 0 || off() < -1100*time.Millisecond {
			t.Errorf("after an answer it is %s off", off())
		}
		for _, wrong = range []time.Duration{time.Hour, 0, -2 * time.Hour} {
			was := off()
			time.Sleep(1700 * time.Millisecond)
			if heard(); off() < was || off() > 0 {
				t.Errorf("the machine's clock jumps to %s off, and the controller's from %s to %s", wrong, was, off())
			}
		}
		for range 1000 {
			time.Sleep(337 * time.Millisecond)
			heard()
		}
		if off() > 0 || off() < -20*time.Millisecond {
			t.Errorf("after many answers it is %s off", off())
		}
		// An answer that takes long says nothing against it.
		was, sent, date := off(), time.Now(), time.Now().Truncate(time.Second)
		time.Sleep(9 * time.Second)
		if c.Heard(date, sent); off() != was {
			t.Errorf("a late answer sets it from %s to %s", was, off())
		}
		// A machine that slept: what never jumps stood still meanwhile.
		if c.Heard(time.Now().Add(10*time.Minute).Truncate(time.Second), time.Now()); off() < 10*time.Minute-time.Second {
			t.Errorf("after a sleep of ten minutes it is %s off, want ten minutes", off())
		}
	})
}

// A machine whose clock is right is believed, whatever answers say within their second.
func TestClockOfARightMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(nil)
		for range 1000 {
			sent := time.Now()
			time.Sleep(13 * time.Millisecond)
			date := time.Now().Truncate(time.Second)
			time.Sleep(71 * time.Millisecond)
			if c.Heard(date, sent); !c.Now().Equal(time.Now()) {
				t.Fatalf("it is %s off", c.Now().Sub(time.Now()))
			}
		}
	})
}
