package notify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// Input is what there is to tell of one service.
type Input struct {
	Environment string
	Page        string // address of the page, for links; empty for none
	Record      rollout.Record
	Entries     []rollout.Entry // its history, in any order: at least all rollouts behind the mark, and a few before
	Invalid     *string         // why git's newest file is invalid; empty: it is valid; nil: git was not read yet
	From        time.Time       // what was so before a receiver was known is not told to it
	Settings    Settings
}

// Settings are the times and numbers of what is told when.
type Settings struct {
	BlockedAfter   time.Duration // how long a condition that passes by itself must last
	OutageAfter    time.Duration // how long it must last to count for an outage
	OutageServices int           // how many services make an outage
}

// Due is one message that a receiver was not told yet, or something that is passed over without a word.
type Due struct {
	Message *Message // nil: passed over
	// NotBefore is when a condition has lasted for long enough to be told, and Early when for an outage.
	NotBefore, Early time.Time
	Post             string // of the thread that it belongs to, where that is known

	number int // of the rollout that it is a step of
	ended  bool
	newest int  // the newest rollout when a condition was found
	joins  bool // the thread of the mark
	opens  Event
	closes Event
	tries  *string
	silent bool // it is passed over: told to nobody, or by an outage
	outage bool

	outageOf string // the cause of the outage that it opens; of the environment's mark
	over     string // of the one that it closes
}

// passed is d where the receiver is not told of it.
func (d Due) passed() Due {
	d.silent = true
	return d
}

// within is d where an outage has told it.
func (d Due) within() Due {
	d.silent, d.outage = true, true
	return d
}

// Cause is what makes messages of several services one outage; empty where they are not.
func (d Due) Cause() string {
	if d.opens == "" || d.opens == Invalid || d.Message == nil {
		return ""
	}
	return causeOf(d.Message.Reason)
}

// causeOf is one word for what looks different from call to call.
func causeOf(reason string) string {
	switch reason {
	case fault.ReasonAnswerLost, fault.ReasonCallFails, fault.ReasonThrottled:
		return fault.ReasonCallFails
	}
	return reason
}

// Plan is what the receiver with the mark is to be told of the service, oldest first. The same input and mark give the same plan;
// with the mark after its first item, the plan is what is left.
func Plan(in Input, m Mark) []Due {
	var out []Due
	for _, s := range steps(in) {
		if m.past(s.number, s.ended) || !in.From.IsZero() && !s.at.After(in.From) && m.Number == 0 {
			continue
		}
		d := s.due(in, m)
		out = append(out, d)
		m = m.After(d, "")
	}
	return append(out, conditions(in, m)...)
}

// After is the mark once d was told, or passed over; post is the receiver's own name of the message.
func (m Mark) After(d Due, post string) Mark {
	m = m.clone()
	told := d.Message != nil
	if d.number > 0 {
		m.Number, m.Ended = d.number, d.ended
		switch {
		case d.joins:
			m.Thread.Last = d.number
		case told && !d.silent:
			m.Thread = &Thread{First: d.number, Last: d.number, Post: post}
		}
	}
	if d.tries != nil {
		m.Tries = *d.tries
	}
	if d.closes != "" {
		delete(m.Open, d.closes)
	}
	if d.over != "" {
		delete(m.Outages, d.over)
	}
	if d.outageOf != "" && told {
		if m.Outages == nil {
			m.Outages = map[string]Opened{}
		}
		m.tell(d.Message.Event)
		m.Outages[d.outageOf] = Opened{Key: d.Message.Key, Cause: d.outageOf, Post: post, Silent: d.silent}
	}
	if d.opens != "" && told {
		if m.Open == nil {
			m.Open = map[Event]Opened{}
		}
		m.tell(d.opens)
		m.Open[d.opens] = Opened{Key: d.Message.Key, Cause: d.Cause(), Number: max(d.number, d.newest), Post: cmp.Or(d.Post, post), Outage: d.outage, Silent: d.silent && !d.outage}
	}
	return m
}

// step is the beginning or the end of one rollout.
type step struct {
	number int
	ended  bool
	at     time.Time
	entry  rollout.Entry // of a rollout in flight, as far as it is known
}

// steps are all of them, in order. What is in flight is told from the record, what has ended from the history.
func steps(in Input) []step {
	var out []step
	entries := slices.Clone(in.Entries)
	slices.SortStableFunc(entries, func(a, b rollout.Entry) int { return cmp.Compare(a.Number, b.Number) })
	before := 0
	for _, e := range entries {
		if e.Number == before { // an end that was told twice
			continue
		}
		before = e.Number
		out = append(out, step{e.Number, false, e.StartedAt, e}, step{e.Number, true, e.EndedAt, e})
	}
	if ro := in.Record.Rollout; ro != nil && ro.Number > before {
		out = append(out, step{ro.Number, false, ro.StartedAt, rollout.Entry{
			Service: in.Record.Service, Number: ro.Number, Kind: ro.Kind, Trigger: ro.Trigger, Ask: ro.Target.Ask, Commit: ro.Target.Commit,
			Images: ro.Target.Images(), StartedAt: ro.StartedAt,
		}})
	}
	return out
}

