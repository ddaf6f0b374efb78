package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
)

type fakeAccount struct {
	seen  map[string]*observed.Service
	looks int
	last  observed.Look
	act   func(service string, a rollout.Action) (rollout.Outcome, error)
	acts  []string
	fresh int
}

func (f *fakeAccount) Observe(_ context.Context, in *rollout.Intent, l observed.Look) (observed.Service, error) {
	f.looks++
	f.last = l
	if l.Fresh {
		f.fresh++
	}
	s := *f.seen[in.Service.Metadata.Name]
	s.At = time.Now()
	s.Images = map[string]observed.Image{}
	for c, ref := range l.Containers {
		s.Images[c] = observed.Image{Tag: ref, Digest: ref}
	}
	alarms := s.Alarms
	s.Alarms = nil
	for _, n := range l.Alarms {
		for _, a := range alarms {
			if a.Name == n {
				s.Alarms = append(s.Alarms, a)
			}
		}
	}
	return s, nil
}
func (f *fakeAccount) Act(_ context.Context, in *rollout.Intent, _ observed.Service, a rollout.Action) (rollout.Outcome, error) {
	f.acts = append(f.acts, in.Service.Metadata.Name+" "+a.Name())
	return f.act(in.Service.Metadata.Name, a)
}

type deaf struct{}

func (deaf) Passed(reconcile.Pass) {}
func (deaf) Ended(rollout.Entry)   {}

type passes struct{ last map[string]reconcile.Pass }

func (p *passes) Passed(x reconcile.Pass) { p.last[x.Service] = x }
func (p *passes) Ended(rollout.Entry)     {}

func dg(c string) string {
	s := "sha256:"
	for range 64 {
		s += c
	}
	return s
}

func svc(name, d string) *desired.Service {
	return &desired.Service{Metadata: desired.Metadata{Name: name}, Spec: desired.ServiceSpec{Stack: name,
		Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: d[7:12], Digest: d}}},
		Rollout:    desired.Rollout{Deadline: desired.Duration(15 * time.Minute)},
		Verify:     desired.Verify{Bake: desired.Duration(2 * time.Minute)}, OnFailure: desired.OnFailureRevert}}
}

func shown(name string) *observed.Service {
	return &observed.Service{Status: observed.StatusActive, Name: name, TaskDefinition: name + ":0", Desired: 2, Running: 2,
		Stack:       observed.Stack{Name: name, Outputs: map[string]string{"RepoUri": "repo"}},
		Template:    &observed.Template{ARN: "t:1", Content: "{}"},
		Deployments: []observed.Deployment{{ID: "ecs-svc/1", Primary: true, TaskDefinition: name + ":0", Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}},
		Tags:        map[string]string{}, Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{}}
}

