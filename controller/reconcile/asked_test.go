package reconcile_test

import (
	"slices"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
)

func environment(account string) *desired.Environment {
	return &desired.Environment{Metadata: desired.Metadata{Name: "dev"}, Spec: desired.EnvironmentSpec{Account: account}}
}

func service(tag string) *desired.Service {
	return &desired.Service{Spec: desired.ServiceSpec{Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: tag}}}}}
}

func TestOnlyWhatChangedIsWoken(t *testing.T) {
	asked := reconcile.NewAsked()
	take := func(sha string, env *desired.Environment, services map[string]*desired.Service, invalid map[string][]desired.Error, want ...string) {
		t.Helper()
		got := asked.Take(&desired.Snapshot{Commit: desired.Commit{SHA: sha}, Environment: env, Services: services, Invalid: invalid})
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: woke %v, want %v", sha, got, want)
		}
	}
	broken := map[string][]desired.Error{"b": {{File: "b.yaml", Line: 1, Col: 1, Message: "broken"}}}
	take("c1", environment("1"), map[string]*desired.Service{"a": service("1"), "b": service("1")}, nil, "a", "b")
	take("c2", environment("1"), map[string]*desired.Service{"a": service("2"), "b": service("1")}, nil, "a")
	take("c3", environment("1"), map[string]*desired.Service{"a": service("2")}, broken, "b")
	want, ok := asked.Want("b", rollout.Record{})
	if !ok || want.Removed || want.Intent != nil || want.Invalid == "" {
		t.Errorf("an invalid file: %+v; it must not read as removed", want)
	}
	take("c4", nil, map[string]*desired.Service{"a": service("2"), "b": service("1")}, nil, "b")
	if want, _ = asked.Want("a", rollout.Record{}); want.Intent.Commit.SHA != "c2" || want.Policy.Account != "1" {
		t.Errorf("a is of commit %s under account %q, want c2 and the environment's last word", want.Intent.Commit.SHA, want.Policy.Account)
	}
	take("c5", environment("1"), map[string]*desired.Service{"b": service("1")}, nil, "a")
	if want, _ = asked.Want("a", rollout.Record{}); !want.Removed {
		t.Error("a file that is gone does not read as removed")
	}
}

// A controller that starts while git is away knows its environment from the ledger and what was asked from the records.
// Nothing may read as removed then.
func TestBeforeGitIsReadTheRecordsSpeak(t *testing.T) {
	asked := reconcile.NewAsked()
	intent := &rollout.Intent{Service: *service("1")}
	if _, ok := asked.Want("a", rollout.Record{Intent: intent}); ok {
		t.Error("passes run without any environment")
	}
	asked.Remember(environment("1"))
	want, ok := asked.Want("a", rollout.Record{Intent: intent})
	if !ok || want.Intent != intent || want.Removed || want.Policy.Account != "1" {
		t.Errorf("%v %+v", ok, want)
	}
	if _, ok := asked.Want("new", rollout.Record{}); ok {
		t.Error("a service that nobody ever asked for is looked at")
	}
}

// What a record and git say alike is kept once, and the commit is that of the record, which said it first.
func TestWhatTheRecordSaysAlikeIsKeptOnce(t *testing.T) {
	asked := reconcile.NewAsked()
	s := &desired.Snapshot{Commit: desired.Commit{SHA: "newer"}, Environment: environment("1"), Services: map[string]*desired.Service{"a": service("1")}}
	asked.Take(s)
	intent := &rollout.Intent{Commit: desired.Commit{SHA: "older"}, Service: *service("1")}
	if want, _ := asked.Want("a", rollout.Record{Intent: intent}); want.Intent != intent {
		t.Errorf("it is of commit %s", want.Intent.Commit.SHA)
	}
	if asked.Says("a") != &intent.Service {
		t.Error("git's word is kept besides the record's, which is the same")
	}
	if changed := asked.Take(&desired.Snapshot{Environment: s.Environment, Services: s.Services}); len(changed) > 0 {
		t.Errorf("%v changed", changed)
	}
	if want, _ := asked.Want("a", rollout.Record{}); want.Intent != intent {
		t.Error("the next snapshot forgets it")
	}
	other := &rollout.Intent{Commit: desired.Commit{SHA: "other"}, Service: *service("2")}
	if want, _ := asked.Want("a", rollout.Record{Intent: other}); want.Intent != intent || asked.Says("a") != &intent.Service {
		t.Error("another word of the record's takes the place of git's")
	}
}
