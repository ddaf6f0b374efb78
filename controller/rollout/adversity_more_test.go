package rollout

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

func TestAskStaleTags(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	if n := atOneInstant[Tag](w); n != 1 {
		t.Errorf("%d TagResource at one instant while DescribeServices is stale", n)
	}
}

func TestDriftUnseenFor(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Policy.Drift.After = desired.Duration(24 * time.Hour)
	w.deploy("ecs-svc/99", tdInfra, observed.RolloutCompleted)
	if d := w.pass(); d.WakeAt.Sub(w.now) > time.Minute {
		t.Errorf("next look in %s", d.WakeAt.Sub(w.now))
	}
}

// The same as TemplateLoop but git asks B that was rejected before.
func TestTemplateLoopKeepsGit(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Template = &observed.Template{ARN: "template:2", Content: `{"cpu":"1"}`}
	w.want.Policy.TemplateChange = "report"
	w.rec.Rejected = nil
	b := intentFor(digestB)
	target, _ := resolve(*b, "repo", Words{{digestB, digestB}})
	w.rec.Rejected = []Rejection{{Ask: target.Ask, Check: CheckSteady, Checks: checksHash(b.Service.Spec, CheckSteady), Message: "it crashed"}}
	w.want.Intent = b
	w.rest(3)
	if w.rec.State == StateWaitingTemplate {
		t.Errorf("git's ask was rejected, told is %s (phase Healthy): %s", w.rec.State, w.rec.Why)
	}
}

func TestBaselineTakenBeforeMigration(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Alarms = []observed.Alarm{{Name: "5xx", State: observed.AlarmOK}}
	w.want.Intent = intentFor(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.after(9 * time.Minute)
	w.seen.Alarms = []observed.Alarm{{Name: "5xx", State: observed.AlarmRed}} // red before UpdateService was ever asked
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
	if w.rec.Rollout.Baseline[0].State == observed.AlarmOK {
		t.Errorf("red before the roll, rolled all the same, baseline says OK: the first look rejects the ask")
	}
}

// What excused a red alarm is over once it was green, while rolling or in the bake; too little data says nothing of that.
func TestAnAlarmThatWasGreenIsExcusedNoMore(t *testing.T) {
	for _, bakes := range []bool{false, true} {
		w := toRoll(t)
		if bakes {
			w.after(20 * time.Second).complete()
			w.pass(passing())
			w.state(StateBaking)
		}
		shared := []observed.Alarm{{Name: "5xx", State: observed.AlarmRed}, {Name: "4xx", State: observed.AlarmRed}}
		w.rec.Rollout.Baseline = shared
		for _, state := range []observed.AlarmState{observed.AlarmInsufficient, observed.AlarmOK, observed.AlarmRed} {
			w.seen.Alarms = []observed.Alarm{{Name: "5xx", State: state}, {Name: "4xx", State: observed.AlarmRed}}
			w.after(5 * time.Second).pass(passing())
			subject, _ := w.rec.Subject(w.now, observed.Look{})
			if excused := subject.Baseline[0].State == observed.AlarmRed; excused != (state == observed.AlarmInsufficient) {
				t.Errorf("bakes %v, 5xx seen %s: excused %v", bakes, state, excused)
			}
			if subject.Baseline[1].State != observed.AlarmRed {
				t.Errorf("bakes %v: 4xx was never green", bakes)
			}
		}
		if shared[0].State != observed.AlarmRed {
			t.Error("the record that was passed in was changed")
		}
	}
}

func TestFrozenMendedCheck(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.OnFailure = desired.OnFailureFreeze
	b.Service.Spec.Verify.Checks = map[string]jsonRaw{"logs": jsonRaw(`{"forbid":["x"]}`)}
	w.want.Intent = b
	w.rolls(2)
	w.after(9 * time.Second).pass(observed.Reading{Check: "logs", Verdict: observed.Fail, Class: observed.ClassProduct, Reason: "ForbiddenLogLine", Detail: "x"})
	w.rest(3)
	c := *b
	c.Commit.SHA = "999"
	c.Service.Spec.Verify.Checks = map[string]jsonRaw{"logs": jsonRaw(`{"forbid":["y"]}`)}
	w.want.Intent = &c
	w.rest(5)
	if w.rec.State == StateStalled {
		t.Errorf("the check that condemned it was mended; %s", w.rec.Why)
	}
}

type jsonRaw = json.RawMessage

// A breaking migration ran, git went on to C, and C fails: A does not know the schema any more, so nothing is put back.
func TestNothingIsPutBackBehindABreakingMigration(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.Migration.Compatibility = desired.CompatibilityBreaking
	b.Service.Spec.OnFailure = desired.OnFailureFreeze
	w.want.Intent = b
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	w.want.Intent = intentFor(digestC)
	w.pass() // B is left
	w.seen.Migration = nil
	answer[Tag](w, Outcome{})
	w.rolls(3)
	w.after(5 * time.Second).pass(crashed())
	rolls := count[Roll](w.done)
	w.rest(10)
	w.state(StateStalled)
	if n := count[Roll](w.done); n != rolls || w.rec.Stalled.Reason != ReasonFrozen {
		t.Errorf("%d rolls after the failure; stalled %+v", n-rolls, w.rec.Stalled)
	}
}

// The template is bad, and so is whatever git asks next. Each ask is tried once; the good version stays on its old revision.
func TestABadTemplateIsNotTriedAgainAfterTheNextAsk(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Template = &observed.Template{ARN: "template:2", Content: `{"cpu":"1"}`}
	answer[Register](w, Outcome{Revision: td(2)})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
	w.after(5 * time.Second).pass(crashed())
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	w.complete()
	w.pass(passing())
	w.rest(3)
	w.state(StateStalled)
	if len(w.rec.Rejected) != 0 {
		t.Errorf("the good ask was condemned for the template: %+v", w.rec.Rejected)
	}
	w.fallsOver(digestB, 3)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/31"})
	w.complete()
	w.pass(passing())
	rolls := count[Roll](w.done)
	w.rest(30)
	w.state(StateReverted)
	if n := count[Roll](w.done); n != rolls {
		t.Errorf("%d more rolls: the template was tried again", n-rolls)
	}
}

// Invariant 6: a revert waits for no window, no place, no other service and no red alarm.
func TestARevertWaitsForNothing(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestB, 2)
	w.want.Policy.Windows = []desired.Window{{Days: []string{"sun"}, From: "03:00", To: "04:00"}}
	w.want.Policy.MaxConcurrentRollouts, w.want.Others, w.want.Waiting = 1, 5, []string{"billing"}
	w.seen.Alarms = []observed.Alarm{{Name: "5xx", State: observed.AlarmRed}}
	red := observed.Reading{Check: "alarms", Verdict: observed.Fail, Class: observed.ClassBlocked, Detail: "alarm 5xx is red already"}
	if roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/21"}, red); roll.Revision != td(1) {
		t.Errorf("reverted to %s", roll.Revision)
	}
}

