package rollout

import (
	"fmt"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// roll asks for the deployment once, follows that deployment by its id, and no other.
func roll(in Input, rec Record) Decision {
	switch d := rec.Rollout.Deployment; {
	case rec.Rollout.Kind == KindUndo:
		return undo(in, rec)
	case d == nil:
		return ask(in, rec)
	case d.ID == "":
		return recoverRoll(in, rec)
	}
	return watch(in, rec)
}

// ask requests the deployment. What must not be lost is written down first: a migration that ran never runs again.
func ask(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d, ok := superseded(in, rec); ok {
		return d
	}
	if in.Seen.Stack.InProgress {
		return wait(in, rec, StateWaitingStack, fmt.Sprintf("The stack %s is %s; nothing is written until the infrastructure is done.", in.Seen.Stack.Name, in.Seen.Stack.Status), in.watchAt())
	}
	if set := tagsDue(in, rec); ro.Kind == KindDeploy && len(set) > 0 {
		return act(in, rec, rec.State, "Writes down that the migration ran where it survives the loss of the ledger.", Tag{Set: set})
	}
	primary := in.Seen.Primary()
	ro.Deployment = &Deployment{Before: primary.ID, RequestedAt: in.Now, Tries: 1}
	ro.Deadline = in.Now.Add(rec.spec().Rollout.Deadline.Std())
	state, why := rollingWords(rec)
	return requested(in, act(in, rec, state, why, in.Strategy.Next(rec.spec(), *ro, in.Seen)))
}

// requested puts the first look at a deployment off: no task can have started and died within two looks' time.
func requested(in Input, d Decision) Decision {
	d.WakeAt = in.Now.Add(2 * in.Want.Pace.Watch)
	return d
}

func rollingWords(rec Record) (State, string) {
	name := rec.Rollout.Target.Name()
	switch rec.Rollout.Kind {
	case KindRevert:
		return StateReverting, fmt.Sprintf("Puts the last good version %s back: %s", name, sentence(causeOf(rec)))
	case KindRestore:
		return StateRestoring, fmt.Sprintf("Puts the last good version %s back after a deployment that is not git's.", name)
	}
	return StateRolling, fmt.Sprintf("Rolls %s out.", name)
}

func causeOf(rec Record) string {
	switch {
	case rec.Stalled != nil && rec.Stalled.Rollout == rec.Rollout.Number-1:
		return rec.Stalled.Message
	case len(rec.Rejected) > 0 && rec.Rejected[0].Rollout == rec.Rollout.Number-1:
		return rec.Rejected[0].Message
	case rec.Blocked != nil:
		return rec.Blocked.Message
	}
	return "the version before it failed"
}

// recoverRoll finds out what became of a request whose answer was lost. PRIMARY is ours only if it names our revision; a
// service that has not changed for staleFor is asked the same again, never forced.
func recoverRoll(in Input, rec Record) Decision {
	ro := rec.Rollout
	d := ro.Deployment
	state, why := rollingWords(rec)
	primary := in.Seen.Primary()
	switch {
	case primary.TaskDefinition == ro.Revision:
		d.ID, rec.Deployed = primary.ID, primary.ID
		return moveOn(rec)
	case primary.ID != d.Before && primary.ID != "":
		return overtaken(in, rec, primary)
	case in.Now.Before(d.RequestedAt.Add(staleFor)):
		return wait(in, rec, state, why, sooner(in.watchAt(), d.RequestedAt.Add(staleFor)))
	}
	d.Tries++
	d.RequestedAt = in.Now
	return requested(in, act(in, rec, state, why, in.Strategy.Next(rec.spec(), *ro, in.Seen)))
}

// watch follows the deployment to its end.
func watch(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d, ok := superseded(in, rec); ok {
		return d
	}
	before := ro.WatchedAt
	ro.WatchedAt = in.Now
	ro.Readings = own(in.Readings, ro.Deployment.ID)
	if d, ok := replaced(in, rec); ok {
		return d
	}
	if e, ok := failed(ro.Readings); ok {
		return fail(in, rec, e)
	}
	state, why := rollingWords(rec)
	if reading(ro.Readings, CheckSteady).Verdict != observed.Pass {
		if in.Now.Before(ro.Deadline) {
			return wait(in, rec, state, why, sooner(in.watchAt(), ro.Deadline))
		}
		return fail(in, rec, late(rec))
	}
	if ro.Kind != KindDeploy {
		return complete(in, rec)
	}
	ro.BakeFrom = completedAt(in, *ro, before)
	ro.BakeUntil = ro.BakeFrom.Add(rec.spec().Verify.Bake.Std())
	return moveOn(rec.enter(ro.BakeFrom, StageBake))
}

// completedAt is when ECS finished, as far as it lies between the last two looks: then the bake does not wait for a poll.
// Outside of them the account's clock is not ours, and now is the safe answer.
func completedAt(in Input, ro Rollout, before time.Time) time.Time {
	d, _ := in.Seen.Deployment(ro.Deployment.ID)
	at := d.UpdatedAt
	if sd := in.Seen.ServiceDeployment; sd != nil && sd.FinishedAt.After(at) {
		at = sd.FinishedAt
	}
	at = at.Add(time.Millisecond) // AWS's times are cut to the millisecond
	if before.IsZero() || at.Before(before) || at.After(in.Now) {
		return in.Now
	}
	return at
}

// replaced covers a PRIMARY that is not the deployment that is followed.
func replaced(in Input, rec Record) (Decision, bool) {
	ro := rec.Rollout
	primary := in.Seen.Primary()
	if primary.ID == ro.Deployment.ID {
		return Decision{}, false
	}
	state, why := rollingWords(rec)
	_, listed := in.Seen.Deployment(ro.Deployment.ID)
	if !listed && in.Now.Before(ro.Deployment.RequestedAt.Add(staleFor)) {
		return wait(in, rec, state, why, in.watchAt()), true // a stale read
	}
	if primary.ID == ro.Deployment.Before && primary.ID != "" {
		return fail(in, rec, Evidence{Class: observed.ClassProduct, Check: CheckSteady, Reason: ReasonRolledBack,
			Message: "ECS rolled the deployment back" + because(in)}), true
	}
	return overtaken(in, rec, primary), true
}

func because(in Input) string {
	if sd := in.Seen.ServiceDeployment; sd != nil && sd.Reason != "" {
		return ": " + sd.Reason
	}
	return ""
}

// overtaken ends a rollout whose place somebody else's deployment took: that is drift, and no verdict on the ask.
func overtaken(in Input, rec Record, primary observed.Deployment) Decision {
	entry := rec.entry(in.Now, ResultSuperseded, fmt.Sprintf("somebody else deployed %s before it had a verdict", family(primary.TaskDefinition)))
	rec.Drift = &Drift{Since: in.Now, Deployment: primary.ID, TaskDefinition: primary.TaskDefinition}
	rec.Rollout = nil
	return moveOn(rec, entry)
}

// late is the failure of a rollout that did not complete within its deadline: nothing condemns the ask, so it is
// stalled and not rejected.
func late(rec Record) Evidence {
	r := reading(rec.Rollout.Readings, CheckSteady)
	detail := r.Detail
	if detail == "" {
		detail = "nothing was heard of the deployment"
	}
	return Evidence{Class: observed.ClassInfrastructure, Check: CheckSteady, Reason: ReasonDeadline,
		Message: fmt.Sprintf("it did not complete within its deadline of %s: %s", rec.spec().Rollout.Deadline.Std(), detail)}
}

// undo puts the count back after a first rollout that failed: there is no revision to go back to.
func undo(in Input, rec Record) Decision {
	ro := rec.Rollout
	if in.Seen.Desired == ro.CountWas {
		entry := rec.entry(in.Now, ResultReverted, fmt.Sprintf("the count is %d again", ro.CountWas))
		rec.Rollout = nil
		return moveOn(rec, entry)
	}
	return act(in, rec, StateReverting, fmt.Sprintf("Puts the count back to %d: no version was ever good here.", ro.CountWas), Scale{Count: ro.CountWas})
}

// spec is what git says of deadlines, strategy and checks for what is in flight.
func (r Record) spec() desired.ServiceSpec {
	if r.Rollout != nil && r.Rollout.Target.Spec != nil {
		return *r.Rollout.Target.Spec
	}
	if r.Intent != nil {
		return r.Intent.Service.Spec
	}
	return desired.ServiceSpec{}
}

// Spec is what git says of deadlines, strategy and checks for what is in flight, else for what it asks.
func (r Record) Spec() desired.ServiceSpec { return r.spec() }
