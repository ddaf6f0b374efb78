package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/urgency"
)

// Who is more urgent goes first, whenever it came; among equals who came first.
func TestUrgentRequestsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTurns(Bucket{Burst: 1, Refill: 1}, 1, 1)
		if err := b.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		come := func(class urgency.Class, n int) {
			all.Go(func() {
				if err := b.wait(urgency.With(t.Context(), class)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, fmt.Sprint(class, " ", n))
			})
			synctest.Wait()
		}
		come(urgency.Sweep, 1)
		come(urgency.Begin, 1)
		come(urgency.Rolling, 1)
		come(urgency.Rolling, 2)
		come(urgency.Revert, 1)
		all.Wait()
		if want := []string{"revert 1", "rolling 1", "rolling 2", "begin 1", "sweep 1"}; !slices.Equal(order, want) {
			t.Errorf("the order was %v, want %v", order, want)
		}
	})
}

// However many urgent requests come, one that is not gets its turn once it has waited for its patience.
func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTurns(Bucket{Burst: 1, Refill: 5}, 1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		for range 40 { // each comes again as soon as it was served: eight times what the budget has
			go func() {
				for b.wait(urgency.With(ctx, urgency.Rolling)) == nil {
				}
			}()
		}
		time.Sleep(time.Minute)
		from := time.Now()
		if err := b.wait(ctx); err != nil {
			t.Fatal(err)
		}
		// Those who came in its first eight seconds and those whose turn is due before its own go first, no others.
		if took := time.Since(from); took > urgency.Sweep.Patience()+8*time.Second {
			t.Errorf("a sweep waited for %s among rolling ones", took)
		}
		cancel()
	})
}

// Whatever comes in whatever order and gives up at whatever time, no more is let through than the budget has, everybody is let
// through or told why not, and nothing is left waiting.
func TestTurnsKeepTheBudget(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		burst, refill := rapid.IntRange(1, 20).Draw(rt, "burst"), rapid.IntRange(1, 50).Draw(rt, "refill")
		type one struct{ After, Patience, Class int }
		come := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) one {
			return one{rapid.IntRange(0, 300).Draw(rt, "after"), rapid.IntRange(1, 5000).Draw(rt, "patience"), rapid.IntRange(0, 3).Draw(rt, "class")}
		}), 1, 80).Draw(rt, "come")
		synctest.Test(t, func(t *testing.T) {
			b := newTurns(Bucket{Burst: float64(burst), Refill: float64(refill)}, 1, 1)
			from := time.Now()
			var mu sync.Mutex
			var through []time.Duration
			var all sync.WaitGroup
			for _, c := range come {
				time.Sleep(time.Duration(c.After) * time.Millisecond)
				all.Go(func() {
					ctx, cancel := context.WithTimeout(urgency.With(t.Context(), urgency.Class(c.Class)), time.Duration(c.Patience)*time.Millisecond)
					defer cancel()
					switch err := b.wait(ctx); {
					case err == nil:
						mu.Lock()
						through = append(through, time.Since(from))
						mu.Unlock()
					case !errors.Is(err, errTooLate) && !errors.Is(err, context.DeadlineExceeded):
						rt.Errorf("refused with %v", err)
					}
				})
			}
			all.Wait()
			for i := range through {
				for j := i; j < len(through); j++ {
					if most := float64(burst) + float64(refill)*(through[j]-through[i]).Seconds() + 0.01; float64(j-i+1) > most {
						rt.Fatalf("%d were let through within %s", j-i+1, through[j]-through[i])
					}
				}
			}
			if _, waiting := b.state(); waiting != 0 {
				rt.Errorf("%d wait for ever", waiting)
			}
		})
	})
}

// A throttle halves the rate of its own budget alone; it comes back while there are no more.
func TestThrottlesAreGivenWayTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := true
		registry := prometheus.NewRegistry()
		c := newClients(func(string, *http.Request) (*http.Response, error) {
			if throttle {
				return answer(400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
			}
			return answer(200, `{}`)
		}, Options{ReadAttempts: 1, Registerer: registry})
		ask := func() {
			_, _ = c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"s"}})
		}
		rate := func(budget string) float64 { return gauge(t, registry, budget) }
		if got := rate(BucketServiceRead); got != 8 {
			t.Fatalf("the budget begins with %v a second, want 40 %% of 20", got)
		}
		ask()
		ask() // in the same moment: the same overload
		if got := rate(BucketServiceRead); got != 4 {
			t.Errorf("after a throttle %v a second, want half", got)
		}
		for range 20 {
			time.Sleep(2 * time.Second)
			ask()
		}
		if got := rate(BucketServiceRead); got != 0.5 {
			t.Errorf("after many throttles %v a second, want a sixteenth", got)
		}
		if got := rate(BucketTaskRead); got != 8 {
			t.Errorf("another budget has %v a second", got)
		}
		throttle = false
		for range 16 {
			time.Sleep(2 * time.Second)
			ask()
		}
		if got := rate(BucketServiceRead); got != 8 {
			t.Errorf("half a minute after the last throttle %v a second, want all again", got)
		}
		if n, err := testutil.GatherAndCount(registry, "deploy_aws_budget_waiting_requests"); err != nil || n != len(defaultBuckets()) {
			t.Errorf("%d budgets show who waits, error %v", n, err)
		}
	})
}

func gauge(t *testing.T, from prometheus.Gatherer, budget string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "deploy_aws_budget_requests_per_second" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == budget {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric of %s", budget)
	return 0
}
