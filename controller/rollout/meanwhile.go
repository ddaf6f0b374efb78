package rollout

import (
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// meanwhile puts the last good version back where something else serves while what git asks waits, which may be for a week or for a
// person: somebody else's deployment, or a version that was left for a newer one before it had a verdict, so that nobody watches it.
// Nothing else changes: what waits begins when it may.
func meanwhile(in Input, d Decision) Decision {
	if d.Action != nil || d.Look != nil || d.again || !lasts(d.Record.State) || !errant(in, d.Record) {
		return d
	}
	back := astray(in, d.Record.clone(), d.Record.Good.Fingerprint)
	switch {
	case back.Look != nil:
		back.Look.Containers = in.Look.Containers // what was seen of them is what is waited for
	case !back.again && back.Record.State != StateDrifted:
		return d // it may not be put back either: what git asks is what there is to tell
	}
	return back
}

// lasts reports whether a state is a wait of what git asks that nobody knows the end of. A place among those that roll at once comes soon,
// and where a person or the infrastructure keeps all writes back nothing is put back either.
func lasts(s State) bool {
	return slices.Contains([]State{StateWaitingWindow, StateWaitingDependency, StateWaitingLock, StateWaitingHealth, StateMassChange, StateBlocked, StateStalled}, s)
}

// errant reports whether something serves that nobody has called good, nobody watches and nobody has decided to keep.
func errant(in Input, rec Record) bool {
	primary := in.Seen.Primary()
	switch {
	case rec.Good == nil, rec.Rollout != nil, in.Seen.Status != observed.StatusActive, in.Seen.Desired == 0, primary.ID == "", serves(in, rec):
		return false
	case rec.Stalled != nil && (final(*rec.Stalled) || rec.Stalled.Reason == ReasonContested), rec.Lost != nil && contains(rec.Lost.Behind, rec.Good.Target.Ask):
		return false // a person decides what serves then
	case !rec.hasBegun() && unread(in, primary.TaskDefinition):
		return false // it may be what freeze has left (see frozenBefore)
	case newerTags(in, rec):
		return false // another may be good since (see rebuild)
	case !ours(primary, rec):
		_, fails := failing(in) // what a person deployed may be the answer to it
		return !fails && in.Want.Policy.Drift.Action != desired.DriftReport
	}
	r, seen := in.Seen.Revisions[primary.TaskDefinition]
	return seen && rec.RejectionOf(r.Ask) == nil // one that was condemned is put back by its revert, or kept by freeze
}

// unread reports whether the revision could not be read.
func unread(in Input, revision string) bool {
	_, seen := in.Seen.Revisions[revision]
	_, lacks := in.Seen.Lacks(observed.FactRevisions)
	return !seen && lacks
}

// locked reports whether the target's migration could not begin now, because its lock is another service's or nobody knows what became of
// the one before.
func locked(in Input, rec Record, target Target) bool {
	m := target.Migration
	known := rec.Rollout == nil || rec.Rollout.Target.Migration != nil && m != nil && rec.Rollout.Target.Migration.Lock == m.Lock
	rec.Rollout = &Rollout{Kind: KindDeploy, Target: target}
	if rec.SkipsMigration() != SkipNothing {
		return false
	}
	if l := rec.Lost; l != nil && l.Key != target.Key && (!l.Ended || l.Lock != m.Lock) && rec.said() == "" {
		return true
	}
	return known && in.Want.LockHolder != "" && in.Want.LockHolder != rec.Service
}
