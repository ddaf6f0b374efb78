package rollout

import (
	"slices"
	"time"
)

// clone copies whatever Decide and Apply may change, so that the record passed in stays as it was.
func (r Record) clone() Record {
	r.Rejected = slices.Clone(r.Rejected)
	r.Migrated = slices.Clone(r.Migrated)
	r.GoodAsks = slices.Clone(r.GoodAsks)
	r.Known = slices.Clone(r.Known)
	r.Failed = slices.Clone(r.Failed)
	r.Behind = slices.Clone(r.Behind)
	r.Lost = copied(r.Lost)
	r.Tagged = copied(r.Tagged)
	r.Good = copied(r.Good)
	r.Drift = copied(r.Drift)
	r.Blocked = copied(r.Blocked)
	r.Stalled = copied(r.Stalled)
	r.Trouble = copied(r.Trouble)
	r.WayBack = copied(r.WayBack)
	if r.Rollout = copied(r.Rollout); r.Rollout != nil {
		ro := r.Rollout
		ro.Spans = slices.Clone(ro.Spans)
		ro.Readings = slices.Clone(ro.Readings)
		ro.Baseline = slices.Clone(ro.Baseline)
		ro.Migration = copied(ro.Migration)
		ro.Deployment = copied(ro.Deployment)
		ro.Failure = copied(ro.Failure)
	}
	return r
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// enter closes the stage and opens the next one.
func (r Record) enter(now time.Time, next Stage) Record {
	ro := r.Rollout
	ro.Spans = append(ro.Spans, Span{Stage: ro.Stage, From: ro.StageAt, To: now})
	ro.Stage, ro.StageAt = next, now
	return r
}

// forgive takes back the verdict against an ask.
func (r Record) forgive(ask string) Record {
	r.Rejected = slices.DeleteFunc(slices.Clone(r.Rejected), func(v Rejection) bool { return v.Ask == ask })
	return r
}

// entry is the history's line for the rollout that ends now.
func (r Record) entry(now time.Time, result Result, message string) Entry {
	ro := r.Rollout
	e := Entry{
		Service: r.Service, Number: ro.Number, Kind: ro.Kind, Trigger: ro.Trigger, Ask: ro.Target.Ask, Commit: ro.Target.Commit,
		Images: ro.Target.Images(), Digests: ro.Target.Digests(), Revision: ro.Revision, Result: result, Message: message, StartedAt: ro.StartedAt, EndedAt: now,
		Spans: append(slices.Clone(ro.Spans), Span{Stage: ro.Stage, From: ro.StageAt, To: now}), Migration: migrationWord(r), Evidence: ro.Failure,
		BakeFrom: ro.BakeFrom, Readings: slices.Clone(ro.Readings),
	}
	if ro.Deployment != nil {
		e.Deployment = ro.Deployment.ID
	}
	if ro.Migration != nil {
		e.Task, e.Output = ro.Migration.Task, ro.Migration.Log
	}
	return e
}

func migrationWord(r Record) string {
	ro := r.Rollout
	switch {
	case ro.Kind != KindDeploy || ro.Target.Migration == nil:
		return ""
	case ro.Failure != nil && ro.Failure.Reason == ReasonMigrationTimeout:
		return "timeout"
	case ro.Failure != nil && ro.Failure.Check == checkMigration:
		return "failed"
	case ro.Migration == nil && slices.Contains(r.Migrated, ro.Target.Key):
		return "already applied"
	case ro.Migration != nil && slices.Contains(r.Migrated, ro.Target.Key):
		return "succeeded"
	}
	return ""
}
