package notify

import (
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

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
	invalid := standing{event: Invalid, since: in.InvalidAt, reason: "InvalidManifest", known: in.Invalid != nil}
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
