package rollout

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// before is what the alarms check says before anything is begun.
func before(reason string) observed.Reading {
	return observed.Reading{Check: "alarms", Verdict: observed.Fail, Class: observed.ClassBlocked, Reason: reason, Detail: "alarm 5xx is red already"}
}

// A red alarm holds a version back while what was good serves, or somebody else's deployment, and not while what serves is a version of
// ours that has no good verdict: that may be the cause, and nobody would put it back.
func TestARedAlarmAndWhatServes(t *testing.T) {
	serve := func(w *walker, deployments ...observed.Deployment) {
		w.seen.TaskDefinition, w.seen.Deployments = deployments[0].TaskDefinition, deployments
		w.seen.Deployments[0].Primary = true
	}
	left := observed.Deployment{ID: "ecs-svc/20", TaskDefinition: td(2), Rollout: observed.RolloutInProgress, Running: 2}
	good := observed.Deployment{ID: "ecs-svc/30", TaskDefinition: td(1), Rollout: observed.RolloutFailed}
	for name, tc := range map[string]struct {
		reason string
		serves func(*walker)
		begins bool
	}{
		"what was good":                   {ReasonAlarmRed, func(w *walker) {}, false},
		"what was left":                   {ReasonAlarmRed, func(w *walker) { serve(w, left) }, true},
		"what was left, an alarm missing": {"AlarmMissing", func(w *walker) { serve(w, left) }, false},
		"what was left, another check":    {"", func(w *walker) { serve(w, left) }, false},
		"what was not put back":           {ReasonAlarmRed, func(w *walker) { serve(w, good, left) }, true},
		"what was put back":               {ReasonAlarmRed, func(w *walker) { d := left; d.Running = 0; serve(w, good, d) }, false},
		"what somebody deployed": {ReasonAlarmRed, func(w *walker) {
			serve(w, observed.Deployment{ID: "ecs-svc/9", TaskDefinition: td(9), Running: 2}, left)
		}, false},
		"what was left, deployed by somebody": {ReasonAlarmRed, func(w *walker) { d := left; d.ID = "ecs-svc/9"; serve(w, d) }, false},
		"what was first, and was never good":  {ReasonAlarmRed, func(w *walker) { w.rec.Good = nil; serve(w, left) }, true},
		"what the infrastructure made": {ReasonAlarmRed, func(w *walker) {
			w.rec.Good = nil
			serve(w, observed.Deployment{ID: "ecs-svc/1", TaskDefinition: tdInfra})
		}, false},
		"what was left, and nobody knows by id": {ReasonAlarmRed, func(w *walker) { w.rec.Deployed = ""; serve(w, left) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t)
			w.good(digestA, 1)
			w.rec.Deployed = "ecs-svc/20"
			w.rec = w.rec.know("v1:left", td(2))
			tc.serves(w)
			w.rec.Drift = &Drift{Since: w.now, Deployment: "ecs-svc/9", TaskDefinition: w.seen.TaskDefinition, Wanted: "v1:before"} // git has a newer word
			w.want.Intent = intentFor(digestC)
			if d := w.pass(before(tc.reason)); (d.Record.Rollout != nil) != tc.begins {
				t.Errorf("begins %v; why: %s", d.Record.Rollout != nil, d.Record.Why)
			}
		})
	}
}

// The alarm turns red while the newer one's migration runs. It is rolled all the same, and remembers whose doing the alarm may be; in an
// emergency the alarm is known, and is nobody's.
func TestARedAlarmAfterTheMigration(t *testing.T) {
	for _, emergency := range []bool{false, true} {
		w := newWalker(t)
		w.good(digestA, 1)
		w.want.Intent = intentFor(digestB)
		w.rolls(2)
		w.want.Intent = intentFor(digestC)
		if emergency {
			w.want.Intent.Service.Spec.Emergency = &desired.Override{Until: w.now.Add(time.Hour)}
		}
		w.after(10 * time.Second).pass(under()) // B is left
		w.seen.Migration = nil
		answer[Register](w, Outcome{Revision: td(3)})
		answer[RunMigration](w, Outcome{Task: "task/m"})
		w.seen.Migration = ended(0)
		answer[Tag](w, Outcome{}, before(ReasonAlarmRed))
		answer[Roll](w, Outcome{Deployment: "ecs-svc/30"}, before(ReasonAlarmRed))
		subject, _ := w.rec.Subject(w.now, observed.Look{})
		if subject.Inherits == emergency {
			t.Errorf("emergency %v: inherits %v", emergency, subject.Inherits)
		}
	}
}

// What runs is taken over only while no check fails: it cannot be the cure of itself.
func TestNothingIsTakenOverUnderARedAlarm(t *testing.T) {
	w := newWalker(t)
	alike := true
	w.want.Intent.Service.Spec.Migration = nil
	w.seen.TaskDefinition, w.seen.Alike = td(9), &alike
	w.seen.Deployments = []observed.Deployment{{ID: "ecs-svc/9", Primary: true, TaskDefinition: td(9), Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
	w.seen.Revisions[td(9)] = observed.Revision{ARN: td(9), Active: true}
	w.rec.Deployed, w.rec.Known = "ecs-svc/9", []Known{{"v1:taken", td(9)}} // it was tried before, and was blocked
	if d := w.pass(before(ReasonAlarmRed)); d.Record.Rollout != nil || d.Record.Said != SaidUnhealthyBefore {
		t.Errorf("in flight %+v; why: %s", d.Record.Rollout, d.Record.Why)
	}
}
