package rollout

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// walker walks a record through passes against observations that the test writes down.
type walker struct {
	t    *testing.T
	now  time.Time
	rec  Record
	want Want
	seen observed.Service
	done []Action
	past []Entry

	unpushed bool // the registry has nothing that it was not asked for before

	elsewhere map[string]observed.Service // what other stacks have
}

type plainStrategy struct{}

func (plainStrategy) Next(_ desired.ServiceSpec, ro Rollout, _ observed.Service) Action {
	return Roll{Revision: ro.Revision, MinimumHealthyPercent: 100, MaximumPercent: 200, Before: ro.Deployment.Before}
}

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	digestC = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	tdInfra = "arn:aws:ecs:eu-central-1:000000000000:task-definition/infra:1"
)

func td(n int) string {
	return fmt.Sprintf("arn:aws:ecs:eu-central-1:000000000000:task-definition/orders:%d", n)
}

func intentFor(digest string) *Intent {
	return &Intent{
		Commit: desired.Commit{SHA: strings.TrimPrefix(digest, "sha256:")[:40], Subject: "ship it"},
		Service: desired.Service{Metadata: desired.Metadata{Name: "orders"}, Spec: desired.ServiceSpec{
			Stack:      "orders-dev",
			Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: digest[7:14], Digest: digest}}},
			Migration:  &desired.Migration{Container: "app", Command: []string{"/worker", "migrate"}, Lock: "db", Timeout: desired.Duration(10 * time.Minute)},
			Rollout:    desired.Rollout{Strategy: "rolling", Deadline: desired.Duration(15 * time.Minute)},
			Verify:     desired.Verify{Bake: desired.Duration(2 * time.Minute)},
			OnFailure:  desired.OnFailureRevert,
		}},
	}
}

func newWalker(t *testing.T) *walker {
	w := &walker{t: t, now: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC), rec: Record{Service: "orders"}}
	w.want = Want{Intent: intentFor(digestA), Environment: "dev", Pace: Pace{Watch: 4 * time.Second, Idle: time.Minute},
		Policy: desired.EnvironmentSpec{Drift: desired.DriftPolicy{After: desired.Duration(5 * time.Minute), Action: desired.DriftCorrect}}}
	w.seen = observed.Service{
		Status: observed.StatusActive, Name: "orders", TaskDefinition: tdInfra, Desired: 2, Running: 2,
		Stack:       observed.Stack{Name: "orders-dev", Status: "CREATE_COMPLETE", Outputs: map[string]string{"RepoUri": "repo"}},
		Template:    &observed.Template{ARN: "template:1", Content: `{"cpu":"256"}`},
		Deployments: []observed.Deployment{{ID: "ecs-svc/1", Primary: true, TaskDefinition: tdInfra, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}},
		Tags:        map[string]string{}, Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{},
	}
	return w
}

// pass is one pass without outcome; readings are about the deployment that is followed.
func (w *walker) pass(readings ...observed.Reading) Decision {
	w.t.Helper()
	w.t.Helper()
	look := Needs(w.want.Heeding(w.rec), w.rec)
	if there, ok := w.elsewhere[look.Stack]; ok {
		w.elsewhere[w.seen.Stack.Name], w.seen = w.seen, there
		delete(w.elsewhere, look.Stack)
	}
	for range 4 {
		w.seen.At = w.now
		w.seen.Images = map[string]observed.Image{}
		for c, ref := range look.Containers {
			if w.unpushed {
				continue
			}
			w.seen.Images[c] = observed.Image{Tag: ref, Digest: ref}
		}
		for i := range readings {
			readings[i].At = w.now
			if w.rec.Rollout != nil && w.rec.Rollout.Deployment != nil {
				readings[i].Deployment = w.rec.Rollout.Deployment.ID
			}
		}
		d := Decide(Input{Now: w.now, Want: w.want, Look: look, Seen: w.seen, Readings: readings, Strategy: plainStrategy{}}, w.rec)
		if d.Look == nil {
			w.rec = d.Record
			w.past = append(w.past, d.History...)
			if d.Action != nil {
				w.done = append(w.done, d.Action)
			}
			return d
		}
		look = look.Merge(*d.Look)
	}
	w.t.Fatal("looks again for ever")
	return Decision{}
}

