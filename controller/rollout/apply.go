package rollout

import (
	"maps"
	"time"

	"github.com/canteen/deploy/controller/fault"
)

// Apply writes an action's outcome into the record that was saved before it. now is the time of the answer: what is counted
// from a request must not count the time that it took to be sent.
func Apply(now time.Time, rec Record, a Action, out Outcome) Record {
	rec = rec.clone()
	rec.Trouble = nil
	if tag, ok := a.(Tag); ok {
		rec.Tagged = rec.Tagged.with(now, tag.Set)
	}
	ro := rec.Rollout
	if ro == nil {
		return rec
	}
	switch a.(type) {
	case Register:
		ro.Revision = out.Revision
		rec = rec.know(ro.Fingerprint, out.Revision)
		ro.Registers = 0
	case RunMigration:
		run := ro.Migration
		run.Task, run.StartedAt, run.UnsureSince = out.Task, now, time.Time{}
		run.Deadline = now.Add(ro.Target.Migration.Timeout.Std())
	case Roll:
		ro.Deployment.ID, rec.Deployed = out.Deployment, out.Deployment
		ro.Deployment.RequestedAt = now
		ro.Deadline = now.Add(rec.spec().Rollout.Deadline.Std())
	}
	return rec
}

// with adds tags that were written now to those that a read may not show yet either: the one must not make the other be
// written again, and again.
func (t *Tagged) with(now time.Time, set map[string]string) *Tagged {
	all := map[string]string{}
	if t != nil && now.Sub(t.At) < staleFor {
		all = t.Set.Map()
	}
	maps.Copy(all, set)
	return &Tagged{Set: NamedOf(all), At: now}
}

// Failed writes a failed look (a is nil) or a failed action into the record: what may be taken back is taken back, and
// the next pass waits for the backoff. A refusal that will always come again ends the rollout, as does that of a registration which has
// come again up to the deadline.
func Failed(now time.Time, rec Record, a Action, err error) Decision {
	rec = rec.clone()
	kind := fault.KindOf(err)
	t := rec.Trouble
	if t == nil {
		t = &Trouble{Since: now}
	}
	t.Kind, t.Code, t.Message = string(kind), fault.CodeOf(err), Redact(err.Error())
	t.Attempts++
	t.NextAt = now.Add(Backoff(t.Attempts))
	rec.Trouble = t
	// An answer without a kind is still an answer: only what has no code either may have taken effect. A conflict over a client
	// token says that there is such a task.
	if sure := kind != fault.Lost && kind != fault.Conflict && (kind != fault.Unknown || t.Code != ""); sure && rec.Rollout != nil {
		rec = unsent(rec, a)
	}
	final := kind == fault.Terminal
	if until, ok := registersUntil(rec, a); ok && kind == fault.Unknown && t.Code != "" {
		t.NextAt, final = sooner(t.NextAt, until), !now.Before(until)
	}
	if final && a != nil && rec.Rollout != nil && endsRollout(a) {
		if run := rec.Rollout.Migration; run != nil && !run.UnsureSince.IsZero() && a.Name() == (RunMigration{}).Name() {
			rec = lose(rec, Lost{Key: run.Key, Lock: run.Lock}) // this request is refused; one before it may have started a task
		}
		e := failRefused(a.Name(), t.Message)
		e.At = now
		rec.Rollout.Failure = &e
		rec = rec.enter(now, StageEvidence)
		rec.Trouble = nil
		rec = rec.tell(now, sayFails(rec.Rollout.Target.Name(), rec.Rollout.Failure.Message))
		return Decision{Record: rec, WakeAt: now}
	}
	switch a.(type) {
	case Tag, Keep:
		if rec.Said == saidWritesDown {
			break // the next rollout waits for it
		}
		return Decision{Record: rec, WakeAt: t.NextAt} // it holds back the next rollout, and nothing that is told
	}
	say := sayCouldNot(deed(a), t.Message)
	if kind == fault.Blocked || kind == fault.Terminal {
		say = sayMayNot(deed(a), t.Message)
	}
	return Decision{Record: rec.tell(now, say), WakeAt: t.NextAt}
}

// registersUntil is how long a registration is asked for again that is refused by a code which does not say why: ECS has one for a
// race within the family, which passes, and for what it will never take. ok is false for any other action.
func registersUntil(rec Record, a Action) (until time.Time, ok bool) {
	if _, ok = a.(Register); !ok || rec.Rollout == nil {
		return time.Time{}, false
	}
	return rec.Rollout.StageAt.Add(rec.spec().Rollout.Deadline.Std()), true
}

// unsent takes back what was written down for a request that surely had no effect: it is asked for again from the start.
func unsent(rec Record, a Action) Record {
	switch a.(type) {
	case Register:
		rec.Rollout.Registers-- // there is no revision of this request that would have to be looked for
	case Roll, Scale:
		rec.Rollout.Deployment = nil
	case RunMigration:
		if rec.Rollout.Migration != nil {
			rec.Rollout.Migration.Refused = true
		}
	}
	return rec
}

// endsRollout reports whether a final refusal of the action is about what is being rolled out.
func endsRollout(a Action) bool {
	switch a.(type) {
	case Register, RunMigration, Roll:
		return true
	}
	return false
}

func deed(a Action) string {
	if a == nil {
		return "look at the account"
	}
	return a.Name()
}
