package rollout

import (
	"fmt"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// toMigrate takes a fresh walker to a migration that was asked for.
func toMigrate(t *testing.T) *walker {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	return w
}

// toRoll takes B up to its deployment.
func toRoll(t *testing.T) *walker {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
	w.after(5 * time.Second).pass(under())
	return w
}

// bad template -> endless roll/revert.
func TestTemplateLoop(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Template = &observed.Template{ARN: "template:2", Content: `{"cpu":"1"}`}
	n := count[Roll](w.done)
	id := 100
	for range 400 {
		d := w.pass(func() observed.Reading {
			if w.rec.Rollout != nil && w.rec.Rollout.Kind == KindDeploy {
				return crashed()
			}
			return passing()
		}())
		switch a := d.Action.(type) {
		case Roll:
			id++
			w.rec = Apply(w.now, w.rec, a, Outcome{Deployment: fmt.Sprint("ecs-svc/", id)})
			w.deploy(fmt.Sprint("ecs-svc/", id), a.Revision, observed.RolloutInProgress)
			w.complete()
		case Register:
			w.rec = Apply(w.now, w.rec, a, Outcome{Revision: td(9)})
			w.seen.Revisions[td(9)] = observed.Revision{ARN: td(9), Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint}
			w.seen.Startable[td(9)] = observed.Startable{OK: true}
		case Tag:
			for k, v := range a.Set {
				w.seen.Tags[k] = v
			}
			w.rec = Apply(w.now, w.rec, a, Outcome{})
		}
		w.after(4 * time.Second)
	}
	if got := count[Roll](w.done) - n; got > 2 {
		t.Errorf("%d rolls in %s for one bad template; state %s why %s", got, 400*4*time.Second, w.rec.State, w.rec.Why)
	}
}

// a gap in looks -> verdict in the first look after it.
func TestGoodAfterGap(t *testing.T) {
	w := toRoll(t)
	// ECS is done 10 s later; the controller cannot look for 3 minutes.
	w.after(10 * time.Second).complete()
	w.after(3 * time.Minute)
	d := w.pass(passing()) // one look, BakeFrom was zero: the targets check has no reading
	if w.rec.Good.Revision == td(2) {
		t.Errorf("good in the first look after a gap, never observed in bake: %v %s", d.History, w.rec.Why)
	}
}

// not passing through the bake.
func TestBakeNotPassing(t *testing.T) {
	w := toRoll(t)
	w.after(10 * time.Second).complete()
	w.pass(passing())
	w.state(StateBaking)
	bad := observed.Reading{Check: "targets", Verdict: observed.NoData, Detail: "0 of 2 targets are healthy"}
	for range 29 {
		w.after(4*time.Second).pass(passing(), bad)
	}
	w.after(4*time.Second).pass(passing(), observed.Reading{Check: "targets", Verdict: observed.Pass})
	if w.rec.Good.Revision == td(2) {
		t.Errorf("targets passed in 1 of 30 looks of the bake, verdict good")
	}
}

func TestAssumeIsDead(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = &observed.Task{LastStatus: "RUNNING"}
	w.pass()
	w.seen.Migration = nil
	w.after(2 * time.Hour).pass()
	w.pass()
	w.rest(2)
	w.state(StateStalled)
	in := intentFor(digestB)
	in.Service.Spec.Migration.Assume = desired.AssumeDone
	in.Commit.SHA = "0123"
	w.want.Intent = in
	w.rest(5)
	if w.rec.State == StateStalled {
		t.Errorf("assume: done changes nothing: %s", w.rec.Why)
	}
	// as the why sentence says
	in2 := intentFor(digestB)
	in2.Service.Spec.Retry = 1
	in2.Commit.SHA = "0124"
	w.want.Intent = in2
	for range 5 {
		if a, ok := w.pass().Action.(RunMigration); ok {
			t.Errorf("lost, not idempotent migration is run again: %+v", a.Token[:8])
			break
		}
	}
}

func TestInterruptedMigrationExit0(t *testing.T) {
	for _, stop := range []string{"UserInitiated", "SpotInterruption", "ServiceSchedulerInitiated"} {
		w := toMigrate(t)
		answer[RunMigration](w, Outcome{Task: "task/m"})
		w.seen.Migration = ended(0)
		w.seen.Migration.StopCode = stop
		w.pass()
		if w.rec.Rollout != nil && w.rec.Rollout.Stage == StageRoll {
			t.Errorf("migration stopped by %s, exit 0 of its SIGTERM handler counts as done", stop)
		}
	}
}

func TestInterruptedMigrationRejects(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(143)
	w.seen.Migration.StopCode = "SpotInterruption"
	w.pass()
	w.pass()
	if len(w.rec.Rejected) > 0 {
		t.Errorf("spot interruption rejects the ask: %s", w.rec.Rejected[0].Message)
	}
}

func TestHostLostRunsAgain(t *testing.T) {
	w := toMigrate(t)
	first := answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = &observed.Task{LastStatus: "RUNNING", StartedAt: w.now}
	w.pass()
	w.after(5 * time.Minute)
	w.seen.Migration = &observed.Task{LastStatus: "STOPPED", StartedAt: w.now.Add(-5 * time.Minute), StopCode: "SpotInterruption",
		Containers: []observed.Container{{Name: "app"}}}
	w.pass()
	w.seen.Migration = nil
	for range 5 {
		if a, ok := w.after(10 * time.Second).pass().Action.(RunMigration); ok {
			t.Errorf("a migration that ran 5 min without exit code runs again, not idempotent (token differs: %v)", a.Token != first.Token)
			break
		}
	}
}

func TestMigrationRefusedThenStarts(t *testing.T) {
	w := toMigrate(t)
	for w.rec.Rollout == nil || w.now.Before(w.rec.Rollout.StageAt.Add(9*time.Minute)) {
		d := w.pass()
		if d.Action != nil {
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Blocked, "AccessDeniedException", fmt.Errorf("may not"))).Record
		}
		w.after(30 * time.Second)
	}
	w.after(5 * time.Minute)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = nil // not visible yet: seconds
	w.after(time.Second).pass()
	if w.rec.State == StateFailing || w.rec.Rollout.Failure != nil {
		t.Errorf("not visible for 1 s after RunTask: %s; lock held %q", w.rec.Why, w.rec.HoldsLock())
	}
	// variant: visible at once
	w2 := toMigrate(t)
	for range 25 {
		d := w2.pass()
		if d.Action != nil {
			w2.rec = Failed(w2.now, w2.rec, d.Action, fault.New(fault.Blocked, "AccessDeniedException", fmt.Errorf("may not"))).Record
		}
		w2.after(30 * time.Second)
	}
	w2.after(2 * time.Minute)
	answer[RunMigration](w2, Outcome{Task: "task/m"})
	w2.seen.Migration = &observed.Task{LastStatus: "RUNNING"}
	if d := w2.after(time.Second).pass(); d.Action != nil {
		t.Errorf("%T one second after the task started: %s", d.Action, w2.rec.Why)
	}
	// variant: refused for an hour
	w3 := toMigrate(t)
	for range 40 {
		d := w3.pass()
		if d.Action != nil {
			if _, ok := d.Action.(RunMigration); !ok {
				break
			}
			w3.rec = Failed(w3.now, w3.rec, d.Action, fault.New(fault.Blocked, "AccessDeniedException", fmt.Errorf("may not"))).Record
		}
		w3.after(2 * time.Minute)
	}
	if w3.rec.Stalled != nil {
		t.Errorf("RunTask refused for an hour -> %s: %s", w3.rec.Stalled.Reason, w3.rec.Stalled.Message)
	}
}

