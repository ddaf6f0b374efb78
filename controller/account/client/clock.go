package client

import (
	"sync"
	"time"
)

// skewMax is how far the controller's time may be from the account's. Answers tell theirs in whole seconds, and take a moment on
// their way.
const skewMax = 2 * time.Second

// Clock is the controller's time: that of the account it works in, which the times of tasks, deployments, alarms and log lines are
// of too. It takes the machine's clock once, counts on by one that never jumps, and is set right by the Date of AWS's answers where
// it is off by more than two seconds. Whatever becomes of the machine's clock later changes nothing. It is safe for concurrent use.
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

// Heard is told the Date of an answer, of whole seconds, when it arrives.
func (c *Clock) Heard(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	arrived := time.Now()
	const within = 500 * time.Millisecond // what the whole seconds leave open, to both sides
	theirs := date.Add(within)
	if ours := c.base.Add(arrived.Sub(c.from)); ours.Sub(theirs).Abs() > skewMax+within {
		c.base, c.from = theirs, arrived
	}
}
