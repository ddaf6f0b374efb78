package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
)

// window reports whether one of the weekly windows is open at the given time, and when the next one opens where none is.
// No windows means always open. A window whose end is not after its start ends on the next day.
func window(windows []desired.Window, now time.Time) (opens time.Time, open bool) {
	if len(windows) == 0 {
		return time.Time{}, true
	}
	for _, w := range windows {
		zone, err := time.LoadLocation(w.Timezone)
		if err != nil {
			continue // refused when the file was read
		}
		local := now.In(zone)
		for day := -1; day <= 7; day++ {
			from, to, ok := span(w, local.AddDate(0, 0, day))
			switch {
			case !ok || !now.Before(to):
			case !now.Before(from):
				return time.Time{}, true
			case opens.IsZero() || from.Before(opens):
				opens = from
			}
		}
	}
	return opens, false
}

// span is the window's opening on the calendar day of t, in t's zone.
func span(w desired.Window, t time.Time) (from, to time.Time, ok bool) {
	day := strings.ToLower(t.Weekday().String()[:3])
	if !slices.Contains(w.Days, day) {
		return from, to, false
	}
	at := func(clock string) time.Time {
		c, err := time.Parse("15:04", clock)
		if err != nil {
			return time.Time{}
		}
		return time.Date(t.Year(), t.Month(), t.Day(), c.Hour(), c.Minute(), 0, 0, t.Location())
	}
	from, to = at(w.From), at(w.To)
	if from.IsZero() || to.IsZero() {
		return from, to, false
	}
	if !to.After(from) {
		to = to.AddDate(0, 0, 1)
	}
	return from, to, true
}
