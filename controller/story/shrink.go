package story

import (
	"slices"
	"strings"
)

// Shrink makes a failing story shorter: whatever can be left out without its failing in another way is left out. It gives up
// after so many tellings.
func Shrink(script string, tellings int, fails func(script string) bool) string {
	lines := strings.Split(strings.TrimRight(script, "\n"), "\n")
	for size := max(1, len(lines)/2); size >= 1; size /= 2 {
		for from := 0; from < len(lines); {
			shorter := slices.Delete(slices.Clone(lines), from, min(len(lines), from+size))
			if tellings--; tellings < 0 {
				return strings.Join(lines, "\n") + "\n"
			}
			if fails(strings.Join(shorter, "\n") + "\n") {
				lines = shorter
			} else {
				from += size
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
