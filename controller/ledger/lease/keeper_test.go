package lease_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger/lease"
)

// store is a store in memory, and the ways to it of all controllers.
type store struct {
	mu    sync.Mutex
	lease lease.Lease
}

func (s *store) swap(ok func(lease.Lease) bool, next func(lease.Lease) lease.Lease) (lease.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok(s.lease) {
		return lease.Lease{}, fault.New(fault.Conflict, "fenced", errors.New("another controller has it"))
	}
	s.lease = next(s.lease)
	return s.lease, nil
}

// way is one controller's way to the store. trouble says of each request how long it takes there and back, and what goes
// wrong; nil for nothing.
type way struct {
	*store
	mu      sync.Mutex
	trouble func() (there, back time.Duration, before, after error)
}

func (w *way) set(trouble func() (there, back time.Duration, before, after error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = trouble
}

// ask carries a request out. Whoever gives up waiting for the answer does not undo the effect.
func (w *way) ask(ctx context.Context, effect func() (lease.Lease, error)) (lease.Lease, error) {
	w.mu.Lock()
	trouble := w.trouble
	w.mu.Unlock()
	there, back, before, after := 3*time.Millisecond, 4*time.Millisecond, error(nil), error(nil)
	if trouble != nil {
		there, back, before, after = trouble()
	}
	type answer struct {
		lease lease.Lease
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		time.Sleep(there)
		if before != nil {
			answered <- answer{err: before}
			return
		}
		l, err := effect()
		time.Sleep(back)
		answered <- answer{l, errors.Join(err, after)}
	}()
	select {
	case a := <-answered:
		return a.lease, a.err
	case <-ctx.Done():
		return lease.Lease{}, ctx.Err()
	}
}

func (w *way) Look(ctx context.Context) (lease.Lease, error) {
	return w.ask(ctx, func() (lease.Lease, error) {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		return w.lease, nil
	})
}

func (w *way) Take(ctx context.Context, seen lease.Lease, owner string, term time.Duration) (lease.Lease, error) {
	return w.ask(ctx, func() (lease.Lease, error) {
		return w.swap(func(l lease.Lease) bool { return l == seen }, func(l lease.Lease) lease.Lease {
			return lease.Lease{Owner: owner, Fence: l.Fence + 1, Beat: l.Beat + 1, Term: term}
		})
	})
}

func (w *way) Renew(ctx context.Context, held lease.Lease) error {
	_, err := w.ask(ctx, func() (lease.Lease, error) { return w.update(held, false) })
	return err
}

func (w *way) Release(ctx context.Context, held lease.Lease) error {
	_, err := w.ask(ctx, func() (lease.Lease, error) { return w.update(held, true) })
	return err
}

func (s *store) update(held lease.Lease, released bool) (lease.Lease, error) {
	return s.swap(func(l lease.Lease) bool { return l.Owner == held.Owner && l.Fence == held.Fence }, func(l lease.Lease) lease.Lease {
		l.Beat++
		l.Released = l.Released || released
		return l
	})
}

// controller is one keeper at work. It writes whenever it may.
type controller struct {
	name   string
	way    *way
	keeper *lease.Keeper
	stop   context.CancelFunc
	done   chan struct{}
	clean  bool

	mu      sync.Mutex
	tenures []uint64
	acts    bool
}

var ready = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func start(s *store, name string) *controller {
	c := &controller{name: name, way: &way{store: s}, done: make(chan struct{}), clean: true}
	c.keeper = lease.New(c.way, name, zap.NewNop())
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() {
		defer close(c.done)
		_ = c.keeper.Run(ctx, ready, func(lost context.Context, t lease.Tenure) (bool, error) {
			c.note(true, t.Fence)
			defer c.note(false, 0)
			select {
			case <-lost.Done():
			case <-ctx.Done():
			}
			return c.clean, nil
		})
	}()
	return c
}

func (c *controller) note(acts bool, fence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acts = acts
	if fence > 0 {
		c.tenures = append(c.tenures, fence)
	}
}

func (c *controller) acting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acts
}

func (c *controller) end() {
	c.stop()
	<-c.done
}

// kill ends it as a machine's death does: nothing that it does reaches anybody.
func (c *controller) kill() {
	gone := errors.New("dead")
	c.way.set(func() (time.Duration, time.Duration, error, error) { return 0, 0, gone, nil })
}

// await waits until the condition is true, and answers how long that took; limit where it did not come true.
func await(limit time.Duration, is func() bool) time.Duration {
	for from := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		synctest.Wait()
		if took := time.Since(from); is() || took >= limit {
			return took
		}
	}
}

