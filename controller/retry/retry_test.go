package retry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/retry"
)

var errDown = errors.New("connection refused")

func TestDo(t *testing.T) {
	policy := retry.Policy{Initial: time.Second, Max: 4 * time.Second, Elapsed: 20 * time.Second}
	terminal := fault.New(fault.Terminal, "bad_url", errors.New("no such scheme"))
	blocked := fault.New(fault.Blocked, "git_auth", errors.New("token refused"))
	permanent := retry.Permanent(errors.New("gone"))
	tests := []struct {
		name    string
		answers []error // the last one repeats
		timeout time.Duration
		calls   int
		took    time.Duration
		is      []error
		text    string
	}{
		{name: "success at once", answers: []error{nil}, calls: 1},
		{name: "success after two waits", answers: []error{errDown, errDown, nil}, calls: 3, took: 3 * time.Second},
		{name: "waits double up to the longest", answers: []error{errDown}, calls: 7, took: 19 * time.Second, is: []error{errDown}, text: "gave up after 7 attempts: connection refused"},
		{name: "terminal stops", answers: []error{errDown, terminal}, calls: 2, took: time.Second, is: []error{terminal}, text: "no such scheme"},
		{name: "blocked stops", answers: []error{blocked}, calls: 1, is: []error{blocked}, text: "token refused"},
		{name: "permanent stops", answers: []error{permanent}, calls: 1, is: []error{permanent}, text: "gone"},
		{name: "deadline within the next wait", answers: []error{errDown}, timeout: 2 * time.Second, calls: 2, took: time.Second,
			is: []error{errDown, context.DeadlineExceeded}, text: "gave up after 2 attempts, the next would come too late: context deadline exceeded: connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					defer cancel()
				}
				start, calls := time.Now(), 0
				err := retry.Do(ctx, policy, func(context.Context) error {
					calls++
					return tt.answers[min(calls, len(tt.answers))-1]
				})
				if calls != tt.calls || time.Since(start) != tt.took {
					t.Errorf("%d calls in %s, want %d in %s", calls, time.Since(start), tt.calls, tt.took)
				}
				if (err == nil) != (tt.is == nil) {
					t.Fatalf("error is %v", err)
				}
				for _, want := range tt.is {
					if !errors.Is(err, want) {
						t.Errorf("%q does not wrap %q", err, want)
					}
				}
				if err != nil && err.Error() != tt.text {
					t.Errorf("error is %q, want %q", err, tt.text)
				}
			})
		})
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		start := time.Now()
		err := retry.Do(ctx, retry.Policy{Initial: time.Second}, func(context.Context) error { return errDown })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errDown) {
			t.Errorf("%v tells only half of what happened", err)
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("ended after %s", took)
		}
		err = retry.Do(ctx, retry.Policy{}, func(context.Context) error {
			t.Error("called although the context had ended")
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestDoSaysAContextsEndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := retry.Do(ctx, retry.Policy{}, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || strings.Count(err.Error(), "deadline") != 1 {
			t.Errorf("error is %q", err)
		}
	})
}

// Whatever the policy, no attempt begins later than Elapsed after the first, and waits keep within Max and its jitter.
func TestDoStaysWithinItsPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			policy := retry.Policy{
				Initial: time.Duration(rapid.Int64Range(1, 5000).Draw(t, "initial")) * time.Millisecond,
				Max:     time.Duration(rapid.Int64Range(5000, 20000).Draw(t, "max")) * time.Millisecond,
				Elapsed: time.Duration(rapid.Int64Range(1, 60000).Draw(t, "elapsed")) * time.Millisecond,
				Jitter:  float64(rapid.IntRange(0, 5).Draw(t, "jitter")) / 10,
			}
			start := time.Now()
			last := start
			longest := time.Duration(float64(policy.Max)*(1+policy.Jitter)) + 1
			err := retry.Do(context.Background(), policy, func(context.Context) error {
				if time.Since(start) > policy.Elapsed {
					t.Fatalf("an attempt after %s", time.Since(start))
				}
				if wait := time.Since(last); wait > longest {
					t.Fatalf("waited %s", wait)
				}
				last = time.Now()
				return errDown
			})
			if !errors.Is(err, errDown) {
				t.Fatalf("error is %v", err)
			}
		})
	})
}

// inBubble hides T.Deadline from rapid, which must not be called in a bubble.
type inBubble struct{ rapid.TB }
