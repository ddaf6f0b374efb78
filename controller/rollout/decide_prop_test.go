package rollout

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

var epoch = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

func instant(t *rapid.T, label string) time.Time {
	return epoch.Add(time.Duration(rapid.IntRange(-7200, 7200).Draw(t, label)) * time.Second)
}

func digest(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{digestA, digestB, digestC}).Draw(t, label)
}

// anyIntent is git's word, ordinary or odd.
func anyIntent(t *rapid.T, label string) *Intent {
	in := intentFor(digest(t, label))
	in.Service.Spec.Retry = rapid.IntRange(0, 2).Draw(t, label+" retry")
	in.Service.Spec.OnFailure = rapid.SampledFrom([]desired.OnFailure{"revert", "freeze"}).Draw(t, label+" onFailure")
	if rapid.Bool().Draw(t, label+" no migration") {
		in.Service.Spec.Migration = nil
	} else {
		in.Service.Spec.Migration.Idempotent = rapid.Bool().Draw(t, label+" idempotent")
		in.Service.Spec.Migration.Assume = rapid.SampledFrom([]desired.Assumption{"", "done", "failed"}).Draw(t, label+" assume")
	}
	if rapid.Bool().Draw(t, label+" suspended") {
		in.Service.Spec.Suspend = &desired.Override{Reason: "because", Owner: "me", Until: instant(t, label+" until")}
	}
	return in
}

func anyTarget(t *rapid.T, label string) Target {
	in := anyIntent(t, label)
	d := in.Service.Spec.Containers["app"].Image.Digest
	target, _ := resolve(*in, "repo", map[string]string{d: d})
	return target
}

// anyRecord is a record that may be impossible: nobody promises that a ledger was written by this program.
func anyRecord(t *rapid.T) Record {
	rec := Record{Schema: Schema, Service: "orders", Generation: rapid.IntRange(0, 9).Draw(t, "generation")}
	if rapid.Bool().Draw(t, "has intent") {
		rec.Intent = anyIntent(t, "record intent")
	}
	if rapid.Bool().Draw(t, "has good") {
		target := anyTarget(t, "good")
		rec.Good = &Good{Target: target, Revision: td(rapid.IntRange(1, 3).Draw(t, "good revision")), At: instant(t, "good at"),
			Fingerprint: fingerprint(target.Ask, observed.Template{Content: rapid.SampledFrom([]string{"{}", `{"cpu":"256"}`}).Draw(t, "good template")}, nil)}
		rec.GoodAsks = []string{target.Ask}
	}
	for range rapid.IntRange(0, 2).Draw(t, "rejections") {
		target := anyTarget(t, "rejected")
		rec.Rejected = append(rec.Rejected, Rejection{Ask: target.Ask, Retry: rapid.IntRange(0, 2).Draw(t, "retried"), Check: CheckSteady, Checks: checksHash(*target.Spec, CheckSteady), Message: "it crashed"})
	}
	if rapid.Bool().Draw(t, "stalled") {
		target := anyTarget(t, "stalled")
		rec.Stalled = &Stall{Wanted: target.Ask, Ask: target.Ask, Retry: rapid.IntRange(0, 2).Draw(t, "stall retry"),
			Reason: rapid.SampledFrom([]string{ReasonFrozen, ReasonRevertFailed, ReasonDeadline}).Draw(t, "stall reason"), Message: "it hangs"}
	}
	if rapid.Bool().Draw(t, "in flight") {
		rec.Rollout = anyRollout(t)
	}
	if rapid.Bool().Draw(t, "in trouble") {
		rec.Trouble = &Trouble{Since: epoch, Attempts: rapid.IntRange(1, 9).Draw(t, "attempts"), NextAt: instant(t, "next at"), Message: "throttled"}
	}
	rec.Why, rec.State = "it was so", StateSettled
	return rec
}

func anyRollout(t *rapid.T) *Rollout {
	ro := &Rollout{
		Number: rapid.IntRange(1, 9).Draw(t, "number"), Kind: rapid.SampledFrom([]Kind{KindDeploy, KindRevert, KindRestore, KindUndo}).Draw(t, "kind"),
		Trigger: TriggerGit, Target: anyTarget(t, "flight"), Fingerprint: "v1:f", StartedAt: epoch, StageAt: instant(t, "stage at"),
		Stage:    rapid.SampledFrom([]Stage{StageRegister, StageMigrate, StageRoll, StageBake, StageEvidence}).Draw(t, "stage"),
		Revision: td(rapid.IntRange(1, 3).Draw(t, "revision")), Deadline: instant(t, "deadline"), BakeUntil: instant(t, "bake until"),
		CountWas: rapid.IntRange(0, 2).Draw(t, "count was"),
	}
	if ro.Target.Migration != nil && rapid.Bool().Draw(t, "migrating") {
		ro.Migration = &Migration{Key: ro.Target.Key, Lock: "db", Attempt: rapid.IntRange(1, 6).Draw(t, "attempt"), Token: "token", RequestedAt: instant(t, "asked at"),
			Deadline: instant(t, "migration deadline"), Task: rapid.SampledFrom([]string{"", "task/m"}).Draw(t, "task"), Seen: rapid.Bool().Draw(t, "seen"), Stopping: rapid.Bool().Draw(t, "stopping")}
	}
	if ro.Stage == StageBake || rapid.Bool().Draw(t, "asked for") {
		ro.Deployment = &Deployment{Before: "ecs-svc/1", RequestedAt: instant(t, "rolled at"), Tries: 1, ID: rapid.SampledFrom([]string{"", "ecs-svc/1", "ecs-svc/2"}).Draw(t, "deployment")}
		if ro.Stage == StageBake {
			ro.Deployment.ID = "ecs-svc/2"
		}
	}
	if ro.Stage == StageEvidence {
		ro.Failure = &Evidence{Class: rapid.SampledFrom([]observed.Class{"product", "blocked", "infrastructure"}).Draw(t, "class"), Check: CheckSteady, Reason: "Crashed", Message: "it crashed"}
	}
	return ro
}