// bubble runs a test in virtual time, until what is still on its way has arrived.
func bubble(t *testing.T, f func(*testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(20 * time.Second)
	})
}

func TestOneTakesAFreeLeaseAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(&store{}, "a")
		defer c.end()
		if took := await(time.Minute, c.acting); took > 100*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if by, err := c.keeper.MayWrite(); err != nil || time.Until(by) != lease.Call {
			t.Errorf("may write for %s, %v", time.Until(by), err)
		}
		time.Sleep(time.Hour)
		if _, err := c.keeper.MayWrite(); err != nil || !c.acting() {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// Whenever the holder dies, another acts within 20 s, and not before every request of the dead one is over.
func TestTakeover(t *testing.T) {
	for at := time.Duration(0); at < 5*time.Second; at += 137 * time.Millisecond {
		bubble(t, func(t *testing.T) {
			s := &store{}
			a := start(s, "a")
			defer a.end()
			await(time.Minute, a.acting)
			b := start(s, "b")
			defer b.end()
			time.Sleep(20*time.Second + at)
			if _, err := a.keeper.MayWrite(); err != nil || b.acting() {
				t.Fatalf("a: %v, b acts: %t", err, b.acting())
			}
			a.kill()
			early := false
			var last time.Time // by when the last request that it could have made is over
			took := await(time.Minute, func() bool {
				if by, err := a.keeper.MayWrite(); err == nil {
					last = by
				}
				acts := b.acting()
				if _, err := b.keeper.MayWrite(); err == nil && !acts {
					early = true
				}
				return acts
			})
			if early {
				t.Error("b may write before it acts")
			}
			if took > 20*time.Second || time.Since(last) < lease.Margin+lease.Call-20*time.Millisecond {
				t.Errorf("killed at +%s: b acts after %s, %s after the last request of a's", at, took, time.Since(last))
			}
			if a.acting() {
				t.Error("both act")
			}
			if _, err := a.keeper.MayWrite(); fault.CodeOf(err) != lease.CodeNotHeld {
				t.Errorf("a may write: %v", err)
			}
			if fmt.Sprint(a.tenures, b.tenures) != "[1] [2]" {
				t.Errorf("tenures %v and %v", a.tenures, b.tenures)
			}
		})
	}
}

func TestHandOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &store{}
		a := start(s, "a")
		await(time.Minute, a.acting)
		b := start(s, "b")
		defer b.end()
		time.Sleep(10 * time.Second)
		a.stop()
		if took := await(time.Minute, b.acting); took > 2*time.Second {
			t.Errorf("b acts %s after a was asked to stop", took)
		}
		<-a.done
		if _, err := b.keeper.MayWrite(); err != nil {
			t.Errorf("b must wait although a gave the lease back: %v", err)
		}
	})
}

// One that was cut short may have requests under way: its successor waits for the term.
func TestNoReleaseUnlessClean(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &store{}
		a := start(s, "a")
		a.clean = false
		await(time.Minute, a.acting)
		b := start(s, "b")
		defer b.end()
		time.Sleep(10 * time.Second)
		a.end()
		if took := await(time.Minute, b.acting); took < lease.Term-lease.Term/3+lease.Call || took > 20*time.Second {
			t.Errorf("b acts after %s", took)
		}
	})
}

// One that took the lease over from a dead holder, and is asked to stop while requests of that one may still be under way, does not hand
// it on as if none were: whoever takes a lease that was given back acts at once.
func TestNoReleaseWhileRequestsOfTheOneBeforeAreUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &store{}
		a := start(s, "a")
		defer a.end()
		await(time.Minute, a.acting)
		b := start(s, "b")
		time.Sleep(20 * time.Second)
		a.kill()
		var last time.Time // by when the last request that it could have made is over
		await(time.Minute, func() bool {
			if by, err := a.keeper.MayWrite(); err == nil {
				last = by
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.lease.Owner == "b"
		})
		time.Sleep(100 * time.Millisecond)
		if _, err := b.keeper.MayWrite(); err == nil || b.acting() {
			t.Fatal("b does not wait for a's requests")
		}
		c := start(s, "c")
		defer c.end()
		time.Sleep(100 * time.Millisecond)
		b.end()
		took := await(time.Minute, c.acting)
		if since := time.Since(last); since < lease.Margin+lease.Call-20*time.Millisecond {
			t.Errorf("c acts %s after the last request of a's", since)
		}
		if took > 2*time.Second || len(b.tenures) > 0 {
			t.Errorf("c acts %s after b's end, whose tenures are %v", took, b.tenures)
		}
	})
}

