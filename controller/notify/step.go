package notify

import (
	"cmp"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/rollout"
)

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
