package rollout

import (
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// WayBack is whether what runs could be started again: told before it is needed, since the next task that has to be replaced
// needs it, and the next rollout too.
type WayBack struct {
	At     time.Time `json:"at"`               // when it was last looked at
	Reason string    `json:"reason,omitempty"` // why not; empty where nothing is known to be missing
}

const (
	// wayBackEvery is how often a settled service is looked at for it. Images expire by the day, and the look costs a call for
	// the revision, its image and each of its secrets.
	wayBackEvery = 6 * time.Hour
	// wayBackAgain is how often it is looked at while something is missing.
	wayBackAgain = 15 * time.Minute
)

// returns reports whether the last good version can be put back. A revision that was only deregistered is registered again,
// where its content is remembered.
func (g Good) returns(s observed.Startable) bool {
	return s.OK || s.Lacks == observed.LackRevision && len(g.Target.Containers) > 0
}

// wayBack looks, now and then, whether the last good revision, which serves, could be started again.
func wayBack(in Input, rec Record) (Record, *observed.Look) {
	if rec.WayBack == nil {
		// A record of an older controller: its turn is counted from its verdict, so that not all of them come at once.
		rec.WayBack = &WayBack{At: in.Now.Add(-in.Now.Sub(rec.Good.At) % wayBackEvery)}
	}
	every := wayBackEvery
	if rec.WayBack.Reason != "" {
		every = wayBackAgain
	}
	if in.Now.Before(rec.WayBack.At.Add(every)) {
		return rec, nil
	}
	if !contains(in.Look.Startable, rec.Good.Revision) {
		return rec, &observed.Look{Startable: []string{rec.Good.Revision}}
	}
	s, ok := in.Seen.Startable[rec.Good.Revision]
	switch {
	case !ok: // nothing is told of what could not be looked at; it is looked at again soon
		rec.WayBack.At = in.Now.Add(wayBackAgain - every)
	case rec.Good.returns(s):
		*rec.WayBack = WayBack{At: in.Now}
	default:
		*rec.WayBack = WayBack{At: in.Now, Reason: s.Reason}
	}
	return rec, nil
}
