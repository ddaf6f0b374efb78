package client

import (
	"sync"
	"time"
)

// Clock is the controller's time: that of the account it works in, which the times of tasks, deployments, alarms and log lines are
// of too. It takes the machine's clock once, counts on by one that never jumps, and is set right where the Date of an answer shows
// that it is wrong: then it is the account's or up to a second behind it, never ahead, and comes closer with each answer. Whatever
// becomes of the machine's clock later changes nothing. It is safe for concurrent use.
type Clock struct {
	mu   sync.Mutex
	base time.Time // what Now was at from
	from time.Time // with the reading that never jumps
}

// NewClock begins with what the machine says the time is; nil is time.Now.
func NewClock(machine func() time.Time) *Clock {
	if machine == nil {
		machine = time.Now
	}
	return &Clock{base: machine(), from: time.Now()}
}

// Now is the controller's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Since(c.from))
}

// Heard is told the Date of an answer, of whole seconds, when it arrives, and when its request was sent. AWS wrote the Date between
// the two.
func (c *Clock) Heard(date, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	arrived := time.Now()
	ours := func(t time.Time) time.Time { return c.base.Add(t.Sub(c.from)) }
	ahead, behind := !ours(sent).Before(date.Add(time.Second)), ours(arrived).Before(date)
	if ahead || behind {
		c.base, c.from = date, arrived
	}
}
