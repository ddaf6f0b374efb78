package notify

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
)

// The bounds of texts, in runes.
const (
	subjectMax = 120
	versionMax = 60
	summaryMax = 200
	whyMax     = 1200
)

const (
	nextFix      = "Push a fix, or raise spec.retry to try it again."
	nextByItself = "Nothing: it goes on by itself."
	nextRetries  = "It is tried again by itself."
)

// message is what a step of a rollout is told as.
func (s step) message(in Input, m Mark, joins bool) *Message {
	e := s.entry
	event := eventOf(e, s.ended)
	msg := in.message(event, s.at, rolloutKey(in.Environment, in.Record.Service, e, event))
	first := e.Number
	if joins {
		first = m.Thread.First
	}
	msg.Thread = fmt.Sprintf("%s/%s/rollouts/%d", in.Environment, in.Record.Service, first)
	msg.Evidence = in.link("rollouts", fmt.Sprint(e.Number))
	msg.Rollout = facts(s)
	if s.ended && event != Good {
		msg.Reason = reasonOf(e)
	}
	version := nameOf(e)
	msg.Summary, msg.Why, msg.Next = told(event, version, s)
	msg.Summary = in.Record.Service + ": " + msg.Summary
	return msg.plain()
}

// told is summary, why and next of a step.
func told(event Event, version string, s step) (summary, why, next string) {
	e := s.entry
	why = sentence(e.Message)
	step := condition.Step(reasonOf(e))
	switch event {
	case Begun:
		return "the rollout of " + version + " has begun", because(e), nextByItself
	case Good:
		return version + " is good", fmt.Sprintf("Every check passed for the whole bake, %s after the rollout began.", span(e)), ""
	case Rejected:
		return fmt.Sprintf("%s was rejected%s", version, inBrackets(reasonOf(e))), why, joined(step, nextFix)
	case Superseded:
		return "something newer took the place of " + version, why, nextByItself
	case Reverting:
		return version + " is being put back", "The version after it failed.", nextByItself
	case Reverted:
		return "the last good version " + version + " serves again", why, nextFix
	case RevertFailed:
		return "putting " + version + " back did not come true" + inBrackets(reasonOf(e)), why,
			joined("Look at the service in ECS at once: it is not known that any version serves well.", step, nextFix)
	case Restoring:
		return version + " is being restored", "Somebody else has deployed something that git does not ask for.", nextByItself
	case Restored:
		return version + " is restored", why, "Find who deployed something else, if nobody knows."
	case Stalled:
		return fmt.Sprintf("the rollout of %s has stalled%s", version, inBrackets(reasonOf(e))), why, joined(step, nextFix)
	case Blocked:
		return fmt.Sprintf("the rollout of %s is blocked%s", version, inBrackets(reasonOf(e))), why, joined(step, nextRetries)
	}
	return string(event), why, ""
}

// because is why a deploy has begun.
func because(e rollout.Entry) string {
	switch e.Trigger {
	case rollout.TriggerTemplate:
		return "The template of its task definition has changed."
	case rollout.TriggerSecret:
		return "A secret has a new value."
	case rollout.TriggerRetry:
		return "It is tried again, as " + commit(e) + " asks."
	}
	return "It is what " + commit(e) + " asks for."
}

func commit(e rollout.Entry) string {
	c := e.Commit
	out := "commit " + c.Short()
	if subject := clip(plain(rollout.Redact(c.Subject)), subjectMax); subject != "" {
		out += " “" + subject + "”"
	}
	if author := clip(plain(c.Author), subjectMax); author != "" {
		out += " by " + author
	}
	return out
}

// conditionMessage is what a condition is told as when it begins.
func conditionMessage(in Input, m Mark, s standing) *Message {
	rec := in.Record
	msg := in.message(s.event, s.since, conditionKey(in.Environment, rec.Service, s.event, m.Told[s.event]))
	status := condition.Of(condition.Input{Record: rec})
	msg.Reason, msg.Why, msg.Next = s.reason, status.Why, status.Next
	msg.Evidence = in.link("", "")
	switch s.event {
	case Invalid:
		msg.Summary = "its file is invalid, and its last valid version counts"
		msg.Why, msg.Next = sentence(*in.Invalid), "Mend the file; controller validate shows every error before a commit does."
	case Stalled:
		msg.Summary = "nothing more is tried" + inBrackets(s.reason)
		if rec.Stalled != nil {
			msg.Why, msg.Next = sentence(rec.Stalled.Message), joined(condition.Step(s.reason), nextFix)
			msg.Evidence = in.link("rollouts", fmt.Sprint(rec.Stalled.Rollout))
		}
	case Blocked:
		msg.Summary = "something is missing" + inBrackets(s.reason)
		if t := rec.Trouble; t != nil {
			msg.Summary = "the controller cannot work on it" + inBrackets(s.reason)
			msg.Why, msg.Next = sentence(t.Message), joined(condition.Step(s.reason), nextRetries)
		}
	}
	if t := m.Thread; t != nil && t.Last == rec.Generation && s.event != Invalid {
		msg.Thread = fmt.Sprintf("%s/%s/rollouts/%d", in.Environment, rec.Service, t.First)
	}
	msg.Summary = rec.Service + ": " + msg.Summary
	return msg.plain()
}