// anySeen is an observation, with holes.
func anySeen(t *rapid.T) observed.Service {
	seen := observed.Service{
		At: epoch, Name: "orders", Status: rapid.SampledFrom([]observed.Status{"ACTIVE", "ACTIVE", "ACTIVE", "DRAINING", "INACTIVE", "MISSING"}).Draw(t, "status"),
		Desired: rapid.IntRange(0, 2).Draw(t, "desired"), Tags: map[string]string{}, Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{},
		Stack: observed.Stack{Name: "orders-dev", Status: "UPDATE_COMPLETE", InProgress: rapid.Bool().Draw(t, "stack busy"), Outputs: map[string]string{"RepoUri": "repo"}},
	}
	if rapid.Bool().Draw(t, "has template") {
		seen.Template = &observed.Template{ARN: "template:1", Content: "{}"}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "deployments") {
		d := observed.Deployment{ID: fmt.Sprintf("ecs-svc/%d", rapid.IntRange(1, 3).Draw(t, "id")), Primary: i == 0, TaskDefinition: td(rapid.IntRange(0, 3).Draw(t, "td")), Desired: seen.Desired, Running: seen.Desired,
			Rollout: rapid.SampledFrom([]observed.RolloutState{"IN_PROGRESS", "COMPLETED", "FAILED", ""}).Draw(t, "rollout state"), UpdatedAt: instant(t, "updated")}
		seen.Deployments = append(seen.Deployments, d)
		if i == 0 {
			seen.TaskDefinition = d.TaskDefinition
		}
	}
	for n := range 4 {
		if rapid.Bool().Draw(t, "known revision") {
			seen.Revisions[td(n)] = observed.Revision{ARN: td(n), Active: true}
			seen.Startable[td(n)] = observed.Startable{OK: rapid.Bool().Draw(t, "startable")}
		}
	}
	if rapid.Bool().Draw(t, "sees migration") {
		seen.Migration = ended(rapid.IntRange(0, 1).Draw(t, "exit code"))
		seen.Migration.LastStatus = rapid.SampledFrom([]string{"RUNNING", "STOPPED"}).Draw(t, "migration status")
		seen.Migration.StopCode = rapid.SampledFrom([]string{"", "EssentialContainerExited", "TaskFailedToStart"}).Draw(t, "stop code")
	}
	if until := instant(t, "held until"); rapid.Bool().Draw(t, "held") {
		seen.Tags[TagHold] = "sre/" + until.Format(time.RFC3339)
	}
	return seen
}

func anyInput(t *rapid.T) Input {
	in := Input{Now: epoch, Seen: anySeen(t), Strategy: plainStrategy{}, Want: Want{Environment: "dev", Pace: Pace{Watch: 4 * time.Second, Idle: time.Minute},
		Policy: desired.EnvironmentSpec{Drift: desired.DriftPolicy{After: desired.Duration(time.Minute), Action: rapid.SampledFrom([]desired.DriftAction{"correct", "report"}).Draw(t, "drift")}}}}
	if rapid.Bool().Draw(t, "git speaks") {
		in.Want.Intent = anyIntent(t, "git")
	} else {
		in.Want.Removed = rapid.Bool().Draw(t, "removed")
		in.Want.Invalid = "orders.yaml:1:1: broken"
	}
	if rapid.Bool().Draw(t, "paused") {
		in.Want.Pause = &Pause{Reason: rapid.SampledFrom([]State{StateMassChange, StateManyMissing}).Draw(t, "pause"), Commit: "a9d7713", Count: 6, Of: 9, Share: 50}
		in.Want.Withheld = rapid.Bool().Draw(t, "withheld")
	}
	in.Want.LockHolder = rapid.SampledFrom([]string{"", "orders", "billing"}).Draw(t, "lock holder")
	in.Look = observed.Look{Fresh: true, Template: true, Tasks: rapid.Bool().Draw(t, "looked at tasks"), Revisions: []string{td(1), td(2), td(3)}}
	if in.Want.Intent != nil {
		d := in.Want.Intent.Service.Spec.Containers["app"].Image.Digest
		in.Look.Containers = map[string]string{"app": d}
		in.Seen.Images = map[string]observed.Image{"app": {Digest: d}}
	}
	for range rapid.IntRange(0, 2).Draw(t, "readings") {
		in.Readings = append(in.Readings, observed.Reading{Check: rapid.SampledFrom([]string{CheckSteady, "logs"}).Draw(t, "check"), At: epoch, Detail: "so it is",
			Deployment: rapid.SampledFrom([]string{"", "ecs-svc/1", "ecs-svc/2"}).Draw(t, "about"), Verdict: rapid.SampledFrom([]observed.Verdict{"pass", "fail", "no data"}).Draw(t, "verdict"),
			Class: rapid.SampledFrom([]observed.Class{"product", "blocked", "infrastructure"}).Draw(t, "class of failure")})
	}
	return in
}

