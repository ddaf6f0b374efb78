package story

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedsFlag = flag.Int("seeds", 40, "how many stories are drawn by lot")
	seedFlag  = flag.Uint64("seed", 0, "draw this story only, and shorten it where it fails")
	firstFlag = flag.Uint64("first", 1, "the first seed")
	deedsFlag = flag.Int("deeds", 45, "how many lines a drawn story has, at least")
)

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
	if testing.Short() {
		last = min(last, first+11)
	}
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	var sum tally
	t.Cleanup(func() { t.Log(sum.String()) })
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			script := Random(seed, *deedsFlag)
			w, err := wander(t, script)
			if err == nil {
				sum.add(w)
				return
			}
			report := ""
			if *seedFlag != 0 && w != nil {
				kind := failureKind(err)
				script = Shrink(script, 400, func(shorter string) bool {
					s, again := wander(t, shorter)
					if again == nil || s == nil || failureKind(again) != kind {
						return false
					}
					w, err = s, again
					return true
				})
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
}

func (s *tally) add(w *World) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.rollouts += len(w.endings)
	for _, l := range w.journal.entries() {
		switch l.who {
		case whoReads, "effect":
			s.calls++
		case "fault", "kill", "alarm", "by hand", "git":
			s.faults++
		}
		s.time = max(s.time, 0)
	}
	lines := w.journal.entries()
	s.time += lines[len(lines)-1].at.Sub(w.journal.began)
}

// String is what is told of it.
func (s *tally) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d seeds: %d rollouts, %d requests, %d faults and deeds by hand, %.0f hours", s.seeds, s.rollouts, s.calls, s.faults, s.time.Hours())
}

var propertyOf = regexp.MustCompile(`property \d+`)

// failureKind is what a shortened story must still fail with: the same property, or the same line at its end.
func failureKind(err error) string {
	if p := propertyOf.FindString(err.Error()); p != "" {
		return p
	}
	for _, line := range []string{"expect all at rest", "expect all healthy", "expect no write"} {
		if strings.Contains(err.Error(), line) {
			return line
		}
	}
	return "other"
}
