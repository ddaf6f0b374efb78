package status

import (
	"slices"

	"github.com/canteen/deploy/controller/condition"
)

// alike are the lists of conditions that services share. The Board's lock guards it.
type alike [][]condition.Condition

// alikeMax bounds how many lists of conditions are shared: those that one service alone has are not.
const alikeMax = 64

// share gives services of which the same is told the same memory for it. What has no message of its own is one of few.
func (a *alike) share(s *condition.Status) {
	if slices.Equal(s.Running.Images, s.Wanted.Images) {
		s.Running.Images = s.Wanted.Images
	}
	if slices.ContainsFunc(s.Conditions, func(c condition.Condition) bool { return c.Message != "" }) {
		return
	}
	for _, known := range *a {
		if slices.Equal(known, s.Conditions) {
			s.Conditions = known
			return
		}
	}
	if len(*a) < alikeMax {
		*a = append(*a, s.Conditions)
	}
}