// answer is a pass that must do an action of type A, which then answers out.
func answer[A Action](w *walker, out Outcome, readings ...observed.Reading) A {
	w.t.Helper()
	d := w.pass(readings...)
	a, ok := d.Action.(A)
	if !ok {
		w.t.Fatalf("did %T, want %T; why: %s", d.Action, a, d.Record.Why)
	}
	w.rec = Apply(w.now, w.rec, a, out)
	switch action := any(a).(type) {
	case Tag:
		for k, v := range action.Set {
			w.seen.Tags[k] = v
		}
	case Register:
		w.seen.Revisions[out.Revision] = observed.Revision{ARN: out.Revision, Active: true, Ask: action.Ask, Fingerprint: action.Fingerprint, Commit: action.Commit}
		w.seen.Startable[out.Revision] = observed.Startable{OK: true}
	case Roll:
		w.deploy(out.Deployment, action.Revision, observed.RolloutInProgress)
	}
	return a
}

// deploy puts a deployment in PRIMARY's place.
func (w *walker) deploy(id, revision string, state observed.RolloutState) {
	for i := range w.seen.Deployments {
		w.seen.Deployments[i].Primary = false
	}
	w.seen.TaskDefinition = revision
	w.seen.Deployments = append([]observed.Deployment{{ID: id, Primary: true, TaskDefinition: revision, Rollout: state, Desired: 2}}, w.seen.Deployments...)
}

// complete makes PRIMARY the only deployment and complete.
func (w *walker) complete() {
	p := w.seen.Primary()
	p.Rollout, p.Running, p.UpdatedAt = observed.RolloutCompleted, 2, w.now
	w.seen.Deployments = []observed.Deployment{p}
}

// atOneInstant counts how often an action is done in many passes of the same moment, while reads do not show it yet.
func atOneInstant[A Action](w *walker) (done int) {
	w.t.Helper()
	for range 20 {
		if a, ok := w.pass().Action.(A); ok {
			done++
			w.rec = Apply(w.now, w.rec, a, Outcome{})
		}
	}
	return done
}

// baked looks every few seconds until the bake has ended.
func (w *walker) baked(readings ...observed.Reading) {
	w.t.Helper()
	for range 30 {
		w.after(5 * time.Second).pass(readings...)
		if w.rec.State != StateBaking {
			return
		}
	}
	w.t.Fatalf("still baking: %s", w.rec.Why)
}

func (w *walker) after(d time.Duration) *walker { w.now = w.now.Add(d); return w }

func (w *walker) state(want State) {
	w.t.Helper()
	if w.rec.State != want {
		w.t.Fatalf("state %s, want %s; why: %s", w.rec.State, want, w.rec.Why)
	}
}

func passing() observed.Reading {
	return observed.Reading{Check: CheckSteady, Verdict: observed.Pass}
}

func under() observed.Reading {
	return observed.Reading{Check: CheckSteady, Verdict: observed.NoData, Detail: "rolling"}
}

func crashed() observed.Reading {
	return observed.Reading{Check: CheckSteady, Verdict: observed.Fail, Class: observed.ClassProduct, Reason: "Crashed", Detail: "2 tasks stopped: container app exited with code 1"}
}

func ended(code int) *observed.Task {
	return &observed.Task{ARN: "task/m", LastStatus: "STOPPED", DesiredStatus: "STOPPED", StopCode: "EssentialContainerExited",
		Containers: []observed.Container{{Name: "sidecar", Exited: true, ExitCode: 0}, {Name: "app", Exited: true, ExitCode: code}}}
}

