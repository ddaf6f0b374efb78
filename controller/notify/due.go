package notify

import (
	"cmp"
	"fmt"
	"time"

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
	InvalidAt   time.Time       // since when it is invalid, or is not
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
		if m.past(s.number, s.ended) || s.at.Before(in.From) && m.Number == 0 {
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

func rolloutKey(environment, service string, e rollout.Entry, event Event) string {
	return fmt.Sprintf("%s/%s/%d-%d/%s", environment, service, e.Number, e.StartedAt.Unix(), event)
}

func conditionKey(environment, service string, event Event, n int) string {
	return fmt.Sprintf("%s/%s/%s-%d", environment, service, event, n)
}
