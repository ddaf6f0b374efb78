package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/queue"
)

func bubble(t *testing.T, f func(t *testing.T, q *queue.Queue)) {
	synctest.Test(t, func(t *testing.T) { f(t, queue.New()) })
}

// expect gets the next key and checks which it is and how long that took.
func expect(t *testing.T, q *queue.Queue, key string, after time.Duration) {
	t.Helper()
	start := time.Now()
	got, err := q.Get(t.Context())
	if err != nil || got != key || time.Since(start) != after {
		t.Fatalf("got %q, %v after %s; want %q after %s", got, err, time.Since(start), key, after)
	}
}

// expectNone checks that nothing is due within an hour.
func expectNone(t *testing.T, q *queue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if got, err := q.Get(ctx); !errors.Is(err, context.DeadlineExceeded) || got != "" {
		t.Fatalf("got %q, %v; want nothing", got, err)
	}
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		q.WakeAt("late", in(time.Minute))
		q.WakeAt("b", in(0))
		q.WakeAt("a", in(-time.Hour)) // the past is now
		q.WakeAt("early", in(time.Second))
		expect(t, q, "a", 0)
		expect(t, q, "b", 0)
		expect(t, q, "early", time.Second)
		expect(t, q, "late", 59*time.Second)
	})
}

func TestEarliestWakeWins(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		q.WakeAt("a", in(time.Minute))
		q.WakeAt("a", in(time.Hour))
		q.WakeAt("a", in(time.Second))
		expect(t, q, "a", time.Second)
		q.Done("a")
		expectNone(t, q)
	})
}

func TestWakeWhileHeldIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		q.WakeAt("a", in(0))
		expect(t, q, "a", 0)
		q.WakeAt("a", in(3*time.Hour))
		q.WakeAt("a", in(2*time.Hour))
		expectNone(t, q) // one hour passes; the key is still held
		q.Done("a")
		expect(t, q, "a", time.Hour)
	})
}

func TestEarlierWakeInterruptsAWait(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		q.WakeAt("a", in(time.Hour))
		time.AfterFunc(time.Second, func() { q.WakeAt("b", time.Now()) })
		expect(t, q, "b", time.Second)
		time.AfterFunc(time.Second, func() { q.WakeAt("a", in(time.Second)) }) // queued already, and now sooner
		expect(t, q, "a", 2*time.Second)
	})
}

func TestForget(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		q.Forget("never seen")
		q.WakeAt("a", in(0))
		q.WakeAt("b", in(time.Second))
		q.Forget("a")
		expect(t, q, "b", time.Second)
		q.WakeAt("b", in(0))
		q.Forget("b")
		q.Done("b")
		expectNone(t, q)
		q.WakeAt("a", in(0))
		expect(t, q, "a", 0)
	})
}

func TestStats(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		start := time.Now()
		q.WakeAt("a", start)
		q.WakeAt("b", start.Add(time.Second))
		q.WakeAt("c", start.Add(time.Hour))
		expect(t, q, "a", 0)
		q.WakeAt("a", start)
		time.Sleep(time.Minute)
		want := queue.Stats{Queued: 3, Due: 1, Held: 1, Oldest: start.Add(time.Second)}
		if got := q.Stats(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		q.Forget("b")
		q.Forget("c")
		q.Forget("a")
		q.Done("a")
		if got := q.Stats(); got != (queue.Stats{}) {
			t.Errorf("got %+v of an empty queue", got)
		}
	})
}

func TestDoneOfAKeyThatNobodyHoldsPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	queue.New().Done("a")
}

// A worker that stops while it watches the head leaves the head to the others, whichever of them is left.
func TestAWorkerThatStopsHandsItsWatchOver(t *testing.T) {
	const workers = 4
	for left := range workers {
		bubble(t, func(t *testing.T, q *queue.Queue) {
			got := make(chan string, workers)
			var stops [workers]context.CancelFunc
			for i := range workers {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				stops[i] = stop
				go func() {
					if key, err := q.Get(ctx); err == nil {
						got <- key
					}
				}()
				synctest.Wait()
			}
			q.WakeAt("a", in(time.Minute)) // one token: one of the four watches
			synctest.Wait()
			for i, stop := range stops {
				if i != left {
					stop()
					synctest.Wait()
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			select {
			case <-got:
			default:
				t.Errorf("nobody got the key when it was due; worker %d was left", left)
			}
		})
	}
}

// Several keys due at one instant reach as many waiting workers at that instant.
func TestOneInstantManyWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		var got atomic.Int32
		for range 8 {
			go func() {
				if _, err := q.Get(t.Context()); err == nil {
					got.Add(1)
				}
			}()
		}
		synctest.Wait()
		for i := range 8 {
			q.WakeAt(fmt.Sprint(i), in(time.Second))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got.Load() != 8 {
			t.Errorf("%d of 8 workers got a key", got.Load())
		}
	})
}