func TestHoldInFlight(t *testing.T) {
	w := toRoll(t)
	w.seen.Tags[TagHold] = "sre/" + w.now.Add(time.Hour).Format(time.RFC3339)
	w.pass(crashed())
	n := len(w.done)
	for range 3 {
		w.pass()
	}
	if len(w.done) > n {
		t.Errorf("under hold: %T", w.done[n])
	}
}

func TestWritesUnderStackInProgress(t *testing.T) {
	w := toRoll(t)
	w.seen.Stack.InProgress, w.seen.Stack.Status = true, "UPDATE_IN_PROGRESS"
	other := td(1)
	w.seen.Parameter = &other
	w.after(10 * time.Second).complete()
	w.pass(passing())
	w.after(2*time.Minute + time.Second)
	n := len(w.done)
	for range 3 {
		d := w.pass(passing())
		if tag, ok := d.Action.(Tag); ok {
			for k, v := range tag.Set {
				w.seen.Tags[k] = v
			}
		}
	}
	if len(w.done) > n {
		t.Errorf("while the stack is UPDATE_IN_PROGRESS: %#v", w.done[n:])
	}
}

func TestBreakingThenOlder(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.Migration.Compatibility = desired.CompatibilityBreaking
	b.Service.Spec.OnFailure = desired.OnFailureFreeze
	w.want.Intent = b
	w.rolls(2)
	w.after(5 * time.Second).pass(under())
	w.want.Intent = intentFor(digestA) // git revert
	for range 4 {
		if r, ok := w.after(time.Second).pass(under()).Action.(Roll); ok {
			t.Errorf("rolls %s after a breaking migration: %s", r.Revision, w.rec.Why)
			return
		}
	}
}

