package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// final reports whether the stall forbids every further write, whatever the goal.
func final(s Stall) bool { return s.Reason == ReasonFrozen || s.Reason == ReasonRevertFailed }

// foreign reports whether PRIMARY is a deployment that the controller never asked for. A record rebuilt from tags does not
// know what was asked for, only which revisions are its own.
func foreign(in Input, rec Record) bool {
	primary := in.Seen.Primary()
	return rec.Good != nil && primary.ID != "" && primary.TaskDefinition != rec.Good.Revision && !ours(primary, rec)
}

// ours reports whether the controller asked for the deployment, as far as the record knows.
func ours(d observed.Deployment, rec Record) bool {
	if rec.Deployed != "" {
		return d.ID == rec.Deployed
	}
	return registered(d, rec)
}

// registered reports whether the deployment is of a revision that the controller has registered.
func registered(d observed.Deployment, rec Record) bool {
	return slices.ContainsFunc(rec.Known, func(k Known) bool { return k.Revision == d.TaskDefinition })
}

// noticed writes down a foreign deployment, and whose doing it is, as far as that can be told.
func noticed(in Input, rec Record, wanted string) Record {
	primary := in.Seen.Primary()
	if rec.Drift == nil || rec.Drift.TaskDefinition != primary.TaskDefinition {
		rec.Drift = &Drift{Since: in.Now, Deployment: primary.ID, TaskDefinition: primary.TaskDefinition, Wanted: wanted, Stack: resent(in)}
	}
	return rec
}

// resentWithin is how far from the time of a stack's update a deployment counts as the update's, where nobody saw the stack at
// work. CloudFormation's documents do not say whether that time is the update's beginning or its end.
const resentWithin = 5 * time.Minute

// resent reports whether PRIMARY is CloudFormation's doing, which sends a service's whole definition again when it updates it
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-service.html): it appeared while the
// stack was at work, or close to the time of its newest update.
func resent(in Input) bool {
	s := in.Seen.Stack
	return s.InProgress || !s.UpdatedAt.IsZero() && in.Seen.Primary().CreatedAt.Sub(s.UpdatedAt).Abs() < resentWithin
}

// tolerate tells of a foreign deployment until the policy's time is over, and while an alarm is red: a person may be
// putting out a fire. A new word of git ends it: then git says again what is to run. What CloudFormation has set back is
// nobody's fire, and is put right at once.
func tolerate(in Input, rec Record, wanted string) (Decision, bool) {
	primary := in.Seen.Primary()
	if (rec.Drift == nil || rec.Drift.TaskDefinition != primary.TaskDefinition) && !in.Look.Fresh {
		return Decision{Record: rec, Look: beforeLook(rec)}, true // whose doing it is, the stack's newest word says
	}
	rec = noticed(in, rec, wanted)
	if rec.Drift.Wanted != "" && rec.Drift.Wanted != wanted {
		return Decision{}, false
	}
	revision, good := family(primary.TaskDefinition), rec.Good.Target.Name()
	if in.Want.Policy.Drift.Action == desired.DriftReport {
		return wait(in, rec, sayDriftReported(revision, good), in.idleAt()), true
	}
	if rec.Drift.Stack {
		return Decision{}, false
	}
	if at := rec.Drift.Since.Add(in.Want.Policy.Drift.After.Std()); in.Now.Before(at) {
		return wait(in, rec, sayDriftSeen(revision, good, in.Want.Policy.Drift.After.Std()), sooner(at, in.idleAt())), true
	}
	if !in.Look.Fresh {
		return Decision{Record: rec, Look: beforeLook(rec)}, true
	}
	if r, ok := failing(in); ok {
		return wait(in, rec, sayDriftLeft(revision, good, r.Detail), in.watchAt()), true
	}
	return Decision{}, false
}

// family is the readable part of a revision's ARN: family:revision.
func family(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
