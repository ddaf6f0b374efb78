package rollout

import (
	"math"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/observed"
)

// anyRecord is a record that may be impossible: nobody promises that a ledger was written by this program.
func (p *pool) record(t *rapid.T) Record {
	rec := Record{
		Schema: one[int32](t, "schema", 0, Schema), Service: "orders", Generation: anyCount(t, "generation"), Count: anyCount(t, "count"),
		Superseded: int32(anyCount(t, "superseded")), Overtaken: int32(anyCount(t, "overtaken")), BehindRetry: anyCount(t, "behind retry"),
		Deployed: anyDeployment(t, "deployed"), Migrated: some(t, "migrated", 2, func(l string) string { return p.key(t, l) }),
		GoodAsks: some(t, "good asks", 3, func(l string) string { return p.ask(t, l) }), Behind: some(t, "behind", 1, func(l string) string { return p.ask(t, l) }),
		Said: one(t, "said", "Runs", "Runs", saidWritesDown, "Rolls", ""), Why: one(t, "why", "it was so", "it was so", ""), State: one(t, "state", States()...), Since: anyTime(t, "since"),
	}
	if !seldom(t, "no intent") {
		rec.Intent = p.intent(t, "record intent")
		if !seldom(t, "no pins") {
			rec.Pins = NamedOf(pinsOf(rec.Intent))
		}
	}
	if maybe(t, "has good") {
		target := p.target(t, "good")
		rec.Good = &Good{Target: target, Revision: anyRevision(t, "good revision"), At: anyTime(t, "good at"), Fingerprint: p.print(t, "good print"), Secrets: one(t, "good secrets", versions...)}
		if maybe(t, "good is on a template") {
			rec.Good.Fingerprint = fingerprint(target.Ask, observed.Template{Content: one(t, "good template", contents...)}, rec.Good.Secrets)
		}
	}
	rec.Known = some(t, "known", 2, func(l string) Known { return Known{p.print(t, l), anyRevision(t, l)} })
	rec.Failed = some(t, "failed", 1, func(l string) Failure { return Failure{p.print(t, l), anyCount(t, l)} })
	rec.Rejected = some(t, "rejected", 2, func(l string) Rejection { return p.rejection(t, l) })
	p.remembered(t, &rec)
	if maybe(t, "in flight") {
		rec.Rollout = p.rollout(t, rec)
	}
	return rec
}

func (p *pool) rejection(t *rapid.T, label string) Rejection {
	target := p.target(t, label)
	r := Rejection{Ask: target.Ask, Retry: rapid.IntRange(0, 2).Draw(t, label+" retried"), Check: one(t, label+" check", CheckSteady, "logs", checkMigration, ""), Message: "it crashed",
		Rollout: anyCount(t, label+" rollout"), Inferred: seldom(t, label+" inferred"), At: anyTime(t, label+" at")}
	if target.Spec != nil && !seldom(t, label+" other parameters") {
		r.Checks = checksHash(*target.Spec, r.Check)
	}
	return r
}

// remembered are the marks beside the rollout, each of them there or not.
func (p *pool) remembered(t *rapid.T, rec *Record) {
	if seldom(t, "lost") {
		rec.Lost = &Lost{Key: p.key(t, "lost key"), Lock: "db", Task: one(t, "lost task", "", "task/m")}
		if one(t, "lost a breaking one", false, true) {
			rec.Lost.Behind = []string{p.ask(t, "left behind by the lost one")}
		}
		if one(t, "refused besides", false, true) {
			*rec = rec.refuse(p.key(t, "refused key"))
		}
	}
	if seldom(t, "tried") {
		*rec = rec.unsettled(rec.unknown(), []Try{{Key: p.key(t, "tried key"), Token: "token", Over: anyCount(t, "over")}})
	}
	if seldom(t, "tagged") {
		rec.Tagged = &Tagged{At: anyTime(t, "tagged at"), Set: NamedOf(map[string]string{TagGood: anyRevision(t, "tagged good"), TagMigrated: p.key(t, "tagged key")})}
	}
	if seldom(t, "drift") {
		rec.Drift = &Drift{Since: anyTime(t, "drift since"), Deployment: anyDeployment(t, "drift deployment"), TaskDefinition: anyRevision(t, "drift revision"), Wanted: p.ask(t, "drift wanted"), Stack: maybe(t, "drift by the stack")}
	}
	if seldom(t, "blocked") {
		rec.Blocked = &Hold{Ask: p.ask(t, "blocked ask"), Reason: "ImageNotPullable", Message: "no image", Attempts: anyCount(t, "blocked attempts"), Until: anyTime(t, "blocked until")}
	}
	if maybe(t, "stalled") {
		rec.Stalled = p.stall(t, "stall")
		if seldom(t, "stall has a cause") {
			rec.Stalled.Cause = p.stall(t, "cause")
		}
	}
	if seldom(t, "in trouble") {
		rec.Trouble = &Trouble{Since: anyTime(t, "trouble since"), Attempts: anyCount(t, "attempts"), NextAt: anyTime(t, "next at"), Message: "throttled", Kind: one(t, "trouble kind", "", "blocked", "throttled", "terminal"), Code: one(t, "trouble code", "Code", "stack_missing")}
	}
	if seldom(t, "way back") {
		rec.WayBack = &WayBack{At: anyTime(t, "way back at"), Reason: one(t, "way back reason", "", "its image is gone"), Unseen: one(t, "way back unseen", "", "denied")}
	}
}

