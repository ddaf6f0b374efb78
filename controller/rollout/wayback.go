package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// WayBack is whether what runs could be started again: told before it is needed, since the next task that has to be replaced
// needs it, and the next rollout too.
type WayBack struct {
	At     time.Time `json:"at"`               // when it was last looked at
	Reason string    `json:"reason,omitempty"` // why not; empty where nothing is known to be missing
	Unseen string    `json:"unseen,omitempty"` // why it may not be looked at; empty where it was, or where that passes by itself
}

const (
	// wayBackEvery is how often a settled service is looked at for it. Images expire by the day, and the look costs a call for
	// the revision, its image and each of its secrets.
	wayBackEvery = 6 * time.Hour
	// wayBackAgain is how often it is looked at while something is missing.
	wayBackAgain = 15 * time.Minute
)

// lacks says why the last good version cannot be put back, empty where it can. A revision that was only deregistered is registered
// again, where its content is remembered. One that was taken over may name its image by a tag, and would start another image
// once that was moved.
func (g Good) lacks(s observed.Startable) string {
	for _, name := range slices.Sorted(maps.Keys(s.Tagged)) {
		if c, ok := g.Target.Containers.Get(name); ok && s.Tagged[name] != c.Digest {
			return fmt.Sprintf("its image's tag %s is another image in the registry now", c.Tag)
		}
	}
	if s.OK || s.Lacks == observed.LackRevision && len(g.Target.Containers) > 0 {
		return ""
	}
	return cmp.Or(s.Reason, "it was not looked at")
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
	case !ok: // it is looked at again soon, and told where that would come to the same
		rec.WayBack.At, rec.WayBack.Unseen = in.Now.Add(wayBackAgain-every), ""
		if m, lacks := in.Seen.Lacks(observed.FactStartable); lacks && m.Kind == string(fault.Blocked) {
			rec.WayBack.Unseen = m.Message
		}
	default:
		*rec.WayBack = WayBack{At: in.Now, Reason: rec.Good.lacks(s)}
	}
	return rec, nil
}
