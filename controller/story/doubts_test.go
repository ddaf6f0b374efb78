package story

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/ecs"
)

var long = flag.Bool("long", false, "tell every story under every doubt, and every kill under all of them, and of a crowd of two hundred")

// doubt is one point that AWS's documents leave open, turned the other way.
type doubt struct {
	field string // of ecs.Doubts
	turn  func(*ecs.Doubts)
	// stories are those, without -long, that come upon the point.
	stories []string
}

// doubts has every field of ecs.Doubts; durations are the longest that were seen or written about.
var doubts = []doubt{
	{"StoppingOutsideMax", func(d *ecs.Doubts) { d.StoppingOutsideMax = true }, []string{"third_in_a_row"}},
	{"NewCreatedAtOnRollback", func(d *ecs.Doubts) { d.NewCreatedAtOnRollback = true }, []string{"rolled_back_in_the_console"}},
	{"SupersededFailed", func(d *ecs.Doubts) { d.SupersededFailed = true }, []string{"superseded", "deployed_by_hand_while_rolling"}},
	{"FailedShownAfter", func(d *ecs.Doubts) { d.FailedShownAfter = 106 * time.Second }, []string{"rolled_back_in_the_console"}},
	{"SDSuccessBeforeClassic", func(d *ecs.Doubts) { d.SDSuccessBeforeClassic = 38 * time.Second }, []string{"first_deploy", "panic_in_bake"}},
	{"BreakerStallOnBadImage", func(d *ecs.Doubts) { d.BreakerStallOnBadImage = 1 }, []string{"image_not_pullable_in_the_roll"}},
	{"EarlyExitsIgnored", func(d *ecs.Doubts) { d.EarlyExitsIgnored = true }, []string{"crash_on_start", "away_while_it_fails"}},
	{"EarlyExit", func(d *ecs.Doubts) { d.EarlyExit = time.Minute }, []string{"unhealthy_in_bake"}},
	{"StaleReadMax", func(d *ecs.Doubts) { d.StaleReadMax = 30 * time.Second }, []string{"good_update", "crash_on_start", "ledger_lost_in_roll", "ledger_lost_in_revert", "ledger_restored_in_revert", "superseded_in_bake", "service_deleted", "logs_late"}},
	{"SDRecordLagMax", func(d *ecs.Doubts) { d.SDRecordLagMax = 15 * time.Second }, []string{"first_deploy", "ledger_lost_in_roll"}},
	{"TaskRecordLagMax", func(d *ecs.Doubts) { d.TaskRecordLagMax = 15 * time.Second }, []string{"migration_fails", "migration_lost", "migration_ignores_the_stop", "ledger_lost_in_migration"}},
	{"CurrentServiceDeploymentKept", func(d *ecs.Doubts) { d.CurrentServiceDeploymentKept = true }, []string{"good_update"}},
	{"PlacementUncounted", func(d *ecs.Doubts) { d.PlacementUncounted = true }, []string{"no_capacity"}},
	{"FirstDeploymentBakes", func(d *ecs.Doubts) { d.FirstDeploymentBakes = true }, []string{"first_deploy"}},
	{"LiveTargetGroupShown", func(d *ecs.Doubts) { d.LiveTargetGroupShown = true }, []string{"never_healthy"}},
	{"StartedByStoppedRefused", func(d *ecs.Doubts) { d.StartedByStoppedRefused = true }, []string{"ledger_lost_in_migration"}},
	{"DrainingDeploymentsShown", func(d *ecs.Doubts) { d.DrainingDeploymentsShown = true }, []string{"superseded", "never_healthy"}},
	{"OneTaskWording", func(d *ecs.Doubts) { d.OneTaskWording = true }, []string{"crash_on_start"}},
	{"MaintenanceIsTermination", func(d *ecs.Doubts) { d.MaintenanceIsTermination = true }, []string{"out_of_band_task_stop"}},
	{"InactiveUsableFor", func(d *ecs.Doubts) { d.InactiveUsableFor = 10 * time.Minute }, []string{"revert_fails", "good_revision_deregistered"}},
	{"UnboundedPercentFloored", func(d *ecs.Doubts) { d.UnboundedPercentFloored = true }, []string{"crash_on_start", "deployed_by_hand_while_rolling"}},
}

// together turns every doubt at once.
func together(d *ecs.Doubts) {
	for _, one := range doubts {
		one.turn(d)
	}
}

// representative are the stories that are told under all doubts without -long: one of each way to end, each with what is in
// flight when the account's word is late.
var representative = []string{
	"kills/first_deploy", "kills/good_update", "kills/crash_on_start", "kills/panic_in_bake", "kills/migration_fails",
	"superseded", "rolled_back_in_the_console", "image_not_pullable_in_the_roll", "never_healthy", "no_capacity", "migration_lost",
	"ledger_lost_in_roll", "ledger_lost_in_revert", "lost_answers",
	"superseded_by_the_good_one", "window_closes_on_a_failure", "held_by_tag_while_rolling", "ledger_restored", "logs_of_the_old_version", "wave_stands_still",
}

