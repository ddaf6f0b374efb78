package rollout

import (
	"math"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

func anyReading(t *rapid.T, label string) observed.Reading {
	return observed.Reading{Check: one(t, label+" check", CheckSteady, CheckSteady, "logs"), At: anyTime(t, label+" at"), Deployment: one(t, label+" about", "", "ecs-svc/1", "ecs-svc/2", "ecs-svc/2"),
		Verdict: one(t, label+" verdict", observed.Pass, observed.Pass, observed.Fail, observed.NoData, ""), Class: one(t, label+" class", observed.ClassProduct, observed.ClassBlocked, observed.ClassInfrastructure, ""),
		Reason: one(t, label+" reason", "Crashed", ReasonDraining, ReasonAlarmRed, ReasonAlarmRed, ""), Detail: one(t, label+" detail", "so it is", ""), Lines: some(t, label+" lines", 4, func(l string) string { return anyText(t, l) })}
}

func anyAlarm(t *rapid.T, label string) observed.Alarm {
	return observed.Alarm{Name: "5xx", State: one(t, label+" state", observed.AlarmOK, observed.AlarmRed, observed.AlarmMissing), Since: anyTime(t, label+" since")}
}

func anyTask(t *rapid.T, label string) observed.Task {
	task := observed.Task{ARN: one(t, label+" arn", "task/m", "", "no arn"), Deployment: anyDeployment(t, label+" of"), LastStatus: one(t, label+" status", "RUNNING", "STOPPED", "STOPPED", "", "PENDING"),
		DesiredStatus: one(t, label+" desired", "RUNNING", "STOPPED", ""), Health: one(t, label+" health", "", "UNHEALTHY"), StopCode: one(t, label+" stop code", "", stopContainerExited, stopContainerExited, stopFailedToStart, stopByScheduler, stopSpot, "UserInitiated"),
		StoppedReason: anyText(t, label+" stopped"), StartedAt: anyTime(t, label+" started")}
	task.Containers = some(t, label+" containers", 3, func(l string) observed.Container {
		return observed.Container{Name: one(t, l, "app", "app", "sidecar", "ecs-service-connect-1"), Exited: maybe(t, l+" exited"), ExitCode: one(t, l+" code", 0, 0, 1, 137, -1), Reason: one(t, l+" reason", "", "", "OutOfMemoryError: it", "password="+hush)}
	})
	return task
}

// seen is an observation, with holes.
func (p *pool) seen(t *rapid.T, rec Record) observed.Service {
	seen := observed.Service{
		At: anyTime(t, "seen at"), Name: "orders", Status: one(t, "status", observed.StatusActive, observed.StatusActive, observed.StatusActive, observed.StatusActive, observed.StatusDraining, observed.StatusInactive, observed.StatusMissing, observed.StatusUnknown),
		Desired: anyCount(t, "desired"), Running: anyCount(t, "running"), Tags: p.tags(t), Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{},
		Stack:  observed.Stack{Name: "orders-dev", Status: "UPDATE_COMPLETE", InProgress: seldom(t, "stack busy"), UpdatedAt: anyTime(t, "stack updated"), Outputs: map[string]string{"RepoUri": "repo"}},
		Alarms: some(t, "alarms", 2, func(l string) observed.Alarm { return anyAlarm(t, l) }),
		Tasks:  some(t, "tasks", 7, func(l string) observed.Task { return anyTask(t, l) }),
	}
	if !seldom(t, "no template") {
		seen.Template = &observed.Template{ARN: one(t, "template arn", "template:1", "template:2", tdInfra), Content: one(t, "content", contents...)}
	}
	seen.Secrets = one(t, "secrets", versions...)
	seen.Deployments = some(t, "deployments", 2, func(l string) observed.Deployment {
		return observed.Deployment{ID: anyDeployment(t, l), TaskDefinition: anyRevision(t, l), Desired: seen.Desired, Running: anyCount(t, l+" running"), CreatedAt: anyTime(t, l+" created"),
			Rollout: one(t, l+" rollout", observed.RolloutCompleted, observed.RolloutInProgress, observed.RolloutFailed, ""), UpdatedAt: anyTime(t, l+" updated")}
	})
	if len(seen.Deployments) > 0 && !seldom(t, "no primary") {
		seen.Deployments[0].Primary = true
		if ro := rec.Rollout; ro != nil && ro.Deployment != nil && maybe(t, "primary is followed") {
			seen.Deployments[0].ID, seen.Deployments[0].TaskDefinition = ro.Deployment.ID, ro.Revision
		}
		seen.TaskDefinition = seen.Deployments[0].TaskDefinition
	}
	for _, arn := range []string{td(1), td(2), td(3)} {
		if maybe(t, "known revision") {
			seen.Revisions[arn] = observed.Revision{ARN: arn, Active: !seldom(t, "inactive"), Ask: p.ask(t, "revision ask"), Fingerprint: p.print(t, "revision print")}
		}
		if !seldom(t, "startable unknown") {
			seen.Startable[arn] = observed.Startable{OK: !seldom(t, "not startable"), Reason: "its image is gone", Lacks: one(t, "lacks", "", observed.LackImage, observed.LackSecret, observed.LackRevision)}
		}
	}
	p.rest(t, &seen)
	return seen
}

// rest are the facts that a look may have or not.
func (p *pool) rest(t *rapid.T, seen *observed.Service) {
	if !seldom(t, "migration unseen") {
		task := anyTask(t, "migration")
		if maybe(t, "migration ended well") {
			task = *ended(0)
		}
		seen.Migration = &task
	}
	if seldom(t, "service deployment") {
		seen.ServiceDeployment = &observed.ServiceDeployment{Status: one(t, "service deployment status", "PENDING", observed.ServiceDeploymentSuccessful, observed.ServiceDeploymentRollbackSuccessful, observed.ServiceDeploymentRollbackInProgress), Reason: one(t, "its reason", "", "breaker"), FinishedAt: anyTime(t, "finished")}
	}
	if maybe(t, "compared") {
		alike := maybe(t, "alike")
		seen.Alike = &alike
	}
	if seldom(t, "parameter") {
		at := anyRevision(t, "parameter is")
		seen.Parameter = &at
	}
	if maybe(t, "logs") {
		seen.Logs = &observed.Logs{Tail: some(t, "tail", 60, func(string) observed.LogLine { return observed.LogLine{Message: "token: " + hush} })}
		seen.MigrationLog = []string{"postgres://u:" + hush + "@db/x"}
		seen.Events = some(t, "events", 12, func(l string) observed.Event { return observed.Event{Message: anyText(t, l)} })
		seen.Targets = []observed.Target{{ID: "10.0.0.1", Port: 80, State: one(t, "target", "healthy", "unhealthy", "")}}
	}
	seen.Missing = some(t, "missing", 1, func(l string) observed.Missing {
		return observed.Missing{Kind: "blocked", Message: one(t, l+" message", "AccessDenied: it may not", ""), Fact: one(t, l, observed.FactTemplate, observed.FactImages, observed.FactRevisions, observed.FactStartable, observed.FactSecrets, observed.FactMigration, observed.FactTasks)}
	})
}

func (p *pool) tags(t *rapid.T) map[string]string {
	tags := map[string]string{}
	if maybe(t, "tag good") {
		tags[TagGood] = anyRevision(t, "tagged as good")
	}
	if seldom(t, "tag rejected") {
		tags[TagRejected] = p.ask(t, "tagged as rejected")
	}
	if seldom(t, "tag migrated") {
		tags[TagMigrated] = p.key(t, "tagged as migrated")
	}
	if seldom(t, "tag behind") {
		tags[TagBehind] = one(t, "tagged as behind", "", p.ask(t, "left behind"), p.ask(t, "left behind")+" "+p.ask(t, "left behind before"), "x  y")
		tags[TagCount] = one(t, "counted with it", "1", "9")
	}
	if seldom(t, "tag count") {
		tags[TagCount] = one(t, "tagged count", "1", "0", "-7", "x", "", strconv.Itoa(math.MaxInt), "99999999999999999999")
	}
	if seldom(t, "tag hold") {
		tags[TagHold] = one(t, "hold", "sre/"+anyTime(t, "held until").Format(time.RFC3339), "sre", "/", "a/b/c", "")
	}
	return tags
}

// input is anything that a pass may be given.
func (p *pool) input(t *rapid.T, rec Record) Input {
	in := Input{Now: epoch, Seen: p.seen(t, rec), Strategy: plainStrategy{}, Want: Want{Environment: "dev", Pace: Pace{Watch: 4 * time.Second, Idle: time.Minute}, Policy: anyEnvironment(t)}}
	switch rapid.IntRange(0, 9).Draw(t, "git") {
	case 9:
		in.Want.Removed = true
	case 8:
		in.Want.Invalid = "orders.yaml:1:1: broken"
	case 7:
		// git could not be read in this pass
	default:
		in.Want.Intent = p.intent(t, "git's word")
	}
	in.Want.LockHolder = one(t, "lock holder", "", "orders", "orders", "billing")
	in.Want.Others = anyCount(t, "others")
	if seldom(t, "ahead") {
		in.Want.Ahead = anyCount(t, "so many ahead")
	}
	if seldom(t, "paused") {
		in.Want.Pause = &Pause{Reason: one(t, "pause", StateMassChange, StateManyMissing), Commit: "a9d7713", Count: 6, Of: 9, Share: 50}
		in.Want.Withheld = maybe(t, "withheld")
	}
	if seldom(t, "depends") {
		in.Want.Waiting = []string{"billing", "mail"}[:rapid.IntRange(1, 2).Draw(t, "waits for")]
	}
	in.Seen.Images = p.images(t, in, rec)
	in.Look = Needs(in.Want, rec).Merge(observed.Look{Fresh: !seldom(t, "stale look"), Before: !seldom(t, "not before"), Template: !seldom(t, "template not looked at"), Tasks: !seldom(t, "tasks not looked at"), MigrationLog: seldom(t, "migration's log")})
	if maybe(t, "asked to compare") {
		in.Look.Alike = &observed.Rendering{}
	}
	if seldom(t, "another look") {
		in.Look = observed.Look{}
	}
	if maybe(t, "looked at revisions") {
		in.Look.Revisions, in.Look.Startable = []string{td(1), td(2), td(3), tdInfra}, []string{td(1), td(2), td(3)}
	}
	if maybe(t, "nobody reads") {
		return in
	}
	in.Readings = some(t, "readings", 3, func(l string) observed.Reading { return anyReading(t, l) })
	if ro := rec.Rollout; ro != nil && ro.Deployment != nil && maybe(t, "all pass") {
		in.Readings = []observed.Reading{{Check: CheckSteady, Verdict: observed.Pass, Deployment: ro.Deployment.ID}}
	}
	return in
}

func anyEnvironment(t *rapid.T) desired.EnvironmentSpec {
	policy := desired.EnvironmentSpec{Drift: desired.DriftPolicy{After: anySpan(t, "drift after", 5*time.Minute), Action: one(t, "drift action", desired.DriftCorrect, desired.DriftCorrect, desired.DriftReport, "")},
		TemplateChange: one(t, "template change", desired.TemplateRoll, desired.TemplateRoll, desired.TemplateReport, ""), MaxConcurrentRollouts: one(t, "at once", 0, 0, 1, 2, -1)}
	if seldom(t, "windows") {
		policy.Windows = []desired.Window{one(t, "window", desired.Window{Days: []string{"thu"}, From: "08:00", To: "10:00"}, desired.Window{Days: []string{"fri"}, From: "22:00", To: "02:00", Timezone: "Europe/Berlin"},
			desired.Window{}, desired.Window{Days: []string{"thu"}, From: "25:00", To: "x"}, desired.Window{Days: []string{"mon"}, From: "09:00", To: "09:00", Timezone: "Nowhere/Else"})}
	}
	return policy
}

// images is what the registry answers to what the intent names: all of it, nothing, or something else.
func (p *pool) images(t *rapid.T, in Input, rec Record) map[string]observed.Image {
	intent := in.Want.Intent
	if intent == nil {
		intent = rec.Intent
	}
	images := map[string]observed.Image{}
	if intent == nil || seldom(t, "registry is silent") {
		return images
	}
	pins := pinsOf(intent)
	for name, c := range intent.Service.Spec.Containers {
		ref := reference(c.Image)
		images[name] = observed.Image{Tag: ref, Digest: pins[ref]}
		if seldom(t, "image gone") {
			images[name] = observed.Image{Tag: one(t, "image asked for", ref, pins[ref])}
		}
	}
	return images
}