func (p *pool) stall(t *rapid.T, label string) *Stall {
	return &Stall{Wanted: p.ask(t, label+" wanted"), Ask: p.ask(t, label+" ask"), Fingerprint: p.print(t, label+" print"), Retry: anyCount(t, label+" retry"), Message: "it hangs", At: anyTime(t, label+" at"),
		Reason: one(t, label+" reason", ReasonFrozen, ReasonRevertFailed, ReasonDeadline, ReasonMigrationLost, ReasonTemplateRejected, ReasonSecretRejected, ""), Rollout: anyCount(t, label+" rollout")}
}

// rollout is in flight in every stage with every part of it there or missing; most often it is what the rest of the record
// makes possible.
func (p *pool) rollout(t *rapid.T, rec Record) *Rollout {
	ro := &Rollout{
		Number: anyCount(t, "number"), Kind: one(t, "kind", KindDeploy, KindDeploy, KindRevert, KindRestore, KindUndo, ""), Trigger: one(t, "trigger", TriggerGit, TriggerGit, TriggerRetry, TriggerTemplate, TriggerSecret, TriggerDrift, TriggerFailure),
		Target: p.target(t, "flight"), Fingerprint: p.print(t, "flight print"), Template: "template:1", Secrets: one(t, "flight secrets", versions...), Retry: rapid.IntRange(0, 2).Draw(t, "flight retry"),
		Wanted: p.ask(t, "flight wanted"), First: maybe(t, "first"), TakesOver: seldom(t, "takes over"), Stage: one(t, "stage", StageRegister, StageMigrate, StageRoll, StageRoll, StageBake, StageEvidence, ""),
		StartedAt: anyTime(t, "started at"), StageAt: anyTime(t, "stage at"), Deadline: anyTime(t, "deadline"), BakeFrom: anyTime(t, "bake from"), BakeUntil: anyTime(t, "bake until"), WatchedAt: anyTime(t, "watched at"),
		Registers: anyCount(t, "registers"), Revision: anyRevision(t, "flight revision"), CountWas: anyCount(t, "count was"), AskedAt: anyTime(t, "roll asked at"),
		Readings: some(t, "old readings", 1, func(l string) observed.Reading { return anyReading(t, l) }), Baseline: some(t, "baseline", 1, func(l string) observed.Alarm { return anyAlarm(t, l) }),
	}
	if seldom(t, "except") {
		ro.Except = anyRevision(t, "except revision")
	}
	if rec.Good != nil && (ro.Kind == KindRevert || ro.Kind == KindRestore) && !seldom(t, "back to another") {
		ro.Target, ro.Revision, ro.Fingerprint = rec.Good.Target, rec.Good.Revision, rec.Good.Fingerprint
	}
	if maybe(t, "migrating") {
		ro.Migration = p.migration(t, ro.Target)
	}
	if !seldom(t, "asked for") {
		ro.Deployment = &Deployment{Before: anyDeployment(t, "before"), RequestedAt: anyTime(t, "rolled at"), Tries: anyCount(t, "tries"), ID: anyDeployment(t, "followed"), Listed: maybe(t, "listed"), GoneSince: anyTime(t, "gone since")}
	}
	if maybe(t, "not asked for yet") {
		ro.Deployment = nil
	}
	if ro.Stage == StageEvidence && !seldom(t, "no failure") || seldom(t, "failure") {
		ro.Failure = &Evidence{At: anyTime(t, "failed at"), Class: one(t, "class", observed.ClassProduct, observed.ClassBlocked, observed.ClassInfrastructure, ""), Check: one(t, "failed check", CheckSteady, "logs", checkMigration, checkRequest), Reason: "Crashed", Message: "it crashed"}
	}
	return ro
}

func (p *pool) migration(t *rapid.T, target Target) *Migration {
	key := target.Key
	if seldom(t, "another key") {
		key = p.key(t, "migration key")
	}
	return &Migration{Key: key, Lock: one(t, "migration lock", "db", "db", "other", ""), Attempt: rapid.IntRange(0, 7).Draw(t, "attempt"), Token: "token", Requests: one(t, "requests", 0, 1, 2, math.MaxInt),
		AskedAt: anyTime(t, "migration asked at"), RequestedAt: anyTime(t, "migration requested at"), Refused: seldom(t, "refused"), UnsureSince: anyTime(t, "unsure since"), StartedAt: anyTime(t, "migration started at"),
		Deadline: anyTime(t, "migration deadline"), Task: one(t, "task", "", "task/m", "task/m"), Seen: maybe(t, "seen"), Stopping: seldom(t, "stopping"), NotBefore: anyTime(t, "not before")}
}
