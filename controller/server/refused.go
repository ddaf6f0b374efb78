package server

import (
	"slices"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// refused is the finished rollout, of the newest first, whose evidence is why what git asks does not run; nil where none is, whatever
// failed before.
func refused(v *status.View, entries []Entry) *Entry {
	var why func(Entry) bool
	switch v.Status.Phase {
	case condition.PhaseReverting:
		why = putsBackAfter(v.Record.Rollout)
	case condition.PhaseReverted, condition.PhaseStalled:
		why = standsFor(v.Record)
	default:
		return nil
	}
	if i := slices.IndexFunc(entries, func(e Entry) bool { return e.Evidence != nil && why(e) }); i >= 0 {
		return &entries[i]
	}
	return nil
}

// putsBackAfter finds what failed before the revert in flight. A deploy that is just failing tells so itself.
func putsBackAfter(ro *rollout.Rollout) func(Entry) bool {
	return func(e Entry) bool {
		return ro != nil && (ro.Kind == rollout.KindRevert || ro.Kind == rollout.KindUndo) && e.Number < ro.Number && e.Ask == ro.Wanted
	}
}

// standsFor finds what the record's sentence is about: the rollout that stalled, or the one that git's ask was rejected by.
func standsFor(rec rollout.Record) func(Entry) bool {
	number := 0
	git, known := rec.Asks()
	switch verdict := rec.RejectionOf(git.Ask); {
	case rec.Stalled != nil && rec.Said == rec.Stalled.Said():
		number = rec.Stalled.Rollout
	case rec.Said == rollout.SaidWentBack:
		// It stands still for what came after it, not for what it did itself.
	case known && verdict != nil:
		number = verdict.Rollout
	}
	return func(e Entry) bool { return number > 0 && e.Number == number }
}