// A key that is due comes before every key woken after it, however often those are woken: nothing starves.
func TestNothingStarves(t *testing.T) {
	bubble(t, func(t *testing.T, q *queue.Queue) {
		for i := range 4 {
			q.WakeAt(fmt.Sprintf("busy-%d", i), in(0))
		}
		q.WakeAt("quiet", in(0))
		for range 5 {
			key, err := q.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			if key == "quiet" {
				return
			}
			q.WakeAt(key, time.Time{})
			q.Done(key)
		}
		t.Error("five keys were got and quiet was not among them")
	})
}

// The queue does what this model does: a table of due times, a table of remembered wakes, and the set of held keys.
func TestModel(t *testing.T) {
	bubble(t, func(t *testing.T, _ *queue.Queue) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			q := queue.New()
			due, again, held := map[string]time.Time{}, map[string]time.Time{}, map[string]bool{}
			key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
			wake := func(table map[string]time.Time, k string, at time.Time) {
				if old, ok := table[k]; !ok || at.Before(old) {
					table[k] = at
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"wake": func(t *rapid.T) {
					k, at := key.Draw(t, "key"), in(time.Duration(rapid.IntRange(-2, 5).Draw(t, "seconds"))*time.Second)
					q.WakeAt(k, at)
					if now := time.Now(); at.Before(now) {
						at = now
					}
					if held[k] {
						wake(again, k, at)
					} else {
						wake(due, k, at)
					}
				},
				"get": func(t *rapid.T) {
					want := ""
					for _, k := range slices.Sorted(func(yield func(string) bool) {
						for k := range due {
							if !yield(k) {
								return
							}
						}
					}) {
						if want == "" || due[k].Before(due[want]) {
							want = k
						}
					}
					ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
					defer cancel()
					end := in(2 * time.Second)
					got, err := q.Get(ctx)
					if want == "" || due[want].After(end) {
						if err == nil {
							t.Fatalf("got %q, want nothing", got)
						}
						return
					}
					if due[want].Equal(end) && err != nil {
						return // due at the very instant at which the caller gave up
					}
					if err != nil || got != want || time.Now().Before(due[want]) {
						t.Fatalf("got %q, %v at %s; want %q at %s", got, err, time.Now(), want, due[want])
					}
					delete(due, got)
					held[got] = true
				},
				"done": func(t *rapid.T) {
					k := key.Draw(t, "key")
					if !held[k] {
						t.Skip("not held")
					}
					q.Done(k)
					delete(held, k)
					if at, ok := again[k]; ok {
						due[k] = at
						delete(again, k)
					}
				},
				"forget": func(t *rapid.T) {
					k := key.Draw(t, "key")
					q.Forget(k)
					delete(due, k)
					delete(again, k)
				},
				"pass": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
				},
				"": func(t *rapid.T) {
					s := q.Stats()
					if s.Queued != len(due)+len(again) || s.Held != len(held) {
						t.Fatalf("%+v, want %d queued and %d held", s, len(due)+len(again), len(held))
					}
				},
			})
		})
	})
}

// In real time and under the race detector: a key never has two holders, and every wake is followed by a Get.
func TestManyWorkersManyWakers(t *testing.T) {
	const keys, wakes = 16, 400
	q := queue.New()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var holders, woken, seen [keys]atomic.Int64
	var workers, wakers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				key, err := q.Get(ctx)
				if err != nil {
					return
				}
				var i int
				fmt.Sscan(key, &i)
				if holders[i].Add(1) != 1 {
					t.Errorf("key %d has two holders", i)
				}
				seen[i].Store(woken[i].Load())
				holders[i].Add(-1)
				q.Done(key)
			}
		})
	}
	for w := range uint64(8) {
		rnd := rand.New(rand.NewPCG(1, w))
		wakers.Go(func() {
			for range wakes {
				i := rnd.IntN(keys)
				woken[i].Add(1)
				q.WakeAt(fmt.Sprint(i), in(time.Duration(rnd.IntN(1000))*time.Microsecond))
			}
		})
	}
	wakers.Wait()
	for q.Stats() != (queue.Stats{}) {
		if ctx.Err() != nil {
			t.Fatalf("not drained: %+v", q.Stats())
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	workers.Wait()
	for i := range keys {
		if seen[i].Load() != woken[i].Load() {
			t.Errorf("key %d was woken %d times, and last looked at after wake %d", i, woken[i].Load(), seen[i].Load())
		}
	}
}

func BenchmarkWakeGetDone(b *testing.B) {
	q := queue.New()
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("service-%05d", i)
		q.WakeAt(keys[i], in(time.Hour))
	}
	for i := 0; b.Loop(); i++ {
		q.WakeAt(keys[i%len(keys)], time.Time{})
		key, err := q.Get(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		q.WakeAt(key, in(time.Hour))
		q.Done(key)
	}
}

// inBubble hides T.Deadline from rapid, which must not be called in a bubble.
type inBubble struct{ rapid.TB }