// rolls takes what git asks up to its deployment, as revision n.
func (w *walker) rolls(n int) {
	w.t.Helper()
	answer[Register](w, Outcome{Revision: td(n)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	answer[Roll](w, Outcome{Deployment: fmt.Sprintf("ecs-svc/%d", n*10)})
}

// good deploys revision n of the digest to verdict good.
func (w *walker) good(digest string, n int) {
	w.t.Helper()
	w.want.Intent = intentFor(digest)
	w.rolls(n)
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.state(StateBaking)
	w.baked(passing())
	answer[Tag](w, Outcome{})
	w.pass()
	w.state(StateSettled)
	if w.rec.Good == nil || w.rec.Good.Revision != td(n) {
		w.t.Fatalf("good is %+v, want %s", w.rec.Good, td(n))
	}
}

func TestStraightWay(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.good(digestB, 2)
	before := len(w.done)
	for range 10 {
		w.after(time.Minute).pass()
	}
	if len(w.done) != before {
		t.Errorf("a settled service was written to: %v", w.done[before:])
	}
	if len(w.past) != 2 || w.past[0].Result != ResultSucceeded || w.past[1].Migration != "succeeded" {
		t.Errorf("history %+v", w.past)
	}
}

// What a migration that went well said last is kept with its rollout: bounded, and without what looks like a secret.
func TestTheLastLinesOfAMigrationAreKept(t *testing.T) {
	w := newWalker(t)
	for i := range 60 {
		w.seen.MigrationLog = append(w.seen.MigrationLog, fmt.Sprintf("step %d, password=hush", i))
	}
	w.good(digestA, 1)
	e := w.past[0]
	if e.Migration != "succeeded" || len(e.Output) != outputLinesMax || e.Output[outputLinesMax-1] != "step 59, password=[redacted]" {
		t.Errorf("migration %s, its last lines are %q", e.Migration, e.Output)
	}
	w.seen.MigrationLog = nil // it could not be read
	w.good(digestB, 2)
	if e := w.past[1]; e.Migration != "succeeded" || len(e.Output) > 0 {
		t.Errorf("migration %s, its last lines are %q", e.Migration, e.Output)
	}
}

// Invariant 2: no roll before the migration ended with exit code 0 of the named container, whatever a sidecar's was.
func TestFailedMigrationLeavesTheServiceUntouched(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = &observed.Task{LastStatus: "RUNNING"}
	w.pass()
	w.state(StateMigrating)
	w.seen.Migration = ended(1)
	w.pass()
	w.state(StateFailing)
	answer[Tag](w, Outcome{})
	w.pass()
	w.state(StateReverted)
	if w.seen.TaskDefinition != td(1) || w.rec.RejectionOf(w.past[len(w.past)-1].Ask) == nil {
		t.Errorf("runs %s, rejected %+v", w.seen.TaskDefinition, w.rec.Rejected)
	}
	for _, a := range w.done {
		if r, ok := a.(Roll); ok && r.Revision == td(2) {
			t.Error("rolled a revision whose migration failed")
		}
	}
}

// Invariants 1, 4 and 6: a crash is reverted to the last good revision without a migration, and the ask is refused until
// git makes another, or raises retry.
func TestCrashIsRevertedAndRejected(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestB, 2)
	migrations := count[RunMigration](w.done)
	roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	if roll.Revision != td(1) {
		t.Fatalf("reverted to %s, want %s", roll.Revision, td(1))
	}
	w.pass(under())
	w.state(StateReverting)
	w.complete()
	w.pass(passing())
	answer[Tag](w, Outcome{})
	w.pass()
	w.state(StateReverted)
	if n := count[RunMigration](w.done); n != migrations {
		t.Error("the revert ran a migration")
	}
	before := len(w.done)
	for i := range 50 {
		other := *intentFor(digestB)
		other.Commit.SHA = fmt.Sprintf("%040d", i) // unrelated commits do not clear a verdict
		w.want.Intent = &other
		w.seen.Template = &observed.Template{ARN: "template:1", Content: `{"cpu":"256"}`}
		w.after(time.Hour).pass()
	}
	if len(w.done) != before {
		t.Fatalf("a rejected ask was tried again: %v", w.done[before:])
	}
	again := *intentFor(digestB)
	again.Service.Spec.Retry = 1
	w.want.Intent = &again
	if roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/22"}); roll.Revision != td(2) {
		t.Errorf("retry rolled %s, want %s", roll.Revision, td(2))
	}
}

