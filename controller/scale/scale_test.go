// Package scale_test holds the controller to what a large account allows: the account on this machine has AWS's own request
// limits, shared by all callers, and the controller must do its work within them, with nothing to spare for waste.
package scale_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/status"
)

// What DescribeServices allows: ten services a call, twenty calls a second of the bucket of reads.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
const servicesPerSecond = 10 * 20

// sweeps is what looking at everything again and again came to, with all of AWS's budget and nothing to do.
type sweeps struct {
	toFloor   float64 // time of one sweep, as a ratio to what the bucket sets
	reads     float64 // calls for each service and sweep
	writes    int
	throttled int
	calls     string
}

// sweep lets the controller look at everything as often as the budget allows, for so long.
func (w *world) sweep(window time.Duration) sweeps {
	w.tb.Helper()
	// Everything is always due: a sweep cannot be shorter than half of what the bucket sets.
	w.start(1, min(time.Second, time.Duration(w.services)*time.Second/servicesPerSecond/2))
	w.await(time.Hour, healthy)
	time.Sleep(6 * time.Minute) // the bursts are spent and all caches are warm
	w.sim.Calls.Reset()
	time.Sleep(window)
	all, writes, throttled, list := w.calls()
	w.end()
	looks := float64(w.sim.Calls.Count("ecs", "DescribeServices")) * 10
	return sweeps{
		toFloor: servicesPerSecond * window.Seconds() / looks, reads: float64(all) / looks, writes: writes, throttled: throttled, calls: list,
	}
}

// hold fails unless the sweeps are what they should be.
func (s sweeps) hold(tb testing.TB) {
	tb.Helper()
	if s.toFloor > 1.1 || s.reads > 0.11 || s.writes > 0 || s.throttled > 0 {
		tb.Errorf("a sweep takes %.3f of what AWS's bucket sets (at most 1.1), %.3f calls a service (at most 0.11), %d writes, %d throttles: %s",
			s.toFloor, s.reads, s.writes, s.throttled, s.calls)
	}
}

// Nothing to do costs what AWS's limits make it cost, and a tenth of that at most.
func TestSweepsCostWhatTheBucketSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 400)
		defer w.close()
		w.settle()
		w.sweep(2 * time.Minute).hold(t)
	})
}

// One commit that touches one of many services is answered by calls about that one alone.
func TestOneCommitTouchesOneService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1000)
		defer w.close()
		w.settle()
		w.start(0.4, time.Hour)
		w.await(time.Hour, healthy)
		time.Sleep(10 * time.Minute)
		w.sim.Calls.Reset()
		w.file(name(17)+".yaml", serviceFile(17, "2bbbbbb"))
		w.commit("one of them")
		w.app.Kick()
		from := time.Now()
		for len(w.sim.Calls.Recent()) == 0 {
			time.Sleep(time.Millisecond)
			if time.Since(from) > time.Minute {
				t.Fatal("nothing was asked")
			}
		}
		if took := time.Since(from); took > 250*time.Millisecond {
			t.Errorf("the first call came %s after the webhook, want 250ms at most", took)
		}
		time.Sleep(2 * time.Minute)
		if v := w.app.Board().Service(name(17)); v.Record.Good == nil || !healthy(v) || v.Record.Generation != 2 {
			t.Errorf("%s is %s: %s", name(17), v.Status.Phase, v.Status.Why)
		}
		if all, writes, _, list := w.calls(); all > 60 || writes > 6 {
			t.Errorf("%d calls, %d writes: %s", all, writes, list)
		}
		alive := live()
		w.end()
		if kept := (alive - live()) / 1000; kept > keptMax {
			t.Errorf("%.0f bytes are kept of each service, at most %d are expected", kept, keptMax)
		}
	})
}

// keptMax is how many bytes of heap a controller may have alive for each of a thousand services, all that it has for itself included.
const keptMax = 11_500

