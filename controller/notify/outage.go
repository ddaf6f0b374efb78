package notify

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// What outages of the whole environment are of, beside the causes that services have in common.
const (
	causeGit  = "git"
	causeFile = "environment.yaml"
)

// Whole is what there is to tell of the environment as a whole.
type Whole struct {
	Environment string
	Page        string
	Now         time.Time
	GitKnown    bool // git was asked since the start
	GitError    string
	GitSince    time.Time // since when it cannot be read
	File        *string   // why environment.yaml is invalid; empty: it is valid; nil: not known
	FileAt      time.Time
	Settings    Settings
}

// planWhole is what is to be told of the environment besides the trouble of services.
func planWhole(w Whole, m Mark) []Due {
	var out []Due
	if d, ok := w.git(m); ok {
		out = append(out, d)
		m = m.After(d, "")
	}
	if d, ok := w.file(m); ok {
		out = append(out, d)
	}
	return out
}

func (w Whole) git(m Mark) (Due, bool) {
	open, told := m.Outages[causeGit]
	away := w.GitError != ""
	switch {
	case !w.GitKnown || away == told:
		return Due{}, false
	case away:
		d := Due{outageOf: causeGit, NotBefore: w.GitSince.Add(w.Settings.OutageAfter)}
		d.Message = w.message(Outage, w.GitSince, m.Told[Outage])
		d.Message.Reason = "GitUnreachable"
		d.Message.Summary, d.Message.Why = "git cannot be read", sentence(w.GitError)
		d.Message.Next = "Look at the git server and at the controller's way to it. What runs goes on as git last asked; reverts wait for nothing."
		d.Message.plain()
		return d, true
	}
	d := Due{over: causeGit, Post: open.Post, Message: w.over(open, "git can be read again", "")}
	return d, true
}

func (w Whole) file(m Mark) (Due, bool) {
	open, told := m.Outages[causeFile]
	switch {
	case w.File == nil || (*w.File != "") == told:
		return Due{}, false
	case !told:
		d := Due{outageOf: causeFile, NotBefore: w.FileAt}
		d.Message = w.message(Invalid, w.FileAt, m.Told[Invalid])
		d.Message.Reason = "InvalidManifest"
		d.Message.Summary, d.Message.Why = "environment.yaml is invalid, and its last valid version counts", sentence(*w.File)
		d.Message.Next = "Mend the file; controller validate shows every error before a commit does."
		d.Message.plain()
		return d, true
	}
	msg := w.over(open, "environment.yaml is valid again", "")
	if msg != nil {
		msg.Event, msg.Severity = Resolved, severities[Resolved]
	}
	return Due{over: causeFile, Post: open.Post, Message: msg}, true
}

func (w Whole) message(event Event, at time.Time, n int) *Message {
	key := conditionKey(w.Environment, "", event, n)
	return &Message{Schema: Schema, Key: key, Thread: key, Event: event, Severity: severities[event], At: at.UTC(), Environment: w.Environment, Evidence: w.Page}
}

// over is nil where nobody was told of the beginning.
func (w Whole) over(o Opened, summary, why string) *Message {
	if o.Silent {
		return nil
	}
	msg := &Message{Schema: Schema, Key: o.Key + "/over", Thread: o.Key, Event: OutageOver, Severity: severities[OutageOver], At: w.Now.UTC(),
		Environment: w.Environment, Evidence: w.Page, Summary: summary, Why: why}
	return msg.plain()
}

// troubled are the services that one receiver is to be told of, or was told of, for one cause.
type troubled struct {
	waiting []string // not told yet
	told    []string // told one by one, or within an outage, and it lasts
	since   time.Time
	why     string
	next    string
}

// enough reports whether a cause is an outage: as many services as the settings say, or all of a smaller environment.
func enough(count, services int, s Settings) bool {
	return count >= max(2, min(s.OutageServices, services))
}

// openOutage is the one message for many services.
func (w Whole) openOutage(cause string, t troubled, m Mark) Due {
	names := slices.Sorted(maps.Keys(setOf(t.waiting, t.told)))
	d := Due{outageOf: cause}
	d.Message = w.message(Outage, t.since, m.Told[Outage])
	d.Message.Reason = cause
	d.Message.Count = len(names)
	d.Message.Services = names[:min(len(names), ServicesMax)]
	d.Message.Summary = fmt.Sprintf("%d services have the same trouble (%s)", len(names), cause)
	d.Message.Why, d.Message.Next = sentence(t.why), t.next
	d.Message.plain()
	return d
}

// closeOutage is the word that it is over; still are the services that have not come out of it.
func (w Whole) closeOutage(cause string, still []string, open Opened) Due {
	why := "No service has it any more."
	if len(still) > 0 {
		slices.Sort(still)
		why = "Still in it, and told no more unless it changes: " + named(still[:min(len(still), ServicesMax)], len(still)) + "."
	}
	return Due{over: cause, Post: open.Post, Message: w.over(open, "the trouble of many services is over ("+cause+")", why)}
}

func setOf(lists ...[]string) map[string]bool {
	out := map[string]bool{}
	for _, l := range lists {
		for _, s := range l {
			out[s] = true
		}
	}
	return out
}
