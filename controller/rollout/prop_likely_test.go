package rollout

import (
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// likely is a record and an input in which little is wrong, so that something begins, goes on or ends: what arbitrary values seldom
// come to.
func (p *pool) likely(t *rapid.T) (Input, Record) {
	git := p.intent(t, "git")
	git.Service.Spec.Suspend = nil
	rec := Record{Schema: Schema, Service: "orders", Generation: 3, Intent: git, Pins: NamedOf(pinsOf(git)), Deployed: "ecs-svc/2", State: StateSettled, Said: "Runs", Why: "it was so", WayBack: &WayBack{At: epoch}}
	good := p.target(t, "good")
	rec.Good = &Good{Target: good, Revision: td(1), At: epoch, Secrets: one(t, "good secrets", versions...)}
	rec.Good.Fingerprint = fingerprint(good.Ask, observed.Template{Content: contents[0]}, rec.Good.Secrets)
	rec.GoodAsks = []string{good.Ask}
	rec.Known = []Known{{rec.Good.Fingerprint, td(1)}}
	in := Input{Now: epoch, Strategy: plainStrategy{}, Want: Want{Intent: git, Environment: "dev", Pace: Pace{Watch: 4 * time.Second, Idle: time.Minute},
		Policy: desired.EnvironmentSpec{Drift: desired.DriftPolicy{After: desired.Duration(5 * time.Minute), Action: one(t, "drift action", desired.DriftCorrect, desired.DriftReport)}}}}
	in.Seen = observed.Service{At: epoch, Name: "orders", Status: observed.StatusActive, Desired: 2, Running: 2, Tags: map[string]string{TagGood: td(1)}, TaskDefinition: td(1),
		Stack: observed.Stack{Name: "orders-dev", Status: "UPDATE_COMPLETE", Outputs: map[string]string{"RepoUri": "repo"}}, Secrets: one(t, "secrets", versions...),
		Template:    &observed.Template{ARN: "infra:2", Content: one(t, "content", contents...)},
		Deployments: []observed.Deployment{{ID: "ecs-svc/2", Primary: true, TaskDefinition: td(1), Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}},
		Revisions:   map[string]observed.Revision{td(1): {ARN: td(1), Active: true, Ask: good.Ask, Fingerprint: rec.Good.Fingerprint}},
		Startable:   map[string]observed.Startable{td(1): {OK: true}, td(2): {OK: true}}}
	in.Seen.Images = map[string]observed.Image{}
	for name, c := range git.Service.Spec.Containers {
		in.Seen.Images[name] = observed.Image{Tag: reference(c.Image), Digest: pinsOf(git)[reference(c.Image)]}
	}
	p.oneThing(t, &in, &rec)
	p.leftBehind(t, &in, &rec)
	p.another(t, &in, &rec)
	in.Look = Needs(in.Want, rec).Merge(observed.Look{Fresh: true, Before: rec.Rollout == nil, Template: true, Tasks: true, Startable: []string{td(1), td(2)}, Revisions: []string{td(1), td(2)}})
	return in, rec
}

// another has git name another stack, perhaps because the one before is gone.
func (p *pool) another(t *rapid.T, in *Input, rec *Record) {
	if migrates := rec.Rollout != nil && rec.Rollout.Stage == StageMigrate; !migrates && !seldom(t, "another stack") || migrates && !maybe(t, "another stack") {
		return
	}
	word := *in.Want.Intent
	word.Service.Spec.Stack = "orders-another"
	in.Want.Intent = &word
	if maybe(t, "the stack is gone") {
		rec.Trouble = &Trouble{Since: epoch.Add(-time.Minute), Kind: string(fault.Blocked), Code: "stack_missing", Message: "no such stack", Attempts: 1, NextAt: epoch}
	}
	in.Want = in.Want.Heeding(*rec)
}

// leftBehind has a breaking migration leave the last good version behind, so that the record, the tags, or both say so.
func (p *pool) leftBehind(t *rapid.T, in *Input, rec *Record) {
	if rec.Good == nil || !seldom(t, "left behind") {
		return
	}
	who := rapid.IntRange(1, 3).Draw(t, "who says so")
	if who&1 != 0 {
		rec.Behind, rec.BehindRetry = []string{rec.Good.Target.Ask}, rapid.IntRange(0, 2).Draw(t, "retry then")
	}
	if who&2 != 0 {
		in.Seen.Tags[TagBehind], in.Seen.Tags[TagCount] = rec.Good.Target.Ask, one(t, "counted", "0", "1")
		rec.Generation = one(t, "generation", 3, 3, 0)
	}
	if len(rec.Migrated) > 0 {
		in.Seen.Tags[TagMigrated] = rec.Migrated[0] // or that would be written down first
	}
}

// oneThing is what is not as it should be.
func (p *pool) oneThing(t *rapid.T, in *Input, rec *Record) {
	switch rapid.IntRange(0, 9).Draw(t, "what is wrong") {
	case 0: // the last good version, which serves, could not be started again
		rec.WayBack = &WayBack{At: epoch.Add(-one(t, "looked at", time.Minute, time.Hour, 7*time.Hour)), Reason: one(t, "known to lack", "", "its image is gone")}
		if in.Seen.Startable[td(1)] = (observed.Startable{Reason: "its image is gone", Lacks: observed.LackImage}); seldom(t, "not known") {
			delete(in.Seen.Startable, td(1))
		}
		if maybe(t, "it is what git asks") {
			rec.Good.Target = p.targets[0]
			rec.Intent, in.Want.Intent = p.intents[0], p.intents[0]
			rec.Pins = NamedOf(pinsOf(rec.Intent))
			rec.Good.Fingerprint = fingerprint(p.targets[0].Ask, *in.Seen.Template, rec.Good.Secrets)
		}
	case 1: // somebody else has deployed
		rec.Drift = &Drift{Since: epoch.Add(-time.Duration(rapid.IntRange(0, 600).Draw(t, "seen for")) * time.Second), Deployment: "ecs-svc/9", TaskDefinition: td(3), Wanted: one(t, "wanted then", wanted(*in, *rec), rec.Good.Target.Ask, "v1:other"), Stack: seldom(t, "the stack did")}
		in.Seen.TaskDefinition = td(3)
		in.Seen.Deployments[0].ID, in.Seen.Deployments[0].TaskDefinition = "ecs-svc/9", td(3)
		if seldom(t, "the good one is what git asks") {
			rec.Good.Target = p.targets[0]
		}
	case 2: // this template was tried with the last good ask
		rec.Failed = []Failure{{fingerprint(rec.Good.Target.Ask, *in.Seen.Template, one(t, "tried with", versions...)), rapid.IntRange(0, 2).Draw(t, "tried at retry")}}
	case 3: // a check fails before anything is begun
		in.Readings = []observed.Reading{{Check: "alarms", Verdict: observed.Fail, Class: observed.ClassProduct, Reason: one(t, "by", "AlarmRed", "AlarmRed", "AlarmMissing"), Detail: "an alarm is red"}}
		if maybe(t, "a version that was left serves") {
			rec.Known = append([]Known{{"v1:left", td(2)}}, rec.Known...)
			in.Seen.TaskDefinition, in.Seen.Deployments[0].TaskDefinition = td(2), td(2)
		}
	case 4: // git's ask was rejected
		r := p.rejection(t, "rejected")
		r.Ask = wanted(*in, *rec)
		rec.Rejected = []Rejection{r}
		if maybe(t, "and stalled when tried again") {
			rec.Stalled = p.stall(t, "stall")
			rec.Stalled.Wanted, rec.Stalled.Ask = r.Ask, r.Ask
		}
	default:
		p.inFlight(t, in, rec)
	}
}

// inFlight puts git's ask on its way, or the last good version on its way back.
func (p *pool) inFlight(t *rapid.T, in *Input, rec *Record) {
	target, _ := resolve(*rec.Intent, "repo", rec.Pins)
	ro := &Rollout{Number: 3, Kind: KindDeploy, Trigger: one(t, "trigger", TriggerGit, TriggerRetry, TriggerTemplate, TriggerSecret), Target: target, Fingerprint: "v1:flight", Template: "infra:2", Revision: td(2), Retry: rec.Intent.Service.Spec.Retry,
		Stage: one(t, "stage", StageRegister, StageMigrate, StageRoll, StageRoll, StageBake, StageBake, StageEvidence), StartedAt: epoch.Add(-time.Hour), StageAt: anyTime(t, "stage at"), Deadline: anyTime(t, "deadline"), WatchedAt: epoch.Add(-4 * time.Second), BakeFrom: anyTime(t, "bake from")}
	if seldom(t, "a good ask") {
		ro.Target = rec.Good.Target
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 3:
		ro.Kind, ro.Target, ro.Fingerprint, ro.Revision = one(t, "back", KindRevert, KindRestore), rec.Good.Target, rec.Good.Fingerprint, td(1)
	case 2:
		if rec.Good = nil; maybe(t, "undo") {
			ro.Kind, ro.CountWas = KindUndo, rapid.IntRange(0, 2).Draw(t, "count was")
		}
	}
	switch ro.Stage {
	case StageRegister:
		ro.Revision = ""
	case StageMigrate:
		if ro.Migration = p.migration(t, ro.Target); !seldom(t, "another's") {
			ro.Migration.Key = ro.Target.Key
		}
	default:
		if !seldom(t, "not migrated") {
			rec.Migrated = []string{ro.Target.Key}
		}
		ro.Deployment = &Deployment{Before: "ecs-svc/1", RequestedAt: epoch.Add(-time.Duration(rapid.IntRange(0, 60).Draw(t, "asked for")) * time.Second), Tries: 1, ID: one(t, "answered", "", "ecs-svc/2"), Listed: maybe(t, "listed")}
		if ro.Deployment.ID == "" {
			in.Seen.Deployments[0].ID = one(t, "primary", "ecs-svc/1", "ecs-svc/2")
			in.Seen.Deployments[0].TaskDefinition = one(t, "which serves", td(1), td(2))
		}
	}
	if ro.Stage == StageRoll && maybe(t, "not asked for yet") {
		ro.Deployment = nil
	}
	if ro.Stage == StageEvidence {
		ro.Failure = &Evidence{Class: one(t, "class", observed.ClassProduct, observed.ClassProduct, observed.ClassBlocked, observed.ClassInfrastructure), Check: one(t, "failed check", CheckSteady, "logs", checkMigration, checkRequest), Reason: "Crashed", Message: "it crashed"}
	}
	rec.Rollout = ro
	p.rest(t, &in.Seen)
	in.Readings = some(t, "readings", 2, func(l string) observed.Reading { return anyReading(t, l) })
	if ro.Deployment != nil && maybe(t, "all is well") {
		in.Readings = []observed.Reading{{Check: CheckSteady, Verdict: observed.Pass, Deployment: ro.Deployment.ID}}
		if seldom(t, "old tasks drain") {
			in.Readings[0].Verdict, in.Readings[0].Reason = observed.NoData, ReasonDraining
		}
	}
}