func (s step) due(in Input, m Mark) Due {
	e := s.entry
	d := Due{number: s.number, ended: s.ended}
	back := e.Kind == rollout.KindRevert || e.Kind == rollout.KindUndo
	if t := m.Thread; t != nil {
		d.joins = s.number == t.Last || back && s.number == t.Last+1
		if d.joins {
			d.Post = t.Post
		}
	}
	if e.Kind == rollout.KindDeploy && m.Tries != "" && (m.Tries != e.Ask || s.ended && e.Result != rollout.ResultBlocked) {
		none := ""
		d.tries = &none
	}
	if m.again(s) || back && m.quiet(s) {
		return d // a further try, or what an outage has told: nothing new
	}
	d.Message = s.message(in, m, d.joins)
	switch d.Message.Event {
	case Blocked:
		d.opens = Blocked
		d.tries = &s.entry.Ask
	case Stalled, RevertFailed:
		d.opens = Stalled
	}
	if d.opens == Blocked || d.opens == Stalled {
		d.NotBefore, d.Early = s.at, s.at
	}
	return d
}

// again reports whether the step is of a further try of what was told to be blocked, for the same reason.
func (m Mark) again(s step) bool {
	if m.Tries == "" || m.Tries != s.entry.Ask || s.entry.Kind != rollout.KindDeploy {
		return false
	}
	return !s.ended || s.entry.Result == rollout.ResultBlocked && causeOf(reasonOf(s.entry)) == m.Open[Blocked].Cause
}

func reasonOf(e rollout.Entry) string {
	if e.Evidence == nil {
		return ""
	}
	return e.Evidence.Reason
}

// quiet reports whether a revert belongs to what was told already, with an outage or with an earlier try.
func (m Mark) quiet(s step) bool {
	if s.ended && s.entry.Result == rollout.ResultRevertFailed {
		return false
	}
	if m.Tries != "" && m.Open[Blocked].Key != "" && m.Open[Blocked].Number < s.number-1 {
		return true
	}
	for _, e := range []Event{Stalled, Blocked} {
		if o, ok := m.Open[e]; ok && o.Outage {
			return true
		}
	}
	return false
}

func eventOf(e rollout.Entry, ended bool) Event {
	if !ended {
		switch e.Kind {
		case rollout.KindRevert, rollout.KindUndo:
			return Reverting
		case rollout.KindRestore:
			return Restoring
		}
		return Begun
	}
	switch e.Result {
	case rollout.ResultSucceeded:
		return Good
	case rollout.ResultRejected:
		return Rejected
	case rollout.ResultReverted:
		return Reverted
	case rollout.ResultRestored:
		return Restored
	case rollout.ResultRevertFailed:
		return RevertFailed
	case rollout.ResultBlocked:
		return Blocked
	case rollout.ResultStalled:
		return Stalled
	}
	return Superseded
}

// standing is a condition of the record as it is now.
type standing struct {
	event  Event
	since  time.Time
	holds  bool
	known  bool // whether it is known to hold or not
	passes bool // it may be over by itself: told once it has lasted
	reason string
}

func standings(in Input) []standing {
	rec := in.Record
	s := condition.Of(condition.Input{Record: rec})
	blocked := standing{event: Blocked, since: rec.Since, known: true, passes: true, reason: s.Condition(condition.Blocked).Reason,
		holds: rec.State == rollout.StateBlocked || rec.Blocked != nil || rec.Trouble != nil}
	if t := rec.Trouble; t != nil {
		blocked.since, blocked.reason = t.Since, fault.Reason(fault.Kind(t.Kind), t.Code)
	} else if rec.Blocked != nil && rec.State != rollout.StateBlocked {
		blocked.reason = rec.Blocked.Reason
	}
	stalled := standing{event: Stalled, since: rec.Since, known: true, reason: s.Condition(condition.Stalled).Reason,
		holds: rec.Stalled != nil || rec.State == rollout.StateStalled && rec.Rollout == nil}
	if rec.Stalled != nil {
		stalled.since = rec.Stalled.At
	}
	invalid := standing{event: Invalid, reason: "InvalidManifest", known: in.Invalid != nil}
	if in.Invalid != nil {
		invalid.holds = *in.Invalid != ""
	}
	return []standing{stalled, blocked, invalid}
}

// conditions are what began or ended besides rollouts.
func conditions(in Input, m Mark) []Due {
	var out []Due
	for _, s := range standings(in) {
		open, told := m.Open[s.event]
		if r := in.Record.Stalled; s.event == Stalled && r != nil && r.Rollout > open.Number {
			told = false // it is another one
		}
		switch {
		case !s.known || s.holds == told:
			continue
		case told:
			d := Due{closes: s.event, Post: open.Post}
			if !open.Outage && !open.Silent && open.Number >= m.Number && in.Record.Rollout == nil {
				d.Message = resolved(in, m, s.event, open)
			}
			out = append(out, d)
			m = m.After(d, "")
		default:
			d := Due{opens: s.event, newest: in.Record.Generation, NotBefore: s.since, Early: s.since}
			if s.passes {
				d.NotBefore, d.Early = s.since.Add(in.Settings.BlockedAfter), s.since.Add(in.Settings.OutageAfter)
			}
			if t := m.Thread; t != nil && t.Last == in.Record.Generation && s.event != Invalid {
				d.Post = t.Post
			}
			d.Message = conditionMessage(in, m, s)
			out = append(out, d)
			m = m.After(d, "")
		}
	}
	return out
}

func rolloutKey(environment, service string, e rollout.Entry, event Event) string {
	return fmt.Sprintf("%s/%s/%d-%d/%s", environment, service, e.Number, e.StartedAt.Unix(), event)
}

func conditionKey(environment, service string, event Event, n int) string {
	return fmt.Sprintf("%s/%s/%s-%d", environment, service, event, n)
}
