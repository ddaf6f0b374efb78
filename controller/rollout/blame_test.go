package rollout

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

func gaveUp() observed.Reading {
	return observed.Reading{Check: CheckSteady, Verdict: observed.Fail, Class: observed.ClassInfrastructure, Reason: "TasksNotPlaced", Detail: "ECS gave the deployment up"}
}

// atB has a1 good and rolls the next version as revision 2.
func atB(t *testing.T) *walker {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.want.Intent.Service.Spec.Migration = nil
	answer[Register](w, Outcome{Revision: td(2)})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
	return w
}

// The last good revision is PRIMARY after a revert that failed, and serves nothing: nothing more is tried until git says so.
func TestAFailedRevertStays(t *testing.T) {
	w := atB(t)
	w.seen.Tasks = nil
	for range 20 {
		if _, ok := w.after(4 * time.Second).pass(gaveUp()).Action.(Roll); ok {
			break
		}
	}
	w.rec = Apply(w.now, w.rec, w.done[len(w.done)-1], Outcome{Deployment: "ecs-svc/30"})
	w.deploy("ecs-svc/30", td(1), observed.RolloutFailed)
	n := count[Roll](w.done)
	for range 40 {
		if a, ok := w.after(30 * time.Second).pass(gaveUp()).Action.(Tag); ok {
			w.rec = Apply(w.now, w.rec, a, Outcome{})
		}
	}
	if count[Roll](w.done) != n || w.rec.State != StateStalled || w.rec.Stalled.Reason != ReasonRevertFailed {
		t.Errorf("%d requests more; %s: %s", count[Roll](w.done)-n, w.rec.State, w.rec.Why)
	}
}

// Old tasks that drain for longer than the deadline are slow, and no failure; but not for ever.
func TestDrainingIsNoFailure(t *testing.T) {
	w := atB(t)
	draining := observed.Reading{Check: CheckSteady, Verdict: observed.NoData, Class: observed.ClassInfrastructure, Reason: ReasonDraining, Detail: "tasks of before drain"}
	w.after(70 * time.Minute).pass(draining)
	w.state(StateRolling)
	w.after(15 * time.Minute).pass(draining)
	w.state(StateFailing)
}

// Whoever deploys whenever the controller does is not answered for ever.
func TestAFightIsToldAsOne(t *testing.T) {
	for name, theirs := range map[string]string{"the last good version": td(1), "another": tdInfra} {
		t.Run(name, func(t *testing.T) {
			w := atB(t)
			for n := range 120 {
				if ro := w.rec.Rollout; ro != nil && ro.Deployment != nil && ro.Deployment.ID != "" {
					w.deploy(fmt.Sprintf("ecs-svc/foreign-%d", n), theirs, observed.RolloutInProgress)
				}
				w.after(10 * time.Second).pass(under())
				d := w.after(40 * time.Second).pass(under())
				if a, ok := d.Action.(Roll); ok {
					w.rec = Apply(w.now, w.rec, a, Outcome{Deployment: fmt.Sprintf("ecs-svc/own-%d", n)})
					w.deploy(fmt.Sprintf("ecs-svc/own-%d", n), a.Revision, observed.RolloutInProgress)
				}
			}
			if w.rec.State != StateStalled || w.rec.Stalled.Reason != ReasonContested || count[Roll](w.done) > 5 {
				t.Errorf("%s, %d requests: %s", w.rec.State, count[Roll](w.done), w.rec.Why)
			}
		})
	}
}

// A request that is refused up to the deadline fails by the kind of the refusal.
func TestARefusedRequestHasItsClass(t *testing.T) {
	for code, want := range map[string]struct {
		kind   fault.Kind
		class  observed.Class
		reason string
	}{
		"AccessDeniedException": {fault.Blocked, observed.ClassBlocked, fault.ReasonAccessDenied},
		"ThrottlingException":   {fault.Throttled, observed.ClassInfrastructure, fault.ReasonThrottled},
		"Surprise":              {fault.Unknown, observed.ClassInfrastructure, fault.ReasonCallFails},
	} {
		e := failUnasked(15*time.Minute, &Trouble{Kind: string(want.kind), Code: code})
		if e.Class != want.class || e.Reason != want.reason {
			t.Errorf("%s: %s %s", code, e.Class, e.Reason)
		}
	}
}

// A token that was used with other parameters is the sign of a task, so it is no sure refusal.
func TestAConflictOverATokenIsNotSure(t *testing.T) {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	d := w.pass()
	w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Conflict, "ConflictException", errors.New("used"))).Record
	if w.rec.Rollout.Migration.Refused {
		t.Error("it is taken for a refusal without effect")
	}
}