var overs = map[Event]string{Blocked: "what was missing is there again", Stalled: "it is not stalled any more", Invalid: "its file is valid again"}

// resolved is what the end of a condition is told as.
func resolved(in Input, m Mark, of Event, o Opened) *Message {
	msg := in.message(Resolved, time.Time{}, o.Key+"/resolved")
	status := condition.Of(condition.Input{Record: in.Record})
	msg.Thread, msg.Why, msg.Next, msg.Evidence = o.Key, status.Why, status.Next, in.link("", "")
	if t := m.Thread; t != nil && o.Post != "" && o.Post == t.Post {
		msg.Thread = fmt.Sprintf("%s/%s/rollouts/%d", in.Environment, in.Record.Service, t.First)
	}
	msg.At = in.Record.Since
	if of == Invalid {
		msg.At = in.InvalidAt.UTC()
	}
	msg.Summary = in.Record.Service + ": " + overs[of]
	return msg.plain()
}

func (in Input) message(event Event, at time.Time, key string) *Message {
	msg := &Message{Schema: Schema, Key: key, Event: event, Severity: severities[event], At: at.UTC(), Environment: in.Environment, Service: in.Record.Service, Thread: key}
	if i := in.Record.Intent; i != nil {
		msg.Labels = maps.Clone(i.Service.Metadata.Labels)
	}
	return msg
}

// link is an address of the page, empty where it has none.
func (in Input) link(parts ...string) string { return link(in.Page, in.Record.Service, parts...) }

func link(page, service string, parts ...string) string {
	if page == "" {
		return ""
	}
	out := strings.TrimSuffix(page, "/") + "/services/" + url.PathEscape(service)
	for _, p := range parts {
		if p != "" {
			out += "/" + url.PathEscape(p)
		}
	}
	return out
}

func facts(s step) *RolloutFacts {
	e := s.entry
	f := &RolloutFacts{
		Number: e.Number, Kind: string(e.Kind), Trigger: string(e.Trigger), Images: e.Images, StartedAt: e.StartedAt.UTC(),
		Commit: CommitFact{SHA: e.Commit.SHA, Author: clip(plain(e.Commit.Author), subjectMax), Subject: clip(plain(rollout.Redact(e.Commit.Subject)), subjectMax)},
	}
	if s.ended {
		ended := e.EndedAt.UTC()
		f.Result, f.EndedAt = string(e.Result), &ended
		if e.Evidence != nil {
			f.Check = e.Evidence.Check
		}
	}
	return f
}

// nameOf is a version as people name it: the tags of its images, each once. It leaves room for what is said of it in the one line.
func nameOf(e rollout.Entry) string {
	var tags []string
	for _, image := range e.Images {
		if _, tag, _ := strings.Cut(image, ":"); tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return clip(cmp.Or(strings.Join(tags, ", "), e.Commit.Short(), fmt.Sprintf("rollout %d", e.Number)), versionMax)
}

// span is how long the rollout took, to the second.
func span(e rollout.Entry) string {
	return e.EndedAt.Sub(e.StartedAt).Round(time.Second).String()
}

// joined are sentences with a space between those that are there, each once.
func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return strings.Join(out, " ")
}

func inBrackets(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// position is where an error of a file is; whoever pastes it wants it as it is.
var position = regexp.MustCompile(`^[^\s:]+:\d+:\d+: `)

// sentence begins with a capital and ends with a stop, unless it begins with a position.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || position.MatchString(s) {
		return s
	}
	if last, _ := utf8.DecodeLastRuneInString(s); !strings.ContainsRune(".!?…", last) {
		s += "."
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// plain makes of all texts what can only be read: one line, and nothing that changes the direction of what follows.
func (m *Message) plain() *Message {
	m.Summary, m.Why, m.Next = clip(plain(m.Summary), summaryMax), clip(plain(m.Why), whyMax), clip(plain(m.Next), whyMax)
	return m
}

func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case !unicode.IsPrint(r):
			return -1 // controls, and formats such as those of bidirectional text
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	return strings.Join(strings.Fields(s), " ")
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