// A breaking migration went through and its version froze. Git returns to what was good before: refused, until git raises retry
// beyond what it was then; whatever it was raised for in the past does not count.
func TestRetryRollsWhatWasLeftBehind(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b, a := intentFor(digestB), intentFor(digestA)
	b.Service.Spec.Migration.Compatibility = desired.CompatibilityBreaking
	b.Service.Spec.OnFailure, b.Service.Spec.Retry, a.Service.Spec.Retry = desired.OnFailureFreeze, 3, 3
	w.want.Intent = b
	w.rolls(2)
	w.after(5 * time.Second).pass(crashed())
	w.rest(2)
	w.want.Intent = a
	w.rest(3)
	w.state(StateStalled)
	again := *a
	again.Service.Spec.Retry = 4
	w.want.Intent = &again
	if roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/50"}); roll.Revision != td(1) {
		t.Fatalf("rolled %s", roll.Revision)
	}
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.rest(3)
	w.state(StateSettled)
	again.Service.Spec.Retry = 0 // it serves now, and is behind no more
	w.rest(3)
	w.state(StateSettled)
}

func TestSupersededMaxDeadlock(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.rec.Superseded = 2 // two in a row
	w.want.Intent = intentFor(digestB)
	for range 3 {
		d := w.pass()
		if a, ok := d.Action.(Register); ok {
			w.rec = Failed(w.now, w.rec, a, fault.New(fault.Blocked, "ResourceNotFoundException", fmt.Errorf("secret missing"))).Record
		}
		w.after(2 * time.Minute)
	}
	w.want.Intent = intentFor(digestC) // git mends it
	for range 10 {
		d := w.after(3 * time.Minute).pass()
		if a, ok := d.Action.(Register); ok {
			if a.Containers["app"].Digest == digestC {
				return
			}
			w.rec = Failed(w.now, w.rec, a, fault.New(fault.Blocked, "ResourceNotFoundException", fmt.Errorf("secret missing"))).Record
		}
	}
	t.Errorf("the third in a row can never be superseded though it never touched the service: %s", w.rec.Why)
}

func TestDriftReportBlocksGit(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Policy.Drift.Action = desired.DriftReport
	w.deploy("ecs-svc/99", tdInfra, observed.RolloutCompleted)
	w.pass()
	w.want.Intent = intentFor(digestB)
	n := len(w.done)
	for range 100 {
		w.after(time.Hour).pass()
	}
	if len(w.done) == n {
		t.Errorf("a new ask never starts: %s %s", w.rec.State, w.rec.Why)
	}
}