// fallsOver takes a deploy of the digest up to the decision to revert it.
func (w *walker) fallsOver(digest string, n int) {
	w.t.Helper()
	w.want.Intent = intentFor(digest)
	w.rolls(n)
	w.after(5 * time.Second).pass(under())
	w.after(5 * time.Second).pass(crashed())
	w.state(StateFailing)
}

func count[A Action](actions []Action) int {
	n := 0
	for _, a := range actions {
		if _, ok := a.(A); ok {
			n++
		}
	}
	return n
}

// Invariant 6: a revert that fails is not reverted again, and says so until git says something else.
func TestRevertIsNeverReverted(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestB, 2)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	w.after(time.Second).pass(crashed())
	w.pass()
	w.pass()
	rolls := count[Roll](w.done)
	w.rest(20)
	w.state(StateStalled)
	if n := count[Roll](w.done); n != rolls {
		t.Errorf("rolled %d more times after a failed revert", n-rolls)
	}
	if w.rec.Stalled == nil || w.rec.Stalled.Reason != ReasonRevertFailed {
		t.Errorf("stalled %+v", w.rec.Stalled)
	}
}

// Invariant 5: the verdict follows the deployment that UpdateService named. After ECS's own rollback the service is stable
// again, under the old id: that is a failure and no success.
func TestStableAfterARollbackIsNotGood(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.rolls(2)
	w.after(time.Minute)
	w.seen.TaskDefinition = td(1)
	w.seen.Deployments = []observed.Deployment{{ID: "ecs-svc/10", Primary: true, TaskDefinition: td(1), Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
	w.pass(under())
	w.state(StateRolling) // one read may be stale
	w.after(31 * time.Second).pass(under())
	w.state(StateFailing)
	w.pass()
	if w.rec.Good.Revision != td(1) || len(w.rec.Rejected) != 1 {
		t.Errorf("good %s, rejected %+v", w.rec.Good.Revision, w.rec.Rejected)
	}
}

// Invariant 5: a check that has no answer at the end of the bake holds the verdict back, and at the deadline stalls.
func TestNoDataHoldsTheVerdict(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.rolls(2)
	w.after(time.Minute).complete()
	silent := observed.Reading{Check: "logs", Verdict: observed.NoData, Detail: "no line yet"}
	w.pass(passing(), silent)
	w.after(2*time.Minute).pass(passing(), silent)
	w.state(StateBaking)
	w.after(17*time.Minute).pass(passing(), silent)
	w.state(StateFailing)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	if len(w.rec.Rejected) != 0 || w.rec.Stalled == nil || w.rec.Stalled.Reason != ReasonNoData {
		t.Errorf("rejected %v, stalled %+v: no data condemns nothing", w.rec.Rejected, w.rec.Stalled)
	}
}

// Invariant 8: the answer of UpdateService is lost. PRIMARY names our revision: adopted, not asked again.
func TestLostAnswerOfTheRollIsAdopted(t *testing.T) {
	for _, took := range []bool{true, false} {
		t.Run(fmt.Sprintf("effect %v", took), func(t *testing.T) {
			w := newWalker(t)
			w.good(digestA, 1)
			w.want.Intent = intentFor(digestB)
			answer[Register](w, Outcome{Revision: td(2)})
			answer[RunMigration](w, Outcome{Task: "task/m"})
			w.seen.Migration = ended(0)
			answer[Tag](w, Outcome{})
			d := w.pass()
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Lost, "timeout", fmt.Errorf("no answer"))).Record
			if took {
				w.deploy("ecs-svc/20", td(2), observed.RolloutInProgress)
			}
			w.after(10 * time.Second).pass(under())
			if n := count[Roll](w.done); n != 2 {
				t.Fatalf("asked %d times within the window of stale reads, want 2 (one for the good version before)", n)
			}
			w.after(30 * time.Second)
			if took {
				w.pass(under())
				if w.rec.Rollout.Deployment.ID != "ecs-svc/20" || count[Roll](w.done) != 2 {
					t.Errorf("deployment %+v, rolls %d", w.rec.Rollout.Deployment, count[Roll](w.done))
				}
				return
			}
			if again := answer[Roll](w, Outcome{Deployment: "ecs-svc/20"}); again.Revision != td(2) {
				t.Errorf("asked for %s again", again.Revision)
			}
		})
	}
}

