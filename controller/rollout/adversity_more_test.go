package rollout

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

func TestAskStaleTags(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	n := 0
	for range 20 {
		d := w.pass()
		if _, ok := d.Action.(Tag); ok && !d.WakeAt.After(w.now) {
			n++
			w.rec = Apply(w.now, w.rec, d.Action, Outcome{})
		}
	}
	if n > 1 {
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
	target, _ := resolve(*b, "repo", map[string]string{digestB: digestB})
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

func TestFrozenMendedCheck(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.OnFailure = desired.OnFailureFreeze
	b.Service.Spec.Verify.Checks = map[string]jsonRaw{"logs": jsonRaw(`{"forbid":["x"]}`)}
	w.want.Intent = b
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
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
	answer[Register](w, Outcome{Revision: td(3)})
	answer[RunMigration](w, Outcome{Task: "task/n"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/30"})
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
