package story

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedsFlag = flag.Int("seeds", seedsByDefault(), "how many stories are drawn by lot (STORY_SEEDS, else 40)")
	seedFlag  = flag.Uint64("seed", 0, "draw this story only, and shorten it where it fails")
	firstFlag = flag.Uint64("first", 1, "the first seed")
	deedsFlag = flag.Int("deeds", 0, "how many deeds a drawn story has, at least; 0: as many as its seed says")
)

// seedsByDefault lets a command that tests several packages say it.
func seedsByDefault() int {
	if n, err := strconv.Atoi(os.Getenv("STORY_SEEDS")); err == nil {
		return n
	}
	return 40
}

// sampled leaves four of five stories out of a short run: the race detector, which short runs are for, is given drawn stories instead.
func sampled(i int) bool { return !testing.Short() || i%5 == 0 }

// wander tells a drawn script and answers how it failed.
func wander(t *testing.T, script string) (w *World, failure error) {
	t.Helper()
	s, err := Read("drawn", []byte(script))
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	synctest.Test(t, func(*testing.T) { w, failure = s.Tell(dir, nil) })
	return w, failure
}

// TestWander tells stories that were drawn by lot. What must always hold is held to after each request that takes effect,
// and in the end everything must come to rest and take a good version.
func TestWander(t *testing.T) {
	first, last := *firstFlag, *firstFlag+uint64(*seedsFlag)-1
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	sum := tally{families: map[string]int{}}
	t.Cleanup(func() {
		t.Log(sum.String())
		if missing := sum.missing(); missing != nil {
			t.Errorf("in %d stories nothing came true of %q", sum.seeds, missing)
		}
	})
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			drawn := draw(seed, *deedsFlag)
			script := drawn.script()
			w, err := wander(t, script)
			if err == nil {
				sum.add(w, drawn)
				return
			}
			report := ""
			if *seedFlag != 0 && w != nil {
				kind := failureKind(err)
				// The end stays: without it nothing is expected.
				script = Shrink(strings.TrimSuffix(script, endingDrawn), 400, func(shorter string) bool {
					s, again := wander(t, shorter+endingDrawn)
					if again == nil || s == nil || failureKind(again) != kind {
						return false
					}
					w, err = s, again
					return true
				}) + endingDrawn
				report = w.Journal()
			}
			t.Errorf("%v\n\n%s\n%s\nTell it again, shortened: go test ./controller/story -run 'TestWander/^%d$' -seed %d -deeds %d", err, script, report, seed, seed, *deedsFlag)
		})
	}
}

// tally is how much was simulated.
type tally struct {
	mu                             sync.Mutex
	seeds, rollouts, calls, faults int
	time                           time.Duration
	families                       map[string]int // how many deeds of each came true
}

func (s *tally) add(w *World, d *drawing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.rollouts += len(w.endings)
	for _, n := range w.account.Calls.Counts() {
		s.calls += n
	}
	lines := w.journal.entries()
	deed := ""
	for _, l := range lines {
		switch l.who {
		case "fault", "kill", "alarm", "by hand", "git", "cut", "stack":
			s.faults++
		case "story":
			if strings.HasPrefix(l.text, impossible) {
				deed = ""
				continue
			}
			s.families[d.of[deed]]++
			_, deed, _ = strings.Cut(l.text, ": ")
		}
	}
	s.time += lines[len(lines)-1].at.Sub(w.journal.began)
}

// String is what is told of it.
func (s *tally) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	fmt.Fprintf(&out, "%d seeds: %d rollouts, %d requests, %d faults and deeds by hand, %.0f hours. Of each family came true:", s.seeds, s.rollouts, s.calls, s.faults, s.time.Hours())
	for _, f := range familiesDrawn {
		fmt.Fprintf(&out, " %s %d,", f.name, s.families[f.name])
	}
	return strings.TrimSuffix(out.String(), ",")
}

// missing are the families of which nothing came true in many stories.
func (s *tally) missing() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range familiesDrawn {
		if s.seeds >= 60 && s.families[f.name] == 0 {
			out = append(out, f.name)
		}
	}
	return out
}

var (
	propertyOf = regexp.MustCompile(`property \d+`)
	phaseOf    = regexp.MustCompile(`(phase|is) [A-Z][A-Za-z]+`)
)

// failureKind is what a shortened story must still fail with: the same property, or the same line and phase at its end.
func failureKind(err error) string {
	if p := propertyOf.FindString(err.Error()); p != "" {
		return p
	}
	for _, line := range []string{"expect all at rest", "expect all healthy", "expect no write"} {
		if strings.Contains(err.Error(), line) {
			return line + " " + phaseOf.FindString(err.Error())
		}
	}
	return "other"
}
