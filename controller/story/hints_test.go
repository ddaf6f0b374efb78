package story

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEventsMatter tells stories that promise something of events in a world without them: they must not come true, and fail at the
// line that holds the promise.
func TestEventsMatter(t *testing.T) {
	for name, line := range map[string]string{
		"events_crash_seen_at_once":         "expect the revert within 2s of the second crash",
		"events_alarm_seen_at_once":         "expect the revert within 2s of the alarm",
		"events_migration_ends_while_away":  "expect ended deploy succeeded",
		"events_migration_fails_while_away": "expect ended deploy rejected by migration",
		"events_migration_held_while_away":  "expect ended deploy succeeded",
		"events_drift_seen_at_once":         "expect drift to be seen within 3s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := read(t, "testdata/"+name+".txtar")
			s.steps = without(s.steps, "expect the sweep to be slow")
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				_, err := s.Tell(dir, func(o *Options) { o.Events = false })
				if err == nil || !strings.Contains(err.Error(), ": "+line+": ") {
					t.Errorf("without events it must fail at %q, and came to: %v", line, err)
				}
			})
		})
	}
}

func without(steps []step, text string) []step {
	var out []step
	for _, s := range steps {
		if s.text != text {
			out = append(out, s)
		}
	}
	return out
}

// TestEventsDoNoHarm tells the canonical stories with events in every trouble: they come true, and end as without events.
func TestEventsDoNoHarm(t *testing.T) {
	files, err := filepath.Glob("testdata/kills/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for i, file := range files {
		if !sampled(i) {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := read(t, file)
			want := outcomeOf(tell(t, s, nil)) // without events, but for the story that is about them
			for name, trouble := range map[string]Trouble{
				"punctual": {}, "doubled": {Doubled: 1}, "late": {LateBy: 4 * time.Minute}, "lost": {Lost: 1},
				"all_at_once": {Doubled: 0.7, Lost: 0.4, LateBy: 90 * time.Second},
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					w := tell(t, s, func(o *Options) { o.Events, o.Trouble = true, trouble })
					if diff := cmp.Diff(want, outcomeOf(w)); !t.Failed() && diff != "" {
						t.Errorf("the end is another one (-without +with events):\n%s\n%s", diff, w.Journal())
					}
				})
			}
		})
	}
}
