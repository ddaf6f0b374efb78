package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/fault"
)

// CodeNotHeld is the code of a write that may not begin: fault.Conflict, as somebody else may be writing.
const CodeNotHeld = "lease_not_held"

// requestFor bounds one request about the lease.
const requestFor = 2 * time.Second

// View is what there is to tell of the lease.
type View struct {
	Held   bool      // by this controller, and it acts
	Leader string    // who holds it; empty where nobody does, or nobody knows
	Fence  uint64    // the fencing number of the newest taking that was seen
	Since  time.Time // when it was taken, by the leader's clock
	Error  string    // why the last look or renewal failed; empty after one that did not
}

// Tenure is the time from a taking to its loss or release.
type Tenure struct {
	Fence uint64
}

// Office is what whoever holds the lease does. It must return soon after lost has ended, or after whatever else ends it. clean
// says that nothing of it is under way any more; an error ends the keeper too.
type Office func(lost context.Context, t Tenure) (clean bool, err error)

// Keeper is one controller's part in the lease. It is safe for concurrent use; Run is called once.
type Keeper struct {
	store Store
	owner string
	log   *zap.Logger

	mu    sync.Mutex
	view  View
	shown bool // the view was told
	told  func(View)
	held  bool
	until time.Time // the term's end, counted from when its renewal was sent
	quiet time.Time // no write before: the one before may have one under way
	lose  context.CancelCauseFunc
}

// New returns the keeper of a controller by a name that no other one has, restarts of the same included. It asks nobody
// anything yet.
func New(store Store, owner string, log *zap.Logger) *Keeper {
	return &Keeper{store: store, owner: owner, log: log, told: func(View) {}}
}

// Tell names who is told of every change of the view, one after the other; set it before Run.
func (k *Keeper) Tell(told func(View)) { k.told = told }

// MayWrite answers until when a writing request to the account that begins now must have been answered, or a Conflict
// where none may begin: the lease is not held, the holder before may still have a request under way, or too little of the
// term is left.
func (k *Keeper) MayWrite() (by time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	// A machine that was suspended finds its monotonic clock where it was, and its wall clock after the term.
	left := min(k.until.Sub(now), k.until.Round(0).Sub(now.Round(0)))
	switch {
	case !k.held:
		err = errors.New("this controller does not hold the lease")
	case now.Before(k.quiet):
		err = fmt.Errorf("requests of the controller that held the lease before may be under way for another %s", k.quiet.Sub(now).Round(time.Millisecond))
	case left < 2*Margin:
		err = fmt.Errorf("the lease was not renewed in time: %s are left of it", left.Round(time.Millisecond))
	}
	if err != nil {
		return now, fault.New(fault.Conflict, CodeNotHeld, err)
	}
	return now.Add(min(Call, left-Margin)), nil
}

// Lose gives the tenure up at once, without a release: somebody has seen that another controller holds the lease.
func (k *Keeper) Lose(why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held && k.lose != nil {
		k.held = false
		k.lose(why)
	}
}

// Run looks at the lease and tells of it until ctx ends. Once ready is closed it takes the lease when it can, and runs
// office for each tenure, one after the other. When ctx ends it lets office end, keeping the lease meanwhile, and gives
// the lease back where office ended clean.
func (k *Keeper) Run(ctx context.Context, ready <-chan struct{}, office Office) error {
	for {
		held, ok := k.await(ctx, ready)
		if !ok {
			return nil
		}
		if err := k.hold(ctx, held, office); err != nil {
			return err
		}
	}
}

// candidate is what one that waits has seen.
type candidate struct {
	seen  Lease
	since time.Time // when it was first seen so
	quiet time.Time // until when requests of the one before may be under way, as far as it had to be waited for
}

// await looks until the lease is this controller's; ok is false where ctx has ended before.
func (k *Keeper) await(ctx context.Context, ready <-chan struct{}) (held Lease, ok bool) {
	var c candidate
	for first := true; ; first = false {
		if !first && !sleep(ctx, Poll) {
			return held, false
		}
		seen, err := k.look(ctx)
		if ctx.Err() != nil {
			return held, false
		}
		k.tell(seen, err)
		if err != nil {
			continue
		}
		now := time.Now()
		if c.since.IsZero() || !seen.same(c.seen) {
			c.seen, c.since = seen, now
		}
		if !closed(ready) {
			continue
		}
		if held, ok := k.try(ctx, &c, now); ok {
			return held, true
		}
	}
}

func (k *Keeper) look(ctx context.Context) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	return k.store.Look(ctx)
}

