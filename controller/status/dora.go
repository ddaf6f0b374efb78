package status

import (
	"cmp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/rollout"
)

// leadSeconds are the buckets of lead times: five minutes to thirty days.
var leadSeconds = []float64{300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 345600, 604800, 1209600, 2592000}

// The ways back to health after a rollout that failed.
const (
	viaRevert  = "revert"
	viaForward = "roll_forward"
)

// delivery measures what the four DORA metrics are made of. The Board's lock guards it. What it remembers between a change and its
// release, a failure and its repair, is lost with the process: then nothing is measured, or from the record's word.
type delivery struct {
	lead, restore *prometheus.HistogramVec
	made          func(id string) (time.Time, bool) // when a commit was made
	waiting       map[string]time.Time              // by service: the oldest change that was begun and is not released
	failing       map[string]time.Time              // by service: since when a rollout has failed and nothing took its place
}

func newDelivery(lead, restore *prometheus.HistogramVec) delivery {
	return delivery{
		lead: lead, restore: restore, waiting: map[string]time.Time{}, failing: map[string]time.Time{},
		made: func(string) (time.Time, bool) { return time.Time{}, false },
	}
}

// Commits names who is asked when a commit was made, by the first digits of its id. Images are labelled with the commit that they
// were built of; of one that is not, or whose label is not known, the tag is tried, which often is that commit's first digits.
func (b *Board) Commits(made func(id string) (time.Time, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivery.made = made
}

func (d *delivery) forget(service string) {
	delete(d.waiting, service)
	delete(d.failing, service)
}

// ended takes in one finished rollout. before is what was told of the service before it, nil for nothing.
func (d *delivery) ended(e rollout.Entry, before *View) {
	if e.Kind == rollout.KindDeploy && (e.Trigger == rollout.TriggerGit || e.Trigger == rollout.TriggerRetry) {
		d.change(e, before)
	}
	switch {
	case e.Kind == rollout.KindDeploy && e.Evidence != nil && rolled(e):
		if _, already := d.failing[e.Service]; !already {
			d.failing[e.Service] = e.Evidence.At
		}
	case e.Result == rollout.ResultSucceeded:
		d.restored(e, viaForward)
	case e.Result == rollout.ResultReverted:
		if _, known := d.failing[e.Service]; !known && before != nil {
			if r := before.Record.Rejected; len(r) > 0 && r[0].Rollout == e.Number-1 {
				d.failing[e.Service] = r[0].At // told to the process before this one
			}
		}
		d.restored(e, viaRevert)
	}
}

func (d *delivery) restored(e rollout.Entry, via string) {
	since, failed := d.failing[e.Service]
	if failed {
		d.restore.WithLabelValues(via).Observe(max(0, e.EndedAt.Sub(since).Seconds()))
		delete(d.failing, e.Service)
	}
}

// change notes a change that was begun, and measures its lead time where it was released: from the commit that the image was built
// of, or where no image is another one than before, from the commit that asked. A change that was overtaken or rejected lends its
// time to the one that is released in its place.
func (d *delivery) change(e rollout.Entry, before *View) {
	if made, known := d.begun(e, before); known {
		if oldest, waits := d.waiting[e.Service]; !waits || made.Before(oldest) {
			d.waiting[e.Service] = made
		}
	}
	if e.Result != rollout.ResultSucceeded {
		return
	}
	if oldest, known := d.waiting[e.Service]; known {
		d.lead.WithLabelValues().Observe(max(0, e.EndedAt.Sub(oldest).Seconds()))
		delete(d.waiting, e.Service)
	}
}

// begun is when the change was made, as far as it is known. A way back to an older image is a change of the day it was asked for.
func (d *delivery) begun(e rollout.Entry, before *View) (made time.Time, known bool) {
	var old rollout.Containers
	var newest time.Time
	if before != nil && before.Record.Good != nil {
		old = before.Record.Good.Target.Containers
		for _, c := range old.All() {
			if at, ok := d.made(commitOf(c.Tag, before.Built[c.Digest])); ok && at.After(newest) {
				newest = at
			}
		}
	}
	other := false
	for i, image := range e.Images {
		name, tag, _ := strings.Cut(image, ":")
		if c, is := old.Get(name); is && same(c, tag, nth(e.Digests, i)) {
			continue
		}
		other = true
		if at, ok := d.made(commitOf(tag, nth(e.Built, i))); ok && (!known || at.Before(made)) {
			made, known = at, true
		}
	}
	if !other || known && made.Before(newest) {
		return e.Commit.At, !e.Commit.At.IsZero()
	}
	return made, known
}

// same reports whether a container's image is the one with the tag and the digest: by the digest, where both are known.
func same(c rollout.Container, tag, digest string) bool {
	if c.Digest != "" && digest != "" {
		return c.Digest == digest
	}
	return c.Tag == tag
}

// commitOf is the commit that an image was built of: what its label says, which is meant for that and does not move; where it says
// nothing, the tag.
func commitOf(tag, label string) string { return cmp.Or(label, tag) }

func nth(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// rolled reports whether the rollout came as far as to touch the service.
func rolled(e rollout.Entry) bool {
	for _, s := range e.Spans {
		if s.Stage == rollout.StageRoll {
			return true
		}
	}
	return false
}

// settled forgets a change that nobody waits for any more: git asks again for what runs.
func (d *delivery) settled(v *View) {
	if v.Record.State == rollout.StateSettled {
		delete(d.waiting, v.Record.Service)
	}
}