// Invariant 7: nothing is begun unless the last good revision could still be started.
func TestNothingIsBegunWithoutAWayBack(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Startable[td(1)] = observed.Startable{Reason: "image repo@" + digestA + " is not in its repository any more"}
	w.want.Intent = intentFor(digestB)
	done := len(w.done)
	w.rest(20)
	w.state(StateBlocked)
	if len(w.done) != done {
		t.Errorf("did %v", w.done[done:])
	}
	w.seen.Startable[td(1)] = observed.Startable{OK: true}
	answer[Register](w, Outcome{Revision: td(2)})
}

// Invariant 8: a registration whose answer never came is looked for before it is repeated.
func TestARegistrationIsLookedForBeforeItIsRepeated(t *testing.T) {
	w := newWalker(t)
	first := w.pass().Action.(Register)
	again := w.after(time.Minute).pass().Action.(Register)
	if first.Look || !again.Look || again.Fingerprint != first.Fingerprint {
		t.Errorf("looked before the first request: %v, before the second: %v", first.Look, again.Look)
	}
}

// Invariant 11: the catalogue of stopped tasks, by stop code and by text only where ECS has no code.
func TestStoppedTasksAreToldApart(t *testing.T) {
	exit := func(code int, reason string) []observed.Container {
		return []observed.Container{{Name: "app", Exited: true, ExitCode: code, Reason: reason}, {Name: "proxy", Exited: true, ExitCode: 137}}
	}
	for _, tc := range []struct {
		code, reason string
		containers   []observed.Container
		class        observed.Class
		want         string
	}{
		{"EssentialContainerExited", "Essential container in task exited", exit(1, ""), observed.ClassProduct, "Crashed"},
		{"EssentialContainerExited", "Essential container in task exited", exit(137, "OutOfMemoryError: Container killed due to memory usage"), observed.ClassProduct, "OutOfMemory"},
		{"TaskFailedToStart", "CannotPullContainerError: failed to resolve ref x: not found", nil, observed.ClassBlocked, "ImageNotPullable"},
		{"TaskFailedToStart", "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit", nil, observed.ClassInfrastructure, "PullThrottled"},
		{"TaskFailedToStart", "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64'", nil, observed.ClassProduct, "WrongPlatform"},
		{"TaskFailedToStart", "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm", nil, observed.ClassBlocked, "SecretUnavailable"},
		{"TaskFailedToStart", "ResourceInitializationError: failed to validate logger args: The specified log group does not exist", nil, observed.ClassBlocked, "LogGroupMissing"},
		{"TaskFailedToStart", "Timeout waiting for network interface provisioning to complete.", nil, observed.ClassInfrastructure, "ProvisioningTimeout"},
		{"TaskFailedToStart", "CannotStartContainerError: exec: \"x\": executable file not found in $PATH", nil, observed.ClassProduct, "CannotStart"},
		{"ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group arn)", nil, observed.ClassProduct, "Unhealthy"},
		{"ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)", nil, "", ""},
		{"UserInitiated", "Task stopped by user", exit(143, ""), "", ""},
		{"SpotInterruption", "Your Spot Task was interrupted.", exit(143, ""), observed.ClassInfrastructure, "Interrupted"},
	} {
		got := Stopped(observed.Task{StopCode: tc.code, StoppedReason: tc.reason, Containers: tc.containers})
		if got.Class != tc.class || got.Reason != tc.want {
			t.Errorf("%s, %s: %s %s, want %s %s", tc.code, tc.reason, got.Class, got.Reason, tc.class, tc.want)
		}
	}
}

