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
		c.Heard(time.Now().Truncate(time.Second))
		if off().Abs() > time.Second {
			t.Errorf("after an answer it is %s off", off())
		}
		for _, wrong = range []time.Duration{time.Hour, 0, -2 * time.Hour} {
			was := off()
			time.Sleep(1700 * time.Millisecond)
			c.Heard(time.Now().Truncate(time.Second))
			if off() != was {
				t.Errorf("the machine's clock jumps to %s off, and the controller's from %s to %s", wrong, was, off())
			}
		}
		// Half a second on its way and the whole seconds are no reason to be set.
		was := off()
		date := time.Now().Truncate(time.Second)
		time.Sleep(900 * time.Millisecond)
		if c.Heard(date); off() != was {
			t.Errorf("a late answer sets it from %s to %s", was, off())
		}
		// A machine that slept: what never jumps stood still meanwhile.
		if c.Heard(time.Now().Add(10 * time.Minute)); (off() - 10*time.Minute).Abs() > time.Second {
			t.Errorf("after a sleep of ten minutes it is %s off, want ten minutes", off())
		}
	})
}