// Invariant 3: the same client token until the outcome is known, another one never without git's word.
func TestMigrationIsAskedForWithOneToken(t *testing.T) {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	first := w.pass().Action.(RunMigration)
	for range 5 {
		w.rec = Failed(w.now, w.rec, first, fault.New(fault.Lost, "timeout", fmt.Errorf("no answer"))).Record
		w.after(3 * time.Minute)
		if again := w.pass().Action.(RunMigration); again.Token != first.Token {
			t.Fatalf("token %s, want %s", again.Token, first.Token)
		}
	}
	w.after(time.Hour).pass()
	w.pass()
	w.state(StateStalled)
	if w.rec.Stalled.Reason != ReasonMigrationLost {
		t.Errorf("stalled %+v", w.rec.Stalled)
	}
}

// Invariant 9: a newer ask supersedes at the next safe point, and the third one in a row is let through.
func TestNewestCommitWins(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = &observed.Task{LastStatus: "RUNNING"}
	w.want.Intent = intentFor(digestC)
	w.pass()
	w.state(StateMigrating) // the migration finishes
	w.seen.Migration = ended(0)
	w.pass() // the one that git has overtaken is left
	w.seen.Migration = nil
	answer[Tag](w, Outcome{}) // that its migration ran is written down
	if r := answer[Register](w, Outcome{Revision: td(3)}); r.Containers["app"].Digest != digestC {
		t.Errorf("registered %s", r.Containers["app"].Digest)
	}
}

func TestSomebodyElsesDeploymentIsToldThenCorrected(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.deploy("ecs-svc/99", tdInfra, observed.RolloutCompleted)
	w.pass()
	w.state(StateDrifted)
	w.after(4 * time.Minute).pass()
	w.state(StateDrifted)
	w.after(2 * time.Minute)
	if roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/100"}); roll.Revision != td(1) {
		t.Errorf("restored %s", roll.Revision)
	}
	w.complete()
	w.pass(passing())
	w.pass()
	w.state(StateSettled)
	if last := w.past[len(w.past)-1]; last.Result != ResultRestored || count[RunMigration](w.done) != 1 {
		t.Errorf("ended %s with %d migrations", last.Result, count[RunMigration](w.done))
	}
}

// A lost ledger: the tags of the service say what was good, and nothing is rolled or migrated again.
func TestEmptyLedgerStartsFromTheTags(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.rec = Record{Service: "orders"}
	before := len(w.done)
	w.pass()
	w.state(StateSettled)
	if len(w.done) != before {
		t.Errorf("did %v", w.done[before:])
	}
}

func TestFirstRolloutFailing(t *testing.T) {
	w := newWalker(t)
	w.seen.Desired, w.seen.Deployments[0].Desired = 0, 0
	w.fallsOver(digestA, 1)
	w.seen.Desired = 2
	if s := answer[Scale](w, Outcome{}); s.Count != 0 {
		t.Errorf("count %d, want what it was: 0", s.Count)
	}
	w.seen.Desired = 0
	w.rest(5)
	w.state(StateStalled)
}

