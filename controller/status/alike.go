package status

import (
	"slices"

	"github.com/canteen/deploy/controller/condition"
)

// alike are lists of conditions that services share: those that came newly last, and the ones that they took the place of stay with
// those who have them. The Board's lock guards it.
type alike struct {
	lists [alikeMax][]condition.Condition
	next  int
}

const alikeMax = 64

// share gives services of which the same is told the same memory for it: most of ten thousand are well, and told so in few ways.
func (a *alike) share(s *condition.Status) {
	if slices.Equal(s.Running.Images, s.Wanted.Images) {
		s.Running.Images = s.Wanted.Images
	}
	for _, list := range a.lists {
		if slices.Equal(list, s.Conditions) {
			s.Conditions = list
			return
		}
	}
	a.lists[a.next] = s.Conditions
	a.next = (a.next + 1) % alikeMax
}