// refuse answers the pass's action as an account without room does.
func (w *walker) refuse() {
	if d := w.pass(); d.Action != nil {
		w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Unavailable, "RESOURCE:FARGATE", fmt.Errorf("no room"))).Record
	}
}

// What git no longer asks is not begun, even while the image of what it asks now is not there; and a migration that ECS has
// refused so far is not waited for.
func TestLeavesWhatNobodyAsksForAnyMore(t *testing.T) {
	for name, pushed := range map[string]bool{"pushed": true, "not pushed yet": false} {
		t.Run(name, func(t *testing.T) {
			w := toMigrate(t)
			w.refuse()
			w.want.Intent = intentFor(digestC)
			w.unpushed = !pushed
			d := w.after(30 * time.Second).pass()
			if d.Action != nil || w.rec.Rollout != nil || len(d.History) != 1 || d.History[0].Result != ResultSuperseded {
				t.Errorf("git asks for ccccccc; did %T, in flight %v: %s", d.Action, w.rec.Rollout != nil, w.rec.Why)
			}
		})
	}
}

// No capacity is waited out up to the deadline, then the service is stalled: nothing ran, so nothing is unknown.
func TestMigrationWithoutRoomStalls(t *testing.T) {
	w := toMigrate(t)
	for range 60 {
		w.refuse()
		w.after(30 * time.Second)
	}
	if s := w.rec.Stalled; s == nil || s.Reason != ReasonMigrationNotStarted || w.rec.HoldsLock() != "" || len(w.rec.Rejected) > 0 {
		t.Errorf("after 30 min without room: %s %s, stalled %+v, lock %q", w.rec.State, w.rec.Why, w.rec.Stalled, w.rec.HoldsLock())
	}
}

// A longer bake that git asks for meanwhile counts for what is in flight.
func TestLongerBakeCountsAtOnce(t *testing.T) {
	w := toRoll(t)
	w.complete()
	w.after(5 * time.Second).pass(passing())
	w.state(StateBaking)
	longer := *w.want.Intent
	longer.Service.Spec.Verify.Bake, longer.Commit.SHA = desired.Duration(time.Hour), "longer"
	w.want.Intent = &longer
	for range 60 {
		w.after(10 * time.Second).pass(passing())
	}
	w.state(StateBaking)
}