func TestRevertRefusedForEver(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Blocked, fault.Lost, fault.NotFound} {
		w := newWalker(t)
		w.good(digestA, 1)
		w.fallsOver(digestB, 2)
		w.want.Intent = intentFor(digestC)
		for range 300 {
			d := w.pass()
			if d.Action != nil {
				if _, ok := d.Action.(Roll); ok {
					w.rec = Failed(w.now, w.rec, d.Action, fault.New(kind, "ClientException", fmt.Errorf("TaskDefinition is inactive"))).Record
				}
			}
			w.after(3 * time.Minute)
		}
		if w.rec.Rollout != nil && w.rec.Rollout.Kind == KindRevert {
			t.Errorf("%s: after 15 h still reverting, git's newer ask waits: %s", kind, w.rec.Why)
		}
	}
}

func TestDeployLostForEver(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	for range 300 {
		d := w.pass()
		if _, ok := d.Action.(Roll); ok {
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Lost, "ServerException", fmt.Errorf("500"))).Record
		}
		w.after(3 * time.Minute)
	}
	if w.rec.Rollout != nil {
		t.Errorf("deadline 15m, after 15 h still %s, tries %d", w.rec.State, w.rec.Rollout.Deployment.Tries)
	}
}

func TestServiceGoneMidRoll(t *testing.T) {
	w := toRoll(t)
	w.after(time.Minute)
	good := w.seen
	w.seen.Status, w.seen.Deployments, w.seen.TaskDefinition, w.seen.Desired = observed.StatusMissing, nil, "", 0
	d := w.pass(under())
	if w.rec.Rollout == nil {
		t.Errorf("one MISSING read ends the rollout: %s", d.History[0].Message)
	}
	w.seen = good
	// DRAINING during a revert
	w = newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestB, 2)
	w.seen.Status = observed.StatusDraining
	n := len(w.done)
	w.pass()
	if len(w.done) > n {
		t.Errorf("did %T to a service that is DRAINING", w.done[n])
	}
}

func TestInferredRejectionRetry(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.Retry = 1
	target, _ := resolve(*b, "repo", Words{{digestB, digestB}})
	w.seen.Tags[TagRejected] = target.Ask
	w.rec = Record{Service: "orders"}
	w.want.Intent = b
	for range 3 {
		d := w.pass()
		if d.Action != nil {
			t.Errorf("lost ledger, retry: 1 was spent long ago: %T of the rejected ask", d.Action)
			return
		}
	}
}

func TestLostLedgerGoodUnseen(t *testing.T) {
	w := toRoll(t)
	w.after(time.Minute).complete() // A's deployment has left the list: baking
	delete(w.seen.Revisions, td(1)) // as the account answers: PRIMARY's and what Look.Revisions names
	w.rec = Record{Service: "orders"}
	look := Needs(w.want, w.rec)
	asked := contains(look.Revisions, td(1))
	for range 6 {
		d := w.pass(crashed())
		if _, ok := d.Action.(Roll); ok {
			break
		}
		if a, ok := d.Action.(Tag); ok {
			for k, v := range a.Set {
				w.seen.Tags[k] = v
			}
		}
	}
	if !asked && w.rec.Good == nil && w.rec.Generation > 0 {
		t.Errorf("deploy:good=%s is on the service, record has no good; rollout %+v", w.seen.Tags[TagGood], w.rec.Rollout.Kind)
	}
}

func TestStaleTagsBusy(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Tags = map[string]string{} // a stale read of the tags
	if n := atOneInstant[Tag](w); n != 1 {
		t.Errorf("%d TagResource at one instant", n)
	}
	w = newWalker(t)
	w.seen.Desired, w.seen.Deployments[0].Desired = 0, 0
	w.fallsOver(digestA, 1)
	w.seen.Desired = 2
	if n := atOneInstant[Scale](w); n != 1 {
		t.Errorf("%d UpdateService(count) at one instant", n)
	}
}

func TestSlowPassStaleRead(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	// The look took 35 s (throttled reads), Decide has the pass's begin as Now; the request leaves 35 s later.
	d := w.pass()
	w.after(35 * time.Second)
	w.rec = Apply(w.now, w.rec, d.Action, Outcome{Deployment: "ecs-svc/20"})
	w.after(time.Second).pass(under()) // stale: still the deployment before
	if w.rec.Rollout.Failure != nil {
		t.Errorf("one stale read 1 s after UpdateService: %s (%s)", w.rec.Why, w.rec.Rollout.Failure.Class)
	}
}