// A store that is away for less than the term costs nothing. For longer, it costs the lease: nobody acts, and the one that
// had it goes on with it if nobody else took it.
func TestTheStoreIsAway(t *testing.T) {
	away := errors.New("away")
	for _, tt := range []struct {
		away    time.Duration
		tenures string
	}{{5 * time.Second, "[1]"}, {30 * time.Second, "[1 1]"}} {
		bubble(t, func(t *testing.T) {
			a := start(&store{}, "a")
			defer a.end()
			await(time.Minute, a.acting)
			time.Sleep(10 * time.Second)
			a.way.set(func() (time.Duration, time.Duration, error, error) { return time.Millisecond, 0, away, nil })
			time.Sleep(tt.away)
			if acts := a.acting(); acts != (tt.away < lease.Term) {
				t.Errorf("away for %s: acts: %t", tt.away, acts)
			}
			a.way.set(nil)
			if took := await(time.Minute, a.acting); took > 2*time.Second || fmt.Sprint(a.tenures) != tt.tenures {
				t.Errorf("away for %s: acts after %s, tenures %v", tt.away, took, a.tenures)
			}
		})
	}
}

// The last seconds of a term that is not renewed begin no write.
func TestNoWriteBeginsWithTooLittleLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := start(&store{}, "a")
		defer a.end()
		await(time.Minute, a.acting)
		a.kill()
		for until := time.Now().Add(lease.Term); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
			by, err := a.keeper.MayWrite()
			if left := time.Until(until); err == nil && (left < 2*lease.Margin-50*time.Millisecond || by.After(until.Add(-lease.Margin))) {
				t.Fatalf("with %s left a write may begin that ends %s before the end", left, until.Sub(by))
			}
		}
	})
}

func TestLose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := start(&store{}, "a")
		defer a.end()
		a.keeper.Lose(errors.New("nothing to lose yet"))
		await(time.Minute, a.acting)
		a.keeper.Lose(errors.New("somebody saw another holder"))
		synctest.Wait()
		if _, err := a.keeper.MayWrite(); err == nil || a.acting() {
			t.Errorf("it goes on: %v", err)
		}
	})
}

// Three controllers, and a network that loses, delays and cuts off as it likes: no two may write in the same moment, no
// fencing number is held by two, and once it is quiet one acts.
func TestNeverTwo(t *testing.T) {
	for seed := range uint64(150) {
		bubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			chance := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(n)
			}
			lost := errors.New("lost")
			bad := func(often int) func() (time.Duration, time.Duration, error, error) {
				return func() (there, back time.Duration, before, after error) {
					there, back = time.Duration(chance(50))*time.Millisecond, time.Duration(chance(50))*time.Millisecond
					switch chance(often) {
					case 0:
						before = lost
					case 1:
						after = lost
					case 2:
						there += time.Duration(chance(9000)) * time.Millisecond
					case 3:
						back += time.Duration(chance(9000)) * time.Millisecond
					}
					return there, back, before, after
				}
			}
			s := &store{}
			var all []*controller
			for _, name := range []string{"a", "b", "c"} {
				c := start(s, name)
				c.way.set(bad(6))
				all = append(all, c)
			}
			var by [3]time.Time // until when the newest request of each may run
			for range 6000 {
				time.Sleep(time.Duration(20+chance(30)) * time.Millisecond)
				if chance(300) == 0 {
					all[chance(3)].way.set(bad([]int{1, 2, 4, 8, 1000}[chance(5)]))
				}
				for i, c := range all {
					until, err := c.keeper.MayWrite()
					if err != nil {
						continue
					}
					for j := range by {
						if j != i && time.Now().Before(by[j]) {
							t.Fatalf("seed %d: %s may write while a request of %s may run", seed, c.name, all[j].name)
						}
					}
					by[i] = until
				}
			}
			for _, c := range all {
				c.way.set(nil)
			}
			one := func() bool {
				n := 0
				for _, c := range all {
					if c.acting() {
						n++
					}
				}
				return n == 1
			}
			if took := await(time.Minute, one); took > 20*time.Second {
				t.Errorf("seed %d: %s until one acts", seed, took)
			}
			holders := map[uint64]string{}
			for _, c := range all {
				c.end()
				for _, f := range c.tenures {
					if was := holders[f]; was != "" && was != c.name {
						t.Errorf("seed %d: number %d was held by %s and %s", seed, f, was, c.name)
					}
					holders[f] = c.name
				}
			}
		})
	}
}
