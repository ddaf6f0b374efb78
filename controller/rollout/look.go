package rollout

import (
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// Subject is what the checks look at and read.
type Subject struct {
	Now        time.Time
	Before     bool // nothing was begun: a failing check holds the start back
	Kind       Kind
	Stage      Stage
	Deployment string // empty before the deployment is known
	Revision   string
	RolledAt   time.Time // when the deployment was asked for
	BakeFrom   time.Time // zero while rolling
	Baseline   []observed.Alarm
	Inherits   bool // an alarm that was red in Baseline may be the doing of a version that had no good verdict either
}

// Subject is what the checks are about in this pass, and whether there is anything for them.
func (r Record) Subject(now time.Time, look observed.Look) (Subject, bool) {
	ro := r.Rollout
	if look.Before || ro == nil {
		return Subject{Now: now, Before: true}, look.Before
	}
	if ro.Deployment == nil || (ro.Stage != StageRoll && ro.Stage != StageBake) {
		return Subject{}, false
	}
	return Subject{Now: now, Kind: ro.Kind, Stage: ro.Stage, Deployment: ro.Deployment.ID, Revision: ro.Revision, RolledAt: ro.Deployment.RequestedAt,
		BakeFrom: ro.BakeFrom, Baseline: ro.Baseline, Inherits: ro.Inherits}, ro.Deployment.ID != ""
}

// Needs says what one pass must see, besides what the checks ask for.
func Needs(want Want, rec Record) observed.Look {
	intent := want.Intent
	if intent == nil {
		intent = rec.Intent
	}
	look := observed.Look{Template: true}
	if intent == nil {
		return observed.Look{}
	}
	look.Stack = intent.Service.Spec.Stack
	if rec.leavesFor(intent) {
		rec = Record{Service: rec.Service} // what it says is about another stack
	}
	rec.Intent = intent
	look.Containers = references(rec)
	look.Secrets = secretsWatched(rec)
	if rec.Good != nil {
		look.Revisions = []string{rec.Good.Revision}
		look.Parameter = true
	}
	ro := rec.Rollout
	if ro == nil {
		return look
	}
	look.Rolling = true
	switch ro.Stage {
	case StageMigrate:
		if m := ro.Migration; m != nil && m.Task != "" {
			look.Migration, look.MigrationSince = m.Task, m.RequestedAt
		}
	case StageRoll, StageBake:
		look.Before = ro.Stage == StageRoll && ro.Deployment == nil && ro.Kind == KindDeploy
		if d := ro.Deployment; d != nil {
			look.Deployment, look.ServiceRecord = d.ID, d.Record
		}
		look.Template, look.Parameter, look.Secrets = false, false, nil
	case StageEvidence:
		look = look.Merge(evidenceLook(*ro))
	}
	return look
}

func evidenceLook(ro Rollout) observed.Look {
	look := observed.Look{Tasks: true, Targets: true, Thorough: true, Alarms: alarmNames(ro.Baseline)}
	if m := ro.Migration; m != nil && ro.Failure != nil && ro.Failure.Check == checkMigration {
		look.Migration, look.MigrationSince, look.MigrationLog = m.Task, m.RequestedAt, true
	}
	if d := ro.Deployment; d != nil {
		look.Deployment = d.ID
		look.Logs = &observed.LogLook{Revision: ro.Revision, Since: d.RequestedAt, Tail: evidenceLinesMax}
	}
	return look
}

func alarmNames(alarms []observed.Alarm) []string {
	var out []string
	for _, a := range alarms {
		out = append(out, a.Name)
	}
	return out
}