// try takes the lease where it is free, and reports whether it did.
func (k *Keeper) try(ctx context.Context, c *candidate, now time.Time) (Lease, bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestFor)
	defer cancel()
	switch {
	case c.seen.Owner == k.owner && !c.seen.Released:
		// It is ours: the answer to a taking was lost, or the renewals for a while. Nobody else has had it since.
		if err := k.store.Renew(ctx, c.seen); err != nil {
			k.log.Debug("lease not resumed", zap.Error(err))
			return c.seen, false
		}
	case c.seen.Owner == "" || c.seen.Released:
		taken, err := k.store.Take(ctx, c.seen, k.owner, Term)
		if err != nil {
			k.log.Debug("lease not taken", zap.Error(err))
			return c.seen, false
		}
		c.seen = taken
	default:
		end := c.since.Add(c.seen.Term)
		if now.Before(end) {
			return c.seen, false
		}
		c.quiet = end.Add(Call)
		taken, err := k.store.Take(ctx, c.seen, k.owner, Term)
		if err != nil {
			k.log.Debug("lease not taken", zap.Error(err))
			return c.seen, false
		}
		k.log.Info("lease taken over", zap.String("from", c.seen.Owner), zap.Uint64("fence", taken.Fence))
		c.seen = taken
	}
	k.begin(now, c.quiet)
	return c.seen, true
}

// begin notes that the lease is held by a request that was sent at the time.
func (k *Keeper) begin(sent, quiet time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held, k.until, k.quiet = true, sent.Add(Term), quiet
}

// hold keeps the lease while office runs.
func (k *Keeper) hold(ctx context.Context, held Lease, office Office) error {
	lost, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	defer lose(nil)
	k.mu.Lock()
	k.lose = lose
	quiet := k.quiet
	k.mu.Unlock()
	renewing, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(renewing)
		k.renew(over, held)
	}()
	clean, err := true, error(nil)
	if k.waitFor(ctx, lost, quiet) {
		k.show(View{Held: true, Leader: k.owner, Fence: held.Fence, Since: held.Since})
		k.log.Info("lease held", zap.Uint64("fence", held.Fence))
		clean, err = office(lost, Tenure{Fence: held.Fence})
	}
	close(over)
	<-renewing
	if why := context.Cause(lost); why != nil {
		k.log.Warn("lease lost", zap.Uint64("fence", held.Fence), zap.Error(why))
		k.show(View{Fence: held.Fence, Error: why.Error()})
		return err
	}
	k.end(held, clean)
	return err
}

// waitFor waits until the writes of the holder before are over, and reports whether there is anything to do then. It is not cut short
// where ctx ends, which takes Call at most: whoever takes the lease once it is given back waits for nobody.
func (k *Keeper) waitFor(ctx, lost context.Context, quiet time.Time) bool {
	timer := time.NewTimer(time.Until(quiet))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil && lost.Err() == nil
	case <-lost.Done():
		return false
	}
}

// end gives the lease back, where nothing is under way any more that a successor would have to wait for.
func (k *Keeper) end(held Lease, clean bool) {
	k.mu.Lock()
	k.held = false
	k.mu.Unlock()
	k.show(View{Fence: held.Fence})
	if !clean {
		k.log.Warn("lease not released, as requests may be under way: it runs out by itself", zap.Uint64("fence", held.Fence))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestFor)
	defer cancel()
	if err := k.store.Release(ctx, held); err != nil {
		k.log.Warn("lease not released, it runs out by itself", zap.Error(err))
		return
	}
	k.log.Info("lease released", zap.Uint64("fence", held.Fence))
}

// renew renews the lease until over is closed or the lease is lost.
func (k *Keeper) renew(over <-chan struct{}, held Lease) {
	k.mu.Lock()
	until := k.until
	k.mu.Unlock()
	next := until.Add(renewEvery - Term)
	for {
		timer := time.NewTimer(time.Until(earlier(next, until)))
		select {
		case <-over:
			timer.Stop()
			return
		case <-timer.C:
		}
		sent := time.Now()
		if !sent.Before(until) {
			k.Lose(errors.New("the lease could not be renewed before it ended"))
			return
		}
		err := k.renewOnce(held, until)
		switch {
		case err == nil:
			until, next = sent.Add(Term), sent.Add(renewEvery)
			k.extend(until)
		case fault.Is(err, fault.Conflict):
			k.Lose(err)
			return
		default:
			k.log.Warn("lease not renewed", zap.Error(err), zap.Duration("left", time.Until(until)))
			next = time.Now().Add(again)
		}
	}
}

func (k *Keeper) renewOnce(held Lease, until time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), min(requestFor, time.Until(until)))
	defer cancel()
	return k.store.Renew(ctx, held)
}

func (k *Keeper) extend(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = until
}

// tell shows what a look has found.
func (k *Keeper) tell(seen Lease, err error) {
	k.mu.Lock()
	v := k.view
	k.mu.Unlock()
	if err != nil {
		if v.Error == "" {
			k.log.Warn("lease cannot be read", zap.Error(err))
		}
		v.Held, v.Error = false, err.Error()
		k.show(v)
		return
	}
	v = View{Leader: seen.Owner, Fence: seen.Fence, Since: seen.Since}
	if seen.Released || seen.Owner == k.owner {
		v.Leader = ""
	}
	k.show(v)
}

func (k *Keeper) show(v View) {
	k.mu.Lock()
	changed := v != k.view || !k.shown
	k.view, k.shown = v, true
	k.mu.Unlock()
	if changed {
		k.told(v)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// sleep waits, and reports whether it waited to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
