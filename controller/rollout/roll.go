package rollout

import (
	"cmp"
	"fmt"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// roll asks for the deployment once, follows that deployment by its id, and no other.
func roll(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d := ro.Deployment; ro.Kind != KindUndo && d != nil && d.ID != "" {
		return watch(in, rec)
	}
	if d, ok := superseded(in, rec); ok {
		return d
	}
	// Nothing may be asked for over and over: what cannot even be begun within the deadline is over. What puts something back is asked for
	// once more after that: there may have been a hold, or an outage of everything, and no request.
	over := ro.AskedAt.Add(rec.spec().Rollout.Deadline.Std())
	if tried := ro.Kind == KindDeploy || !ro.TriedAt.Before(over); tried && !ro.AskedAt.IsZero() && !in.Now.Before(over) {
		return fail(in, rec, failUnasked(rec.spec().Rollout.Deadline.Std(), rec.Trouble))
	}
	switch {
	case ro.Kind == KindUndo:
		return undo(in, rec)
	case ro.Deployment == nil:
		return ask(in, rec)
	}
	return recoverRoll(in, rec)
}

// ask requests the deployment. What must not be lost is written down first: a migration that ran never runs again.
func ask(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d, ok := renewed(in, rec); ok {
		return d
	}
	if ro.Kind == KindDeploy {
		if d, ok := readied(in, rec); ok {
			return d
		}
	}
	primary := in.Seen.Primary()
	ro.Deployment = &Deployment{Before: primary.ID, RequestedAt: in.Now, Tries: 1}
	ro.AskedAt, ro.TriedAt = cmp.Or(ro.AskedAt, in.Now), in.Now
	ro.Deadline = in.Now.Add(rec.spec().Rollout.Deadline.Std())
	return requested(in, act(in, rec, sayRolling(rec), in.Strategy.Next(rec.spec(), *ro, in.Seen)))
}

// readied covers what a new version still needs before it touches the service: its place, the tag that says that the
// migration ran, and checks that do not fail already. The migration may have taken long, so they are looked at anew.
func readied(in Input, rec Record) (Decision, bool) {
	ro := rec.Rollout
	if d, ok := restrained(in, rec); ok {
		return d, true
	}
	if !rec.HoldsPlace() {
		if d, ok := crowded(in, rec, ro.Target); ok {
			return d, true
		}
	}
	if set := tagsDue(in, rec); len(set) > 0 {
		return act(in, rec, sayWritesDown("that the migration ran", StateUnknown), tag(in, rec, set)), true
	}
	if !in.Look.Before {
		return Decision{Record: rec, Look: &observed.Look{Before: true}}, true
	}
	if d, ok := unhealthy(in, rec, ro.Target, excused(in, rec)...); ok {
		return d, true
	}
	ro.Baseline = in.Seen.Alarms
	ro.Inherits = unjudged(in, rec) && !rec.Intent.Service.Spec.Emergency.Active(in.Now) // who rolls in an emergency knows of the alarm
	return Decision{}, false
}

// renewed covers a revision that was deregistered meanwhile: a deploy registers it again, and so does a revert of a
// version whose content is remembered.
func renewed(in Input, rec Record) (Decision, bool) {
	ro := rec.Rollout
	if rec.Trouble == nil {
		return Decision{}, false // only a refused request gives cause to look
	}
	if !in.Look.Fresh || !contains(in.Look.Startable, ro.Revision) || !in.Look.Template {
		return Decision{Record: rec, Look: &observed.Look{Fresh: true, Startable: []string{ro.Revision}, Revisions: []string{ro.Revision}, Template: true}}, true
	}
	r, seen := in.Seen.Revisions[ro.Revision]
	if !seen || r.Active || len(ro.Target.Containers) == 0 || in.Seen.Template == nil {
		return Decision{}, false
	}
	ro.Template, ro.Fingerprint = in.Seen.Template.ARN, fingerprint(ro.Target.Ask, *in.Seen.Template, ro.Secrets)
	ro.Revision, ro.Registers = "", 0
	rec.Trouble = nil
	return moveOn(rec.enter(in.Now, StageRegister)), true
}

// requested puts the first look at a deployment off: no task can have started and died within two looks' time.
func requested(in Input, d Decision) Decision {
	d.WakeAt = in.Now.Add(2 * in.Want.Pace.Watch)
	return d
}

// sayRolling says what the rollout in flight does.
func sayRolling(rec Record) told {
	name := rec.Rollout.Target.Name()
	switch {
	case rec.Rollout.TakesOver:
		return sayTakesOver(name)
	case rec.Rollout.Kind == KindRevert:
		return sayReverts(name, causeOf(rec))
	case rec.Rollout.Kind == KindRestore && rec.Rollout.Trigger == TriggerDrift:
		return sayRestoresDrift(name)
	case rec.Rollout.Kind == KindRestore:
		return sayRestores(name)
	}
	return sayRolls(name)
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
	primary := in.Seen.Primary()
	switch {
	case primary.TaskDefinition == ro.Revision && primary.ID != "":
		d.ID, rec.Deployed = primary.ID, primary.ID
		return moveOn(rec)
	case primary.ID != d.Before && primary.ID != "":
		return overtaken(in, rec, primary)
	case in.Now.Before(d.RequestedAt.Add(staleFor)):
		return wait(in, rec, sayRolling(rec), sooner(in.watchAt(), d.RequestedAt.Add(staleFor)))
	}
	ro.AskedAt, ro.TriedAt = cmp.Or(ro.AskedAt, d.RequestedAt, in.Now), in.Now
	d.Tries++
	d.RequestedAt = in.Now
	return requested(in, act(in, rec, sayRolling(rec), in.Strategy.Next(rec.spec(), *ro, in.Seen)))
}

// watch follows the deployment to its end.
func watch(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d, ok := superseded(in, rec); ok {
		return d
	}
	if asked := ro.Deployment.RequestedAt; !asked.IsZero() {
		ro.Deadline = asked.Add(rec.spec().Rollout.Deadline.Std()) // as git has it now
	}
	before := ro.WatchedAt
	ro.WatchedAt = in.Now
	ro.Readings, ro.Baseline = own(in.Readings, ro.Deployment.ID), greened(ro.Baseline, in.Seen.Alarms)
	if d, ok := replaced(in, rec); ok {
		return d
	}
	if e, ok := failed(ro.Readings); ok {
		return fail(in, rec, e)
	}
	if reading(ro.Readings, CheckSteady).Verdict != observed.Pass {
		if steady := reading(ro.Readings, CheckSteady); !in.Now.Before(ro.Deadline) && !(steady.Reason == ReasonDraining && in.Now.Before(ro.Deadline.Add(drainFor))) {
			return fail(in, rec, failLate(rec.spec().Rollout.Deadline.Std(), steady))
		}
		if d, ok := judged(in, rec); ok {
			return d
		}
		return wait(in, rec, sayRolling(rec), in.watchOr(ro.Deadline))
	}
	if ro.Kind != KindDeploy {
		return complete(in, rec)
	}
	rec = rec.enter(completedAt(in, *ro, before), StageBake)
	rec = rec.bakeFrom(ro.StageAt)
	// The checks of the bake were not looked at yet, so no verdict comes of this pass.
	return wait(in, rec, sayBakes(ro.Target.Name(), ro.BakeUntil), sooner(in.watchAt(), ro.BakeUntil))
}

// drainFor is how long the tasks of before may take to let go of their connections and to stop, while all is well with the new
// ones: a target group's deregistration delay is an hour at most, a container's stop timeout two minutes
// (ModifyTargetGroupAttributes and ContainerDefinition in the API references).
const drainFor = 65 * time.Minute

// replaced covers a PRIMARY that is not the deployment that is followed. One read may be stale, so it takes ECS's own record
// or staleFor of the same answer to believe it.
func replaced(in Input, rec Record) (Decision, bool) {
	d := rec.Rollout.Deployment
	primary := in.Seen.Primary()
	if primary.ID == d.ID {
		d.Listed, d.GoneSince = true, time.Time{}
		return Decision{}, false
	}
	if d.GoneSince.IsZero() {
		d.GoneSince = in.Now
	}
	patient := d.GoneSince
	if !d.Listed && d.RequestedAt.After(patient) {
		patient = d.RequestedAt
	}
	if !rolledBack(in) && in.Now.Before(patient.Add(staleFor)) {
		if d, ok := judged(in, rec); ok {
			return d, true
		}
		return wait(in, rec, sayRolling(rec), in.watchAt()), true
	}
	if rolledBack(in) || primary.ID == d.Before && primary.ID != "" {
		return fail(in, rec, failRolledBack(because(in))), true
	}
	return overtaken(in, rec, primary), true
}

// rolledBack reports whether ECS's own record says so.
func rolledBack(in Input) bool {
	sd := in.Seen.ServiceDeployment
	if sd == nil {
		return false
	}
	switch sd.Status {
	case observed.ServiceDeploymentRollbackRequested, observed.ServiceDeploymentRollbackInProgress,
		observed.ServiceDeploymentRollbackSuccessful, observed.ServiceDeploymentRollbackFailed:
		return true
	}
	return false
}

func because(in Input) string {
	if sd := in.Seen.ServiceDeployment; sd != nil {
		return sd.Reason
	}
	return ""
}

// overtakenMax is how often in a row somebody else may take a deploy's place before it is told as a fight, which more requests
// do not win.
const overtakenMax = 3

// overtaken ends a rollout whose place somebody else's deployment took: that is drift, and no verdict on the ask.
func overtaken(in Input, rec Record, primary observed.Deployment) Decision {
	entry := rec.entry(in.Now, ResultSuperseded, fmt.Sprintf("somebody else deployed %s before it had a verdict", family(primary.TaskDefinition)))
	rec.Drift = &Drift{Since: in.Now, Deployment: primary.ID, TaskDefinition: primary.TaskDefinition, Wanted: wanted(in, rec), Stack: resent(in)}
	if ro := rec.Rollout; ro.Kind == KindDeploy {
		if rec.Overtaken++; rec.Overtaken >= overtakenMax {
			e := failContested(int(rec.Overtaken))
			entry.Result, entry.Message, entry.Evidence = ResultStalled, e.Message, &e
			rec.Stalled, rec.Overtaken = stall(in, rec, *ro, e.Reason, e.Message), 0
		}
	}
	rec.Rollout = nil
	return moveOn(rec, entry)
}

// undo puts the count back after a first rollout that failed: there is no revision to go back to.
func undo(in Input, rec Record) Decision {
	ro := rec.Rollout
	if in.Seen.Desired == ro.CountWas {
		entry := rec.entry(in.Now, ResultReverted, fmt.Sprintf("the count is %d again", ro.CountWas))
		rec.Rollout = nil
		return moveOn(rec, entry)
	}
	if d := ro.Deployment; d != nil && in.Now.Before(d.RequestedAt.Add(staleFor)) {
		return wait(in, rec, sayCountBack(ro.CountWas), in.watchAt()) // a read may not show it yet
	}
	ro.Deployment = &Deployment{RequestedAt: in.Now}
	ro.AskedAt, ro.TriedAt = cmp.Or(ro.AskedAt, in.Now), in.Now
	d := act(in, rec, sayCountBack(ro.CountWas), Scale{Count: ro.CountWas})
	d.WakeAt = in.watchAt()
	return d
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