func set(t *testing.T, acc *fakeAccount, limit int, services ...*desired.Service) (*reconcile.Reconciler, *ledger.File, *passes) {
	f, err := ledger.Open(filepath.Join(t.TempDir(), "l.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	p := &passes{last: map[string]reconcile.Pass{}}
	asked := reconcile.NewAsked()
	r := &reconcile.Reconciler{Account: acc, Ledger: f, Asked: asked, Fleet: reconcile.NewFleet(), Teller: p,
		Pace: rollout.Pace{Watch: 4 * time.Second, Idle: time.Minute}, Log: zap.NewNop()}
	take(r, "1", limit, services...)
	return r, f, p
}

func take(r *reconcile.Reconciler, sha string, limit int, services ...*desired.Service) {
	m := map[string]*desired.Service{}
	for _, s := range services {
		m[s.Metadata.Name] = s
	}
	r.Asked.Take(&desired.Snapshot{Commit: desired.Commit{SHA: sha}, Services: m, Environment: &desired.Environment{Metadata: desired.Metadata{Name: "dev"},
		Spec: desired.EnvironmentSpec{MaxConcurrentRollouts: limit, Drift: desired.DriftPolicy{After: desired.Duration(5 * time.Minute), Action: "correct"}}}})
}

func TestDependsOnOldCommit(t *testing.T) {
	acc := &fakeAccount{seen: map[string]*observed.Service{"x": shown("x"), "a": shown("a")}, act: func(string, rollout.Action) (rollout.Outcome, error) {
		return rollout.Outcome{Revision: "r", Deployment: "d"}, nil
	}}
	a1, x1 := svc("a", dg("1")), svc("x", dg("1"))
	a1.Spec.DependsOn = []string{"x"}
	r, _, p := set(t, acc, 0, a1, x1)
	// x is settled on commit 1
	r.Fleet = reconcile.NewFleet(rollout.Record{Service: "x", State: rollout.StateSettled})
	a2, x2 := svc("a", dg("2")), svc("x", dg("2"))
	a2.Spec.DependsOn = []string{"x"}
	take(r, "2", 0, a2, x2)
	if _, err := r.Reconcile(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if p.last["a"].Action != nil {
		t.Errorf("a does %s for commit 2 while x has not seen commit 2", p.last["a"].Action.Name())
	}
}

func TestSlotHeldByBlocked(t *testing.T) {
	acc := &fakeAccount{seen: map[string]*observed.Service{"x": shown("x"), "y": shown("y")}, act: func(s string, a rollout.Action) (rollout.Outcome, error) {
		if s == "x" {
			return rollout.Outcome{}, fault.New(fault.Blocked, "secret_missing", fmt.Errorf("secret missing"))
		}
		return rollout.Outcome{Revision: "r", Deployment: "d"}, nil
	}}
	r, _, p := set(t, acc, 1, svc("x", dg("1")), svc("y", dg("1")))
	r.Reconcile(context.Background(), "x")
	r.Reconcile(context.Background(), "y")
	if rec := p.last["y"].Record; rec.State == rollout.StateWaitingConcurrent {
		t.Errorf("x is %s (%s) and holds the only place; y: %s", p.last["x"].Record.State, p.last["x"].Record.Why, rec.Why)
	}
}

func TestLockOfAnotherIntentSpins(t *testing.T) {
	acc := &fakeAccount{seen: map[string]*observed.Service{"x": shown("x")}, act: func(string, rollout.Action) (rollout.Outcome, error) { return rollout.Outcome{Task: "t"}, nil }}
	c := svc("x", dg("1"))
	c.Spec.Migration = &desired.Migration{Container: "app", Command: []string{"m"}, Lock: "db", Timeout: desired.Duration(time.Minute)}
	r, f, _ := set(t, acc, 0, c)
	ctx := context.Background()
	other := rollout.Record{Schema: 1, Service: "other", Rollout: &rollout.Rollout{Stage: rollout.StageMigrate, Migration: &rollout.Migration{Lock: "db"}}}
	if _, err := f.Save(ctx, other, nil); err != nil {
		t.Fatal(err)
	}
	spec := c.Spec
	rec := rollout.Record{Schema: 1, Service: "x", Superseded: 2, Generation: 3, Intent: &rollout.Intent{Service: *c}, Rollout: &rollout.Rollout{Number: 3, Kind: rollout.KindDeploy,
		Stage: rollout.StageMigrate, Revision: "x:3", Target: rollout.Target{Ask: "v1:c", Key: "k", Migration: c.Spec.Migration, Spec: &spec}}}
	if _, err := f.Save(ctx, rec, nil); err != nil {
		t.Fatal(err)
	}
	take(r, "2", 0, svc("x", dg("2"))) // git's newest word has no migration
	spins := 0
	for range 20 {
		next, err := r.Reconcile(ctx, "x")
		if err != nil && !next.After(time.Now()) {
			spins++
		}
	}
	if spins > 2 {
		t.Errorf("%d of 20 passes end in a lost race and are due at once; %d looks at the account", spins, acc.looks)
	}
}

func TestAlarmRedInheritedBySuccessor(t *testing.T) {
	s := shown("x")
	s.TaskDefinition = "x:2"
	s.Deployments = []observed.Deployment{{ID: "ecs-svc/2", Primary: true, TaskDefinition: "x:2", Rollout: observed.RolloutInProgress, Desired: 2}}
	s.Alarms = []observed.Alarm{{Name: "5xx", State: observed.AlarmRed}}
	s.Startable["x:1"] = observed.Startable{OK: true}
	acc := &fakeAccount{seen: map[string]*observed.Service{"x": s}, act: func(_ string, a rollout.Action) (rollout.Outcome, error) {
		return rollout.Outcome{Revision: "x:3", Deployment: "ecs-svc/3"}, nil
	}}
	with := func(d string) *desired.Service {
		v := svc("x", d)
		v.Spec.Verify.Checks = map[string]json.RawMessage{"alarms": json.RawMessage(`{"revertOn":["5xx"]}`)}
		return v
	}
	b := with(dg("2"))
	r, f, p := set(t, acc, 0, with(dg("3")))
	s.Tags = map[string]string{rollout.TagGood: "x:1"}
	s.Revisions["x:1"] = observed.Revision{ARN: "x:1", Active: true, Ask: "v1:a", Fingerprint: "v1:fa"}
	spec := b.Spec
	rec := rollout.Record{Schema: 1, Service: "x", Generation: 2, Deployed: "ecs-svc/2", Intent: &rollout.Intent{Service: *b}, Good: &rollout.Good{Target: rollout.Target{Ask: "v1:a", Containers: rollout.NamedOf(map[string]rollout.Container{})}, Fingerprint: "v1:fa", Revision: "x:1"},
		Rollout: &rollout.Rollout{Number: 2, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Stage: rollout.StageRoll, Revision: "x:2", Deadline: time.Now().Add(time.Hour), Target: rollout.Target{Ask: "v1:b", Spec: &spec},
			Baseline:   []observed.Alarm{{Name: "5xx", State: observed.AlarmOK}},
			Deployment: &rollout.Deployment{ID: "ecs-svc/2", Before: "ecs-svc/1", RequestedAt: time.Now().Add(-time.Minute)}}}
	if _, err := f.Save(context.Background(), rec, nil); err != nil {
		t.Fatal(err)
	}
	// The version that is left was rolling; what was seen of it says nothing about its successor. The red alarm may be its doing: it
	// neither holds the successor back nor condemns it.
	for range 5 {
		if _, err := r.Reconcile(context.Background(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	got := p.last["x"].Record
	if got.Rollout == nil || got.Rollout.Number != 3 || got.Rollout.Deployment == nil || !got.Rollout.Inherits || len(got.Rejected) > 0 {
		t.Errorf("%s %s, rejected %v, in flight %+v, did %v", got.State, got.Why, got.Rejected, got.Rollout, acc.acts)
	}
}

// What only goes along with a settled service must not make it unready where it is denied.
func TestADeniedTagLeavesTheServiceReady(t *testing.T) {
	s := shown("x")
	acc := &fakeAccount{seen: map[string]*observed.Service{"x": s}}
	acc.act = func(_ string, a rollout.Action) (rollout.Outcome, error) {
		switch a := a.(type) {
		case rollout.Register:
			s.Revisions["x:1"] = observed.Revision{ARN: "x:1", Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint}
			return rollout.Outcome{Revision: "x:1"}, nil
		case rollout.Roll:
			s.TaskDefinition = "x:1"
			s.Deployments = []observed.Deployment{{ID: "ecs-svc/2", Primary: true, TaskDefinition: "x:1", Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
			s.ServiceDeployment = &observed.ServiceDeployment{Status: observed.ServiceDeploymentSuccessful}
			return rollout.Outcome{Deployment: "ecs-svc/2"}, nil
		}
		return rollout.Outcome{}, fault.New(fault.Blocked, "AccessDeniedException", fmt.Errorf("may not"))
	}
	c := svc("x", dg("1"))
	c.Spec.Verify.Bake = desired.Duration(time.Millisecond)
	r, _, p := set(t, acc, 0, c)
	r.Pace = rollout.Pace{Watch: time.Millisecond, Idle: time.Millisecond}
	denied := 0
	for range 50 {
		if _, err := r.Reconcile(context.Background(), "x"); err != nil {
			denied++
		}
		if denied > 0 && p.last["x"].Record.State == rollout.StateSettled {
			break
		}
	}
	got := p.last["x"]
	ready := condition.Of(condition.Input{Record: got.Record, Seen: got.Seen}).Condition(condition.Ready)
	if denied == 0 || got.Record.Good == nil || ready.Status != condition.True || got.Record.Trouble == nil {
		t.Errorf("denied %d times: %s, Ready=%s (%s), trouble %+v: %s", denied, got.Record.State, ready.Status, ready.Message, got.Record.Trouble, got.Record.Why)
	}
}

func TestConditionTellsOldBlock(t *testing.T) {
	rec := rollout.Record{Service: "x", State: rollout.StateBlocked, Why: "May not register: no role", Blocked: &rollout.Hold{Ask: "v1:old", Reason: "SecretUnavailable", Message: "secret of the older ask"},
		Trouble: &rollout.Trouble{Code: "AccessDeniedException", Message: "no role"}}
	c := condition.Of(condition.Input{Record: rec}).Condition(condition.Blocked)
	if c.Reason == "SecretUnavailable" {
		t.Errorf("blocked by %s is told as %s: %s", rec.Trouble.Code, c.Reason, c.Message)
	}
}