// A tag that cannot be written, and without which nothing goes on, is told.
func TestATagThatHoldsARolloutBackIsTold(t *testing.T) {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	d := w.pass()
	if _, ok := d.Action.(Tag); !ok {
		t.Fatalf("did %T", d.Action)
	}
	w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Blocked, "AccessDeniedException", errors.New("denied"))).Record
	w.state(StateBlocked)
}

// What was tried without a verdict is registered once more where its revision still serves: ECS begins nothing for the same one.
func TestATryAgainNeedsAnotherRevision(t *testing.T) {
	w := newWalker(t)
	w.seen.Desired, w.seen.Deployments[0].Desired = 0, 0
	w.rolls(1)
	w.after(5 * time.Second).pass(observed.Reading{Check: CheckSteady, Verdict: observed.Fail, Class: observed.ClassBlocked, Reason: "SecretUnavailable", Detail: "secret missing"})
	w.rest(120)
	last, ok := w.done[len(w.done)-1].(Register)
	if !ok || last.Except != td(1) {
		t.Errorf("did %+v", w.done[len(w.done)-1])
	}
}

// A stopped task is judged by its codes and states first.
func TestCodesComeBeforeTexts(t *testing.T) {
	const text = "CannotPullContainerError: i/o timeout: AccessDeniedException: secret: capacity is unavailable"
	for name, tt := range map[string]struct {
		task  observed.Task
		class observed.Class
	}{
		"an exit":               {observed.Task{StopCode: stopContainerExited, Containers: []observed.Container{{Name: "app", Exited: true, ExitCode: 1, Reason: text}}}, observed.ClassProduct},
		"Spot":                  {observed.Task{StopCode: stopSpot}, observed.ClassInfrastructure},
		"a lost host":           {observed.Task{StopCode: stopTerminated}, observed.ClassInfrastructure},
		"container's health":    {observed.Task{StopCode: stopByScheduler, Health: "UNHEALTHY"}, observed.ClassProduct},
		"scaled in":             {observed.Task{StopCode: stopByScheduler, Health: "HEALTHY"}, ""},
		"a person":              {observed.Task{StopCode: "UserInitiated"}, ""},
		"Service Connect's own": {observed.Task{StopCode: stopFailedToStart, Containers: []observed.Container{{Name: "app"}, {Name: "ecs-service-connect-a1", Reason: text}}}, observed.ClassBlocked},
	} {
		tt.task.StoppedReason = text
		if got := Stopped(tt.task); got.Class != tt.class {
			t.Errorf("%s: %s %s, want %s", name, got.Class, got.Reason, tt.class)
		}
	}
}

// The container that died is named, and not the one beside it that ended well because the task stopped, or that was stopped with it.
func TestWhichContainerEndedTheTask(t *testing.T) {
	container := func(name string, code int, reason string) observed.Container {
		return observed.Container{Name: name, Exited: true, ExitCode: code, Reason: reason}
	}
	const memory = "OutOfMemoryError: Container killed due to memory usage"
	for want, c := range map[string][2]observed.Container{
		"OutOfMemory: container app was killed because it ran out of memory": {container("app", 137, memory), container("otel", 0, "")},
		"OutOfMemory: container db was killed because it ran out of memory":  {container("db", 137, memory), container("otel", 1, "")},
		"Crashed: container app exited with code 139":                        {container("app", 139, ""), container("otel", 0, "")}, // SIGSEGV, which no stop of a task sends
		"Crashed: container app exited with code 134":                        {container("app", 134, ""), container("otel", 0, "")}, // SIGABRT: Node, the JVM, C++
		"Crashed: container app exited with code 255":                        {container("app", 255, ""), container("otel", 0, "")},
		"Crashed: container app exited with code 1":                          {container("app", 1, ""), container("otel", 143, "")},
		"Crashed: container app exited with code 0":                          {container("app", 0, ""), container("otel", 137, "")},
		"Crashed: container app exited with code 137":                        {container("app", 137, ""), container("otel", 143, "")},
	} {
		for _, containers := range [][]observed.Container{{c[0], c[1]}, {c[1], c[0]}} {
			if strings.HasSuffix(want, "137") && containers[0].Name == "otel" {
				continue // which of two that were killed was the first one nobody can tell
			}
			stop := Stopped(observed.Task{StopCode: stopContainerExited, LastStatus: "STOPPED", StoppedReason: "Essential container in task exited", Containers: containers})
			if got := stop.Reason + ": " + stop.Message; got != want {
				t.Errorf("told as %q, want %q", got, want)
			}
		}
	}
}
