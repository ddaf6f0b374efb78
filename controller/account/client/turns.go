package client

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/canteen/deploy/controller/urgency"
)

// What a throttle does to a budget: AWS's buckets are shared with callers that nobody here knows, so the controller gives way
// by half, at most once a second, never below a sixteenth, and takes a sixteenth back for each second without another one.
const (
	cutBy    = 2
	leastOf  = 16
	adaptFor = time.Second
)

var errTooLate = errors.New("its turn would come too late")

// turns is one budget and those who wait for it: the one whose turn is due first goes first, by its urgency and by when it came.
type turns struct {
	mu      sync.Mutex
	full    rate.Limit
	limiter *rate.Limiter
	waiting waiters
	came    uint64
	timer   *time.Timer
	adapted time.Time // when the rate was last cut or raised
}

func newTurns(b Bucket, burstShare, refillShare float64) *turns {
	full := rate.Limit(b.Refill * refillShare)
	// A share below one request would never let anything through.
	return &turns{full: full, limiter: rate.NewLimiter(full, max(1, int(b.Burst*burstShare)))}
}

type waiter struct {
	due   time.Time
	came  uint64
	at    int           // in the heap; -1 once it is out of it
	ready chan struct{} // closed when it is its turn
}

// wait returns when it is the caller's turn, or with an error when the context ends; at once where its turn cannot come before
// that, even if nobody came any more.
func (t *turns) wait(ctx context.Context) error {
	now := time.Now()
	t.mu.Lock()
	t.came++
	w := &waiter{due: now.Add(urgency.Of(ctx).Patience()), came: t.came, ready: make(chan struct{})}
	heap.Push(&t.waiting, w)
	t.serve(now)
	if by, bounded := ctx.Deadline(); bounded && w.at >= 0 && now.Add(t.needs(w, now)).After(by) {
		heap.Remove(&t.waiting, w.at)
		t.mu.Unlock()
		return errTooLate
	}
	t.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.at < 0 {
		return nil // its turn came in the same moment, and is paid for
	}
	heap.Remove(&t.waiting, w.at)
	return ctx.Err()
}

// needs is how long it takes until everybody before the waiter and itself have been let through.
func (t *turns) needs(w *waiter, now time.Time) time.Duration {
	before := 1.0
	for _, other := range t.waiting {
		if other != w && other.before(w) {
			before++
		}
	}
	return time.Duration((before - t.limiter.TokensAt(now)) / float64(t.limiter.Limit()) * float64(time.Second))
}

// serve lets through who can be, and comes back when the next one can. The caller holds the lock.
func (t *turns) serve(now time.Time) {
	for len(t.waiting) > 0 {
		if !t.limiter.AllowN(now, 1) {
			missing := 1 - t.limiter.TokensAt(now)
			t.wake(time.Duration(missing/float64(t.limiter.Limit())*float64(time.Second)) + time.Microsecond)
			return
		}
		close(heap.Pop(&t.waiting).(*waiter).ready)
	}
}

func (t *turns) wake(in time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(in, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.serve(time.Now())
	})
}

// throttled gives way: AWS has refused a request of this budget.
func (t *turns) throttled() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.adapted) < adaptFor {
		return
	}
	t.adapted = now
	t.limiter.SetLimitAt(now, max(t.limiter.Limit()/cutBy, t.full/leastOf))
	// What was saved up is not AWS's any more.
	t.limiter.ReserveN(now, int(max(0, t.limiter.TokensAt(now))))
}

// served takes back what was given way, a part each second.
func (t *turns) served() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limiter.Limit() >= t.full || now.Sub(t.adapted) < adaptFor {
		return
	}
	t.adapted = now
	t.limiter.SetLimitAt(now, min(t.full, t.limiter.Limit()+t.full/leastOf))
}

// state is what metrics show: requests a second now, and how many wait.
func (t *turns) state() (perSecond float64, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return float64(t.limiter.Limit()), len(t.waiting)
}

func (w *waiter) before(other *waiter) bool {
	if !w.due.Equal(other.due) {
		return w.due.Before(other.due)
	}
	return w.came < other.came
}

// waiters is a heap, the one whose turn is due first on top.
type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].before(w[j]) }
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].at, w[j].at = i, j
}

// Push implements heap.Interface.
func (w *waiters) Push(x any) {
	one := x.(*waiter)
	one.at = len(*w)
	*w = append(*w, one)
}

// Pop implements heap.Interface.
func (w *waiters) Pop() any {
	last := len(*w) - 1
	one := (*w)[last]
	(*w)[last], *w, one.at = nil, (*w)[:last], -1
	return one
}
