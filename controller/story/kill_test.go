package story

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
)

// outcome is how a story ended, as far as a kill must not change it.
type outcome struct {
	Running    map[string]string
	Counts     map[string]int32
	Endings    []string
	Rejected   map[string][]string
	Migrations map[string]int
}

func outcomeOf(w *World) outcome {
	o := outcome{Running: map[string]string{}, Counts: map[string]int32{}, Rejected: map[string][]string{}, Migrations: map[string]int{}}
	t := &Telling{World: w}
	for _, service := range w.opts.Services {
		o.Running[service] = t.running(service)
		o.Counts[service] = w.service(service).DesiredCount
		for _, e := range w.ended(service) {
			check := ""
			if e.Evidence != nil {
				check = e.Evidence.Check + "/" + e.Evidence.Reason
			}
			o.Endings = append(o.Endings, fmt.Sprintf("%s %s %s %s by %s, migration %s", service, e.Kind, strings.Join(e.Images, " "), e.Result, check, e.Migration))
		}
		for _, r := range w.record(service).Rejected {
			o.Rejected[service] = append(o.Rejected[service], r.Ask)
		}
	}
	for _, m := range w.Observer.migrations {
		o.Migrations[m.service+" "+m.tag]++
	}
	return o
}

// TestKills kills the controller at every moment of the canonical stories and starts it again: the end is the same, and
// nothing that hurts was done twice.
func TestKills(t *testing.T) {
	files, err := filepath.Glob("testdata/kills/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := read(t, file)
			undisturbed := tell(t, s, nil)
			if t.Failed() {
				return
			}
			want, kills := outcomeOf(undisturbed), undisturbed.Kills()
			if len(kills) < 20 {
				t.Fatalf("only %d moments: the story does not reach what it tells", len(kills))
			}
			if testing.Short() {
				kills = kills[:len(kills)/10]
			}
			for _, k := range kills {
				t.Run(k.String(), func(t *testing.T) {
					t.Parallel()
					w := tell(t, s, func(o *Options) { o.Kill = &k })
					if t.Failed() {
						return
					}
					if w.starts != undisturbed.starts+1 {
						t.Fatalf("the controller was started %d times, want one more than %d", w.starts, undisturbed.starts)
					}
					if diff := cmp.Diff(want, outcomeOf(w)); diff != "" {
						t.Errorf("the end is another one (-undisturbed +killed):\n%s\n%s", diff, w.Journal())
					}
				})
			}
		})
	}
}

// TestStoriesRepeatThemselves: the same story makes the same requests at the same times in the same order.
func TestStoriesRepeatThemselves(t *testing.T) {
	for _, file := range []string{"testdata/kills/panic_in_bake.txtar", "testdata/migration_lock.txtar", "testdata/stale_reads.txtar", "testdata/kills/events_migration_fails.txtar", "testdata/told/rejected.txtar"} {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := read(t, file)
			first := tell(t, s, nil)
			for range 4 {
				if diff := cmp.Diff(calls(first), calls(tell(t, s, nil))); diff != "" {
					t.Fatalf("two runs differ:\n%s", diff)
				}
			}
		})
	}
}

// calls are the requests of a world's controller.
func calls(w *World) []string {
	var out []string
	recent := w.account.Calls.Recent()
	// Requests that wait for answers which do not come are over in one instant, where one context ends them.
	slices.SortStableFunc(recent, func(a, b sim.Call) int { return a.At.Compare(b.At) })
	for _, c := range recent {
		out = append(out, fmt.Sprintf("%s %s.%s %s", w.journal.clock(c.At), c.Service, c.Operation, c.Error))
	}
	return out
}