// BenchmarkSweep is a sweep with nothing to do, by AWS's bucket and by this machine.
func BenchmarkSweep(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				inBubble(b, func(t *testing.T) {
					w := newWorld(t, n)
					defer w.close()
					w.settle()
					s := w.sweep(10 * time.Minute)
					s.hold(t)
					b.ReportMetric(s.toFloor, "of-floor")
					b.ReportMetric(s.reads, "reads/service")
					cpu, heap := w.idle(10 * time.Minute)
					b.ReportMetric(cpu*100, "%core-idle")
					b.ReportMetric(heap/(1<<20), "MiB-live")
				})
			}
		})
	}
}

// together is what a new version of every service in one commit came to, with all of AWS's budget.
type together struct {
	toFloor   float64 // time until the last verdict, as a ratio to what the bucket of RegisterTaskDefinition sets
	calls     float64 // for each rollout
	throttled int
	list      string
}

// Registering is what AWS allows least of: a burst of 20, and then one a second.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
const (
	registerBurst     = 20
	registerPerSecond = 1
)

// together releases a new version of every service at once.
func (w *world) together() together {
	w.tb.Helper()
	w.start(1, app.DefaultIdle)
	w.await(time.Hour, healthy)
	time.Sleep(6 * time.Minute)
	w.sim.Calls.Reset()
	for i := range w.services {
		w.file(name(i)+".yaml", serviceFile(i, "2bbbbbb"))
	}
	w.commit(fmt.Sprintf("all of them\n\n%s: %d", desired.ConfirmTrailer, w.services))
	w.app.Kick()
	took := w.await(12*time.Hour, func(v *status.View) bool { return healthy(v) && v.Record.Generation == 2 && v.Record.Good != nil })
	all, _, throttled, list := w.calls()
	w.end()
	floor := float64(w.services-registerBurst) / registerPerSecond
	return together{toFloor: took.Seconds() / floor, calls: float64(all) / float64(w.services), throttled: throttled, list: list}
}

// hold fails unless the rollouts together took about what AWS makes them take.
func (s together) hold(tb testing.TB) {
	tb.Helper()
	if s.toFloor > 1.5 || s.calls > 60 || s.throttled > 0 {
		tb.Errorf("all of them take %.3f of what AWS's bucket sets (at most 1.5), %.1f calls each (at most 60), %d throttles: %s", s.toFloor, s.calls, s.throttled, s.list)
	}
}

// Where every service rolls at once, what AWS allows least of sets the time, and nothing begins anew for want of looks.
func TestRolloutsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 150)
		defer w.close()
		w.settle()
		s := w.together()
		t.Logf("%.3f of the floor, %.1f calls each: %s", s.toFloor, s.calls, s.list)
		s.hold(t)
	})
}

// BenchmarkTogether is a thousand rollouts at once.
func BenchmarkTogether(b *testing.B) {
	for range b.N {
		inBubble(b, func(t *testing.T) {
			w := newWorld(t, 1000)
			defer w.close()
			w.settle()
			s := w.together()
			s.hold(t)
			b.ReportMetric(s.toFloor, "of-floor")
			b.ReportMetric(s.calls, "calls/rollout")
		})
	}
}

// idle is what the controller costs this machine at its default pace and share while nothing happens: the part of one core, with
// the account's and the clock's work included, and the heap that is alive because of it.
func (w *world) idle(window time.Duration) (core, heap float64) {
	w.start(0.4, app.DefaultIdle)
	w.await(time.Hour, func(*status.View) bool { return true })
	time.Sleep(6 * time.Minute)
	begun := cpu()
	time.Sleep(window)
	core = (cpu() - begun).Seconds() / window.Seconds()
	alive := live()
	w.end()
	time.Sleep(time.Minute) // requests that nobody waits for any more end, too
	return core, alive - live()
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func live() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// inBubble runs f in a bubble, which needs a test.
func inBubble(b *testing.B, f func(*testing.T)) {
	b.Helper()
	if !testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: b.Name(), F: func(t *testing.T) { synctest.Test(t, f) }}}) {
		b.Fatal("it does not hold")
	}
}
