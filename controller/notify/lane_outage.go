package notify

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/condition"
)

// wait is how long nothing of the environment becomes due by time alone.
func (w Whole) wait() time.Duration {
	if w.GitError == "" {
		return idle
	}
	if at := w.GitSince.Add(w.Settings.OutageAfter); at.After(w.Now) {
		return at.Sub(w.Now)
	}
	return idle
}

// tellWhole tells what is due of the environment. done says that something was, and that it is to be looked at again.
func (l *lane) tellWhole(ctx context.Context, w Whole) (done, ok bool) {
	for _, d := range planWhole(w, l.marks[""]) {
		switch {
		case d.NotBefore.After(w.Now):
			continue
		case d.Message == nil || !d.answers() && !l.n.opts.Config.routes(l.name, *d.Message):
			l.marks[""] = l.marks[""].After(d.passed(), "")
			return true, l.keep(ctx, "")
		}
		return true, l.send(ctx, "", d)
	}
	return false, true
}

// tellOutages tells the trouble of many services as one, and that it is over.
func (l *lane) tellOutages(ctx context.Context, w Whole, services int) (done, ok bool) {
	causes := l.causes(w.Now)
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		t := causes[cause]
		_, open := l.marks[""].Outages[cause]
		switch {
		case open && len(t.waiting) > 0:
			return true, l.within(ctx, t.waiting)
		case !open && len(t.waiting) > 0 && enough(len(setOf(t.waiting, t.told)), services, w.Settings):
			return true, l.send(ctx, "", w.openOutage(cause, t, l.marks[""]))
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(l.marks[""].Outages)) {
		if cause == causeGit || cause == causeFile {
			continue
		}
		still := causes[cause].told
		if need := max(2, min(w.Settings.OutageServices, services)); len(still) > 0 && 2*len(still) > need-1 || !l.looked(w.Now) {
			continue
		}
		return true, l.send(ctx, "", w.closeOutage(cause, still, l.marks[""].Outages[cause]))
	}
	return false, true
}

// looked reports whether the trouble has had time to show again since this tenure began: what services say then is of before.
func (l *lane) looked(now time.Time) bool { return now.After(l.began) }

// causes are the services in trouble, by cause.
func (l *lane) causes(now time.Time) map[string]troubled {
	out := map[string]troubled{}
	for _, service := range slices.Sorted(maps.Keys(l.heads)) {
		d := l.heads[service]
		cause := d.Cause()
		if cause == "" || d.Early.After(now) {
			continue
		}
		t := out[cause]
		if len(t.waiting) == 0 || d.Message.At.Before(t.since) {
			t.since = d.Message.At
		}
		if t.why == "" {
			t.why, t.next = d.Message.Why, condition.Step(d.Message.Reason)
		}
		t.waiting = append(t.waiting, service)
		out[cause] = t
	}
	for service, m := range l.marks {
		for _, o := range m.Open {
			if o.Cause != "" && !o.Silent {
				t := out[o.Cause]
				if !slices.Contains(t.told, service) {
					t.told = append(t.told, service)
				}
				out[o.Cause] = t
			}
		}
	}
	return out
}

// within keeps that an outage has told what services have to be told.
func (l *lane) within(ctx context.Context, services []string) bool {
	for _, service := range services {
		d := l.heads[service]
		if !l.settle(ctx, service, d.within(), l.marks[""].Outages[d.Cause()].Post) {
			return false
		}
	}
	return true
}