func TestDeregisteredAfterRegister(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	for range 200 {
		d := w.pass()
		if _, ok := d.Action.(Register); ok {
			return
		}
		if _, ok := d.Action.(Roll); ok {
			w.seen.Revisions[td(2)] = observed.Revision{ARN: td(2)}
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Blocked, "ClientException", fmt.Errorf("TaskDefinition is inactive"))).Record
		}
		w.after(3 * time.Minute)
	}
	t.Errorf("never registered again: %s %s", w.rec.State, w.rec.Why)
}

func TestFrozenRetry(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.OnFailure = desired.OnFailureFreeze
	w.want.Intent = b
	w.rolls(2)
	w.after(5 * time.Second).pass(crashed())
	w.rest(3)
	w.state(StateStalled)
	again := *b
	again.Service.Spec.Retry = 1
	again.Commit.SHA = "1234"
	w.want.Intent = &again
	var a Roll
	for range 5 {
		if r, ok := w.pass().Action.(Roll); ok {
			a = r
			break
		}
	}
	if a.Revision == td(2) {
		t.Errorf("retry sends UpdateService with the revision that PRIMARY already is (%s), unforced: ECS begins nothing, the old id and its FAILED state are judged", w.seen.Primary().TaskDefinition)
	}
}

func TestTimeoutButDone(t *testing.T) {
	w := toMigrate(t)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = &observed.Task{LastStatus: "RUNNING"}
	w.after(10*time.Minute + time.Second)
	w.pass() // StopTask
	w.seen.Migration = ended(0)
	w.pass()
	w.pass()
	if len(w.rec.Rejected) > 0 {
		t.Errorf("EssentialContainerExited with 0 just at the timeout: %s; key remembered: %v", w.rec.Rejected[0].Message, len(w.rec.Migrated) == 2)
	}
}

func TestFreshWhileWaiting(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.want.Policy.Windows = []desired.Window{{Days: []string{"sun"}, From: "03:00", To: "04:00", Timezone: "UTC"}}
	w.pass()
	w.state(StateWaitingWindow)
	if Needs(w.want, w.rec).Fresh {
		t.Errorf("every look while waiting for a window bypasses every cache")
	}
}

func TestFirstRolloutBlocked(t *testing.T) {
	w := newWalker(t)
	w.seen.Desired, w.seen.Deployments[0].Desired = 0, 0
	w.want.Intent = intentFor(digestA)
	w.rolls(1)
	w.after(5 * time.Second).pass(observed.Reading{Check: CheckSteady, Verdict: observed.Fail, Class: observed.ClassBlocked, Reason: "SecretUnavailable", Detail: "secret missing"})
	// ECS begins nothing for the revision that is deployed already, so it is registered once more.
	n := count[Register](w.done)
	w.rest(120)
	if count[Register](w.done) == n {
		t.Errorf("a first rollout blocked by a secret is never tried again: %s %s", w.rec.State, w.rec.Why)
	}
}

// Where so many roll that each one's turn comes round later than the gap that a bake allows, the bake ends all the same; where one is
// late by itself, it begins anew.
func TestBakeWhereLooksAreFewForAll(t *testing.T) {
	for _, tt := range []struct {
		behind time.Duration
		good   bool
	}{{0, false}, {20 * time.Second, false}, {95 * time.Second, true}} {
		w := toRoll(t)
		w.want.Pace.Behind = tt.behind
		w.after(10 * time.Second).complete()
		w.pass(passing())
		for range 8 {
			w.after(100 * time.Second)
			w.pass(passing())
		}
		if got := w.rec.Good != nil && w.rec.Good.Revision == td(2); got != tt.good {
			t.Errorf("looks are %s behind: good %t, want %t: %s", tt.behind, got, tt.good, w.rec.Why)
		}
	}
}