// Whatever it is given, Decide ends, says why, acts or says when it looks again, and leaves its arguments as they were.
func TestDecideHoldsItsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, rec := anyInput(t), anyRecord(t)
		before, _ := json.Marshal(rec)
		d := Decide(in, rec)
		if after, _ := json.Marshal(rec); string(after) != string(before) {
			t.Fatalf("the record passed in was changed")
		}
		if again := Decide(in, rec); !reflect.DeepEqual(again, d) {
			t.Fatalf("the same arguments gave another decision")
		}
		if d.Look != nil {
			return
		}
		if d.Record.Why == "" || d.Record.State == StateUnknown {
			t.Fatalf("no reason given: %+v", d.Record)
		}
		if d.Action == nil && d.WakeAt.IsZero() {
			t.Fatalf("neither acts nor looks again: %s", d.Record.Why)
		}
		checkSafety(t, in, rec, d)
	})
}

// checkSafety holds the invariants that one decision can break.
func checkSafety(t *rapid.T, in Input, before Record, d Decision) {
	roll, ok := d.Action.(Roll)
	now, then := d.Record.Rollout, before.Rollout
	switch {
	case in.Want.Pause != nil && now != nil && now.Kind == KindDeploy && (then == nil || then.Number != now.Number):
		t.Fatalf("15: begins a deploy in a pause")
	case in.Want.Intent == nil && before.Intent == nil && d.Action != nil && before.Rollout == nil:
		t.Fatalf("acts although git never asked for anything: %T", d.Action)
	case in.Seen.Stack.InProgress && ok && d.Record.Rollout.Kind == KindDeploy && d.Record.Rollout.Deployment.Tries == 1:
		t.Fatalf("7: begins to roll while the infrastructure is at work")
	case ok && d.Record.Rollout == nil:
		t.Fatalf("8: rolls without a record of it")
	case ok && roll.Revision != d.Record.Rollout.Revision:
		t.Fatalf("1: rolls %s, the record says %s", roll.Revision, d.Record.Rollout.Revision)
	}
	if !ok {
		return
	}
	ro := d.Record.Rollout
	if ro.Kind != KindDeploy && before.Rollout == nil && (before.Good != nil && roll.Revision != before.Good.Revision) {
		t.Fatalf("6: goes back to %s, which was not good", roll.Revision)
	}
	if ro.Kind == KindDeploy && ro.Target.Migration != nil && (before.Rollout == nil || before.Rollout.Stage != StageRoll) &&
		!contains(d.Record.Migrated, ro.Target.Key) && !contains(d.Record.GoodAsks, ro.Target.Ask) {
		t.Fatalf("2: rolls before the migration succeeded")
	}
	if v := before.RejectionOf(ro.Target.Ask); v != nil && before.Rollout == nil && ro.Kind == KindDeploy && !cleared(*v, *d.Record.Intent) && (before.Good == nil || before.Good.Target.Ask != ro.Target.Ask) {
		t.Fatalf("4: rolls an ask that was rejected")
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("DB_PASSWORD=hunter2 next")
	f.Add("postgres://user:hunter2@db/x")
	f.Fuzz(func(t *testing.T, s string) {
		if once := Redact(s); len(once) > 20*len(s)+100 {
			t.Errorf("%q grew to %d bytes", s, len(once))
		}
	})
}

func TestRedact(t *testing.T) {
	for _, line := range []string{
		"password=hunter2", `{"db_password":"hunter2"}`, "DB_PASSWORD: hunter2", "postgres://user:hunter2@db:5432/orders", "Authorization: Bearer hunter2",
		"token = hunter2;", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
	} {
		if got := Redact(line); contains([]string{line}, got) || len(got) == 0 || containsWord(got, "hunter2") {
			t.Errorf("%q became %q", line, got)
		}
	}
	for _, line := range []string{"listening on 8080", "order 4711 accepted", "panic: runtime error: index out of range"} {
		if got := Redact(line); got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func containsWord(s, word string) bool {
	for i := range len(s) - len(word) + 1 {
		if s[i:i+len(word)] == word {
			return true
		}
	}
	return false
}
