package story

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
)

// The same seed makes the same requests at the same times in the same order, and the same faults meet them. The stories that are told
// twice have every family among them.
func TestWanderRepeatsItself(t *testing.T) {
	if testing.Short() {
		t.Skip("each story is told with the race detector once, by TestWander and TestStories")
	}
	for _, seed := range append([]uint64{3, 7}, covering()...) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			script := Random(seed, 40)
			if script != Random(seed, 40) {
				t.Fatal("it draws two stories")
			}
			first, err := wander(t, script)
			if err != nil {
				t.Fatal(err)
			}
			second, err := wander(t, script)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(calls(first), calls(second)); diff != "" {
				t.Errorf("two runs differ:\n%s", diff)
			}
			// What happens in one instant without a request of the controller's has no order.
			if diff := cmp.Diff(sorted(first.Journal()), sorted(second.Journal())); diff != "" {
				t.Errorf("two journals differ:\n%s", diff)
			}
		})
	}
}

// covering are a few seeds whose stories have every family among them.
func covering() (seeds []uint64) {
	left := map[string]bool{}
	for _, f := range familiesDrawn {
		left[f.name] = true
	}
	for len(left) > 0 {
		var best uint64
		var most map[string]bool
		for seed := range uint64(300) {
			news := map[string]bool{}
			for _, f := range draw(seed, 40).of {
				news[f] = left[f]
			}
			maps.DeleteFunc(news, func(_ string, is bool) bool { return !is })
			if len(news) > len(most) {
				best, most = seed, news
			}
		}
		seeds = append(seeds, best)
		maps.DeleteFunc(left, func(f string, _ bool) bool { return most[f] })
	}
	return seeds
}

func sorted(journal string) []string {
	return slices.Sorted(strings.Lines(journal))
}

// Every drawn story is a script of the language, with at least three faults and an end in which all is well, and each family is
// drawn often.
func TestRandomDrawsStories(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing in it is concurrent")
	}
	families, troubles := map[string]int{}, map[string]int{}
	const seeds = 1000
	for seed := range uint64(seeds) {
		d := draw(seed, 45)
		if _, err := Read("drawn", []byte(d.script())); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, d.script())
		}
		if d.faults < 3 {
			t.Errorf("seed %d has %d faults", seed, d.faults)
		}
		for _, line := range d.lines {
			families[d.of[line]]++
			if name, is := strings.CutPrefix(line, "perhaps what if "); is {
				name, _, _ = strings.Cut(name, " ")
				troubles[name]++
			}
		}
	}
	for _, f := range familiesDrawn {
		if families[f.name] < seeds/20 {
			t.Errorf("%q is drawn %d times in %d stories", f.name, families[f.name], seeds)
		}
	}
	for name := range troublesDrawn {
		if troubles[name] == 0 {
			t.Errorf("%q of the account's catalogue is not drawn in %d stories", name, seeds)
		}
	}
}

// Every fault of the account's catalogue is drawn, or it is said why it is not.
func TestTroublesAreWhole(t *testing.T) {
	for name := range sim.FaultNames() {
		if drawn, not := troublesDrawn[name] != "", troublesNotDrawn[name] != ""; drawn == not {
			t.Errorf("%s: drawn %t, and said why not %t", name, drawn, not)
		}
	}
}

// Shrink keeps what makes a story fail and drops the rest.
func TestShrink(t *testing.T) {
	var lines []string
	for i := range 64 {
		lines = append(lines, strings.Repeat("x", i))
	}
	lines[17], lines[40] = "cause", "effect"
	tellings := 0
	got := Shrink(strings.Join(lines, "\n"), 1000, func(s string) bool {
		tellings++
		cause, effect := strings.Index(s, "cause\n"), strings.Index(s, "effect\n")
		return cause >= 0 && effect > cause
	})
	if got != "cause\neffect\n" || tellings > 200 {
		t.Errorf("after %d tellings: %q", tellings, got)
	}
}
