package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/canteen/deploy/controller/status"
)

// What readers of pages may cost of the requests that rollouts need as well: three looks at once and one each four seconds after that,
// by all readers together, each of half a dozen requests at most. One that AWS's budgets have no room for within lookFor is given up.
const (
	looksAtOnce = 3
	lookEvery   = 4 * time.Second
	lookFor     = 3 * time.Second
	lookWait    = time.Second      // how long a page waits for it; whoever comes back has it
	lookKept    = 15 * time.Second // how long it is shown to everybody, without another
	looksMax    = 200              // services of which a look is kept
)

// looks are what readers of the services' pages saw of tasks and targets while no rollout was there that looks at them.
type looks struct {
	ask     func(ctx context.Context, service string) (status.Observed, error) // nil where nobody may look
	limiter *rate.Limiter
	mu      sync.Mutex
	kept    map[string]*look
}

// look is one answer. Its members are written before done is closed, and never after it.
type look struct {
	done chan struct{}
	at   time.Time
	seen status.Observed
	err  error
}

func newLooks(ask func(context.Context, string) (status.Observed, error)) *looks {
	return &looks{ask: ask, limiter: rate.NewLimiter(rate.Every(lookEvery), looksAtOnce), kept: map[string]*look{}}
}

// now is the newest look at a service, made for whoever asks where the last is too old and there is room for one; nil where there is
// none yet. It waits for a moment at most.
func (l *looks) now(ctx context.Context, service string) *look {
	if l.ask == nil {
		return nil
	}
	newest, last := l.begin(service)
	if newest == nil {
		return nil
	}
	timer := time.NewTimer(lookWait)
	defer timer.Stop()
	select {
	case <-newest.done:
		return newest
	case <-timer.C:
	case <-ctx.Done():
	}
	if last == nil {
		return nil
	}
	select {
	case <-last.done:
		return last
	default:
		return nil
	}
}

// begin answers the look that is kept or under way, or one that it begins where it may, and then the one before.
func (l *looks) begin(service string) (newest, before *look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.kept[service]
	if last != nil && time.Since(last.at) < lookKept || !l.limiter.Allow() {
		return last, nil
	}
	next := &look{done: make(chan struct{}), at: time.Now()}
	l.kept[service] = next
	l.forget()
	go func() {
		// Whoever asked may be gone: the answer is for the next who comes.
		ctx, cancel := context.WithTimeout(context.Background(), lookFor)
		defer cancel()
		defer close(next.done)
		next.seen, next.err = l.ask(ctx, service)
	}()
	return next, last
}

// forget drops the oldest look where there are too many.
func (l *looks) forget() {
	if len(l.kept) <= looksMax {
		return
	}
	oldest := ""
	for service, k := range l.kept {
		if oldest == "" || k.at.Before(l.kept[oldest].at) {
			oldest = service
		}
	}
	delete(l.kept, oldest)
}

// onto lays what a look saw over what a pass did, where that is older and had no cause to look at tasks.
func (k *look) onto(o status.Observed) status.Observed {
	switch {
	case k == nil || k.err == nil && k.seen.At.IsZero():
	case k.err != nil:
		o.Missing = append(o.Missing[:len(o.Missing):len(o.Missing)], status.Missing{Fact: "tasks and targets", Message: k.err.Error()})
	case !k.seen.At.Before(o.At):
		pass := o
		o = k.seen
		o.Alarms, o.Missing = pass.Alarms, slices.Clip(o.Missing) // others read the same look
		for _, m := range pass.Missing {
			if !slices.ContainsFunc(o.Missing, func(other status.Missing) bool { return other.Fact == m.Fact }) {
				o.Missing = append(o.Missing, m)
			}
		}
	default:
		o.Tasks, o.Targets = k.seen.Tasks, k.seen.Targets
	}
	return o
}
