package story

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
)

// The same seed makes the same requests at the same times in the same order, and the same faults meet them.
func TestWanderRepeatsItself(t *testing.T) {
	for _, seed := range []uint64{3, 7, 19, 42} {
		script := Random(seed, 40)
		if script != Random(seed, 40) {
			t.Fatalf("seed %d draws two stories", seed)
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
			t.Errorf("seed %d: two runs differ:\n%s", seed, diff)
		}
		// What happens in one instant without a request of the controller's has no order.
		if diff := cmp.Diff(sorted(first.Journal()), sorted(second.Journal())); diff != "" {
			t.Errorf("seed %d: two journals differ:\n%s", seed, diff)
		}
	}
}

func sorted(journal string) []string {
	return slices.Sorted(strings.Lines(journal))
}

// Every drawn story is a script of the language, with at least three faults and an end in which all is well, and each family is
// drawn often.
func TestRandomDrawsStories(t *testing.T) {
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
