package wire

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Fault is one way a call goes wrong. Its zero matches every call and does nothing.
type Fault struct {
	Service   string // signing name; empty: any
	Operation string // empty: any
	When      func(*Call) bool

	From  int // the first matching call that is hit, counted from when the fault was added; 0 and 1 are the first
	Times int // how many calls are hit; 0: all

	Delay  time.Duration       // waited before the effect; the client's ctx ends it
	Before error               // answered instead of the effect
	Refuse func(c *Call) error // the same, made from what was asked; nil lets the call pass
	After  error               // answered after the effect; middleware around it sees both, where there was one

	// Change makes another answer of the one that came, a pointer to the SDK's output type.
	Change func(c *Call, out any) any
}

// Faults is a set of faults that can change while calls run. The zero value has none.
type Faults struct {
	mu     sync.Mutex
	faults []*armed
}

type armed struct {
	Fault
	seen int
}

// Add arms faults; all that match a call apply to it, in the order in which they were added.
func (f *Faults) Add(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.faults = append(f.faults, &armed{Fault: fault})
	}
}

// Arm arms one fault until disarm is called.
func (f *Faults) Arm(fault Fault) (disarm func()) {
	one := &armed{Fault: fault}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, one)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.faults = slices.DeleteFunc(f.faults, func(a *armed) bool { return a == one })
	}
}

// Clear disarms everything.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Middleware applies the faults.
func (f *Faults) Middleware() Middleware {
	return func(next Next) Next {
		return func(ctx context.Context, c *Call) (any, error) {
			hits := f.hits(c)
			for _, h := range hits {
				if err := wait(ctx, h.Delay); err != nil {
					return nil, err
				}
				if h.Before != nil {
					return nil, h.Before
				}
				if h.Refuse == nil {
					continue
				}
				if err := h.Refuse(c); err != nil {
					return nil, err
				}
			}
			out, err := next(ctx, c)
			for _, h := range hits {
				if h.After != nil {
					return out, h.After
				}
				if h.Change != nil && err == nil {
					out = h.Change(c, out)
				}
			}
			return out, err
		}
	}
}

func (f *Faults) hits(c *Call) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hits []Fault
	for _, a := range f.faults {
		if (a.Service != "" && a.Service != c.Service) || (a.Operation != "" && a.Operation != c.Operation) ||
			(a.When != nil && !a.When(c)) {
			continue
		}
		a.seen++
		from := max(a.From, 1)
		if a.seen >= from && (a.Times == 0 || a.seen < from+a.Times) {
			hits = append(hits, a.Fault)
		}
	}
	return hits
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