// A check that was read from what is a minute old says nothing of the last minute: the bake has its end a minute later.
func TestABakeEndsOnceItsEndWasRead(t *testing.T) {
	for name, fails := range map[string]bool{"good": false, "bad in the last minute": true} {
		w := newWalker(t)
		w.good(digestA, 1)
		w.want.Intent = intentFor(digestB)
		w.rolls(2)
		w.after(20 * time.Second).complete()
		late := observed.Reading{Check: "logs", Verdict: observed.Pass, Behind: time.Minute}
		w.pass(passing(), late)
		until := w.rec.Rollout.BakeUntil
		for w.now.Before(until.Add(55 * time.Second)) {
			w.after(5*time.Second).pass(passing(), late)
			w.state(StateBaking)
		}
		if fails {
			late = observed.Reading{Check: "logs", Verdict: observed.Fail, Class: observed.ClassProduct, Detail: "a forbidden line"}
		}
		w.after(5*time.Second).pass(passing(), late)
		if isGood := w.rec.Good.Revision == td(2); isGood == fails || isGood == (w.rec.State == StateFailing) {
			t.Errorf("%s: good %t, %s", name, isGood, w.rec.Why)
		}
	}
}

// Where no version was ever good, it is the count that could not be put back, and no version.
func TestACountThatDoesNotGoBack(t *testing.T) {
	w := newWalker(t)
	w.seen.Desired, w.seen.Deployments[0].Desired = 0, 0
	w.fallsOver(digestA, 1)
	w.seen.Desired = 2
	for range 60 {
		if d := w.after(time.Minute).pass(); d.Action != nil {
			w.rec = Failed(w.now, w.rec, d.Action, fault.New(fault.Unavailable, "ServerException", errors.New("500"))).Record
		}
	}
	w.state(StateStalled)
	if !strings.Contains(w.rec.Why, "putting the count back to 0 did not come true") {
		t.Errorf("says: %s", w.rec.Why)
	}
}

// rest lets some minutes go by; tags that are due are written.
func (w *walker) rest(minutes int) {
	for range minutes {
		if a, ok := w.after(time.Minute).pass().Action.(Tag); ok {
			for k, v := range a.Set {
				w.seen.Tags[k] = v
			}
		}
	}
}

// The evidence is taken before the revert begins, from the deployment that failed and from no other.
func TestEvidenceIsTakenBeforeTheRevert(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestB, 2)
	w.seen.Tasks = []observed.Task{
		{ARN: "task/old", Deployment: "ecs-svc/10", LastStatus: "STOPPED", StopCode: "ServiceSchedulerInitiated"},
		{ARN: "task/new", Deployment: "ecs-svc/20", LastStatus: "STOPPED", StopCode: "EssentialContainerExited", StoppedReason: "Essential container in task exited",
			Containers: []observed.Container{{Name: "app", Exited: true, ExitCode: 1}}},
	}
	w.seen.Logs = &observed.Logs{Tail: []observed.LogLine{{Message: "password=hunter2"}, {Message: "boom"}}}
	w.seen.Events = []observed.Event{{Message: "(service orders) has started 1 tasks"}}
	w.t.Helper()
	look := Needs(w.want.Heeding(w.rec), w.rec)
	if !look.Tasks || !look.Targets || look.Logs == nil || look.Logs.Tail == 0 || look.Deployment != "ecs-svc/20" {
		t.Fatalf("the evidence is not looked for: %+v", look)
	}
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	e := w.past[len(w.past)-1].Evidence
	if e == nil || !e.Complete || len(e.Tasks) != 1 || e.Tasks[0].Task != "new" || e.Tasks[0].ExitCodes["app"] != 1 || len(e.Events) != 1 {
		t.Fatalf("evidence %+v", e)
	}
	if len(e.Log) != 2 || e.Log[1] != "boom" || containsWord(e.Log[0], "hunter2") {
		t.Errorf("log %q", e.Log)
	}
}
