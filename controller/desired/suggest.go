package desired

import (
	"fmt"
	"slices"
	"strings"
)

// Where there are many known words, a message shows knownShown of them; beyond comparedMax none is compared, because a file with
// many mistakes beside thousands of services would cost minutes.
const (
	knownShown  = 30
	comparedMax = 500
)

// suggest is the second half of an error about a word that is none of the known ones.
func suggest(word, what string, known []string) string {
	if len(known) == 0 {
		return "no " + what + " is known here"
	}
	if len(known) > comparedMax {
		return fmt.Sprintf("none of the %d known ones has that name", len(known))
	}
	known = slices.Sorted(slices.Values(known))
	best, distance := "", len(word)/3+2
	for _, k := range known {
		d := editDistance(strings.ToLower(word), strings.ToLower(k))
		if len(word) > 2 && strings.HasPrefix(k, word) {
			d = 1
		}
		if d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if more := len(known) - knownShown; more > 0 {
		return fmt.Sprintf("known: %s and %d more", strings.Join(known[:knownShown], ", "), more)
	}
	return fmt.Sprintf("known: %s", strings.Join(known, ", "))
}

// editDistance is Levenshtein's, over bytes, for words short enough to be names; longer ones are simply far apart.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
