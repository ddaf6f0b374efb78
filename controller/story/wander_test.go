package story

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Every drawn story is a script of the language, with at least three faults and an end in which all is well.
func TestRandomDrawsStories(t *testing.T) {
	deeds := map[string]int{}
	for seed := range uint64(500) {
		script := Random(seed, 40)
		if _, err := Read("drawn", []byte(script)); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, script)
		}
		for line := range strings.Lines(script) {
			word, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "perhaps "), " ")
			deeds[word]++
		}
	}
	for _, word := range []string{"push", "commit", "by", "fault:", "what", "alarm", "git", "crash", "stop", "start", "take", "bring", "Fargate"} {
		if deeds[word] < 10 {
			t.Errorf("%q is drawn %d times in 500 stories", word, deeds[word])
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
