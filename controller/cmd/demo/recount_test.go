package main

import "testing"

// The count at the end would notice each way in which an order can go wrong.
func TestRecountNoticesWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		found   []listed
		waiting int
		good    bool
	}{
		"all there":       {[]listed{{"A", "accepted"}, {"B", "accepted"}}, 0, true},
		"one waits":       {[]listed{{"A", "accepted"}, {"B", "placed"}}, 1, true},
		"one lost":        {[]listed{{"A", "accepted"}}, 0, false},
		"one twice":       {[]listed{{"A", "accepted"}, {"B", "accepted"}, {"B", "accepted"}}, 0, false},
		"nobody's":        {[]listed{{"A", "accepted"}, {"B", "accepted"}, {"C", "accepted"}}, 0, false},
		"wrongly refused": {[]listed{{"A", "cancelled"}, {"B", "accepted"}}, 0, false},
	} {
		v := newVisitor("")
		v.placed["A"], v.placed["B"] = true, true
		if waiting, err := v.compare(tc.found); waiting != tc.waiting || (err == nil) != tc.good {
			t.Errorf("%s: %d wait, error %v", name, waiting, err)
		}
	}
}