// TestDoubtsAreAll: a point that is added to the account is told here too, each by itself.
func TestDoubtsAreAll(t *testing.T) {
	fields := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ecs.Doubts]()) {
		fields[f.Name] = true
	}
	for _, d := range doubts {
		var turned ecs.Doubts
		d.turn(&turned)
		v := reflect.ValueOf(&turned).Elem()
		if !fields[d.field] || v.FieldByName(d.field).IsZero() {
			t.Errorf("%s is no field of ecs.Doubts, was told before or is not turned", d.field)
			continue
		}
		delete(fields, d.field)
		v.FieldByName(d.field).SetZero()
		if turned != (ecs.Doubts{}) {
			t.Errorf("turning %s turns others too: %+v", d.field, turned)
		}
	}
	for name := range fields {
		t.Errorf("no story is told with %s the other way", name)
	}
}

// differences are what a story says that a doubt makes untrue, with the reason.
var differences = []struct{ story, doubt, line, why string }{
	{"ledger_lost_in_roll", "StaleReadMax", "expect 2 RegisterTaskDefinition requests",
		"a controller without a ledger may read the service as it was before the roll; it then registers the same content once more and rolls that"},
}

// everything is the name of all doubts at once.
const everything = "all"

// readUnder reads a story without the lines that the doubt makes untrue.
func readUnder(t *testing.T, file, doubt string) *Story {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		if d.story != nameOf(file) || d.doubt != doubt && doubt != everything {
			continue
		}
		if !bytes.Contains(data, []byte("\n"+d.line+"\n")) {
			t.Fatalf("%s has no line %q", file, d.line)
		}
		data = bytes.Replace(data, []byte("\n"+d.line+"\n"), []byte("\n\n"), 1)
	}
	s, err := Read(filepath.Base(file), data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nameOf is a story's name: first_deploy, or kills/first_deploy.
func nameOf(file string) string {
	return strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".txtar")
}

// chosen reports whether a story is told under the doubt: each one with -long.
func chosen(d doubt, story string) bool { return *long || slices.Contains(d.stories, story) }

// TestDoubts tells the stories with each doubt turned on its own, and with all of them: the controller depends on none, so
// every line comes true, deadlines as well, and the end is the one that the documents' plain reading comes to.
func TestDoubts(t *testing.T) {
	if testing.Short() {
		t.Skip("the stories are told without doubts")
	}
	for _, file := range allStories(t) {
		var under []doubt
		for _, d := range doubts {
			if chosen(d, nameOf(file)) {
				under = append(under, d)
			}
		}
		if all := (doubt{everything, together, representative}); chosen(all, nameOf(file)) {
			under = append(under, all)
		}
		if len(under) == 0 {
			continue
		}
		t.Run(strings.ReplaceAll(nameOf(file), "/", "_"), func(t *testing.T) {
			t.Parallel()
			plain := tell(t, read(t, file), nil)
			for _, d := range under {
				for seed := uint64(1); seed <= seeds(d); seed++ {
					t.Run(fmt.Sprintf("%s_%d", d.field, seed), func(t *testing.T) {
						t.Parallel()
						w := tell(t, readUnder(t, file, d.field), func(o *Options) { d.turn(&o.Doubts); o.Seed = seed })
						if diff := cmp.Diff(outcomeOf(plain), outcomeOf(w)); !t.Failed() && diff != "" {
							t.Errorf("the end is another one (-as the documents read +under doubt):\n%s\n%s", diff, w.Journal())
						}
					})
				}
			}
		})
	}
}

func allStories(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"testdata/*.txtar", "testdata/kills/*.txtar"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal("there are no stories", err)
		}
		files = append(files, found...)
	}
	for _, d := range append(slices.Clone(doubts), doubt{everything, together, representative}) {
		for _, name := range d.stories {
			if !slices.Contains(files, filepath.FromSlash("testdata/"+name+".txtar")) {
				t.Fatalf("%s is to be told in %s, which does not exist", d.field, name)
			}
		}
	}
	return files
}

// seeds is with how many seeds a doubt is told: how stale a read is and how late a record comes is drawn, up to the longest.
func seeds(d doubt) uint64 {
	if *long && (d.field == everything || strings.HasSuffix(d.field, "Max")) {
		return 3
	}
	return 1
}

// TestKillsUnderDoubts kills the controller at every moment of the canonical stories with all doubts turned: records come
// late and reads are stale just when a controller that was killed looks for what it did.
func TestKillsUnderDoubts(t *testing.T) {
	if !*long {
		t.Skip("takes minutes; -long tells it")
	}
	for _, file := range allStories(t) {
		name, canonical := strings.CutPrefix(nameOf(file), "kills/")
		if !canonical {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := read(t, file)
			undisturbed := tell(t, s, func(o *Options) { together(&o.Doubts) })
			want := outcomeOf(undisturbed)
			for _, k := range undisturbed.Kills() {
				t.Run(k.String(), func(t *testing.T) {
					t.Parallel()
					w := tell(t, s, func(o *Options) { together(&o.Doubts); o.Kill = &k })
					if diff := cmp.Diff(want, outcomeOf(w)); !t.Failed() && diff != "" {
						t.Errorf("the end is another one (-undisturbed +killed):\n%s\n%s", diff, w.Journal())
					}
				})
			}
		})
	}
}
