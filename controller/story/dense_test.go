package story

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/canteen/deploy/controller/permit"
)

// A dense story has as many rollouts as releases, each of no fewer requests than AWS makes necessary, and three faults for each
// release. Its services are so many that the controller lists their stacks, which takes a permission of its own.
func TestDense(t *testing.T) {
	const services, releases = permit.ManyFrom + 2, 2
	w, err := wander(t, Dense(1, services, releases))
	if err != nil {
		t.Fatal(err)
	}
	sum := tally{families: map[string]int{}}
	sum.add(w, &drawing{})
	if sum.rollouts < services*releases || sum.calls < 25*sum.rollouts || sum.faults < 3*releases {
		t.Errorf("told %s", &sum)
	}
}

// BenchmarkRollouts is the speed of the simulation: whole rollouts of the whole controller with the real SDK, git and ledger,
// each request watched by the Observer, as many worlds side by side as there are processors. An iteration is one such set of
// worlds; rollouts/min is by the wall's clock. One set is told before it begins: the operating system gives the first hundreds of
// megabytes of a process page by page, which is no speed of the simulation.
func BenchmarkRollouts(b *testing.B) {
	tellDense(b, 0, &tally{families: map[string]int{}})
	sum := tally{families: map[string]int{}}
	b.ReportAllocs()
	for n := uint64(1); b.Loop(); n++ {
		tellDense(b, n, &sum)
	}
	b.ReportMetric(float64(sum.rollouts)/b.Elapsed().Minutes(), "rollouts/min")
	b.ReportMetric(float64(sum.calls)/float64(sum.rollouts), "requests/rollout")
	b.ReportMetric(float64(sum.faults)/float64(sum.seeds), "faults/seed")
}

// tellDense tells the set of worlds of that number.
func tellDense(b *testing.B, set uint64, sum *tally) {
	const services, releases = 20, 20
	var worlds []testing.InternalTest
	for i := range runtime.GOMAXPROCS(0) {
		seed := set*1000 + uint64(i)
		worlds = append(worlds, testing.InternalTest{Name: fmt.Sprint(seed), F: func(t *testing.T) {
			t.Parallel()
			w, err := wander(t, Dense(seed, services, releases))
			if err != nil {
				t.Error(err)
				return
			}
			sum.add(w, &drawing{})
		}})
	}
	// A bubble needs a test, which a benchmark is not.
	if !testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, worlds) {
		b.Fatal("a story did not come true")
	}
}
