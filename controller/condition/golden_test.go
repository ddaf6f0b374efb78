package condition_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

var update = flag.Bool("update", false, "write the golden file anew")

const golden = "testdata/states.golden"

// record is a service that git asks b2 of and that had a1, in the state.
func record(state rollout.State) rollout.Record {
	target := func(tag string) rollout.Target {
		return rollout.Target{Ask: "v1:" + tag, Commit: desired.Commit{SHA: tag}, Key: "v1:key-" + tag, Containers: rollout.NamedOf(map[string]rollout.Container{"app": {Tag: tag}})}
	}
	spec := desired.ServiceSpec{Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: "b2"}}}, Migration: &desired.Migration{Container: "app"}}
	rec := rollout.Record{
		Service: "orders", State: state, Why: "So it is.", Intent: &rollout.Intent{Commit: desired.Commit{SHA: "b2"}, Service: desired.Service{Spec: spec}},
		Good: &rollout.Good{Target: target("a1"), Revision: "arn:aws:ecs:eu-central-1:000000000000:task-definition/orders:1"}, Migrated: []string{"v1:key-a1"},
	}
	flight := func(kind rollout.Kind, stage rollout.Stage, tag string) {
		rec.Rollout = &rollout.Rollout{Number: 2, Kind: kind, Stage: stage, Target: target(tag)}
	}
	bad := rollout.Rejection{Ask: "v1:b2", Check: "steady", Reason: "Crashed", Message: "2 tasks stopped"}
	switch state {
	case rollout.StateRegistering:
		flight(rollout.KindDeploy, rollout.StageRegister, "b2")
	case rollout.StateMigrating:
		flight(rollout.KindDeploy, rollout.StageMigrate, "b2")
		rec.Rollout.Migration = &rollout.Migration{Key: "v1:key-b2"}
	case rollout.StateWaitingLock:
		flight(rollout.KindDeploy, rollout.StageMigrate, "b2")
	case rollout.StateRolling:
		flight(rollout.KindDeploy, rollout.StageRoll, "b2")
		rec.Migrated = append(rec.Migrated, "v1:key-b2")
	case rollout.StateBaking, rollout.StateFailing:
		flight(rollout.KindDeploy, rollout.StageBake, "b2")
		rec.Migrated = append(rec.Migrated, "v1:key-b2")
	case rollout.StateReverting:
		flight(rollout.KindRevert, rollout.StageRoll, "a1")
		rec.Rejected = []rollout.Rejection{bad}
	case rollout.StateReverted:
		rec.Rejected = []rollout.Rejection{bad}
	case rollout.StateRestoring:
		flight(rollout.KindRestore, rollout.StageRoll, "a1")
		rec.Drift = &rollout.Drift{TaskDefinition: "orders:9"}
	case rollout.StateDrifted:
		rec.Drift = &rollout.Drift{TaskDefinition: "orders:9"}
	case rollout.StateBlocked:
		rec.Blocked = &rollout.Hold{Ask: "v1:b2", Reason: "SecretUnavailable", Message: "the secret is gone"}
	case rollout.StateStalled:
		rec.Stalled = &rollout.Stall{Reason: rollout.ReasonDeadline, Message: "it did not complete"}
	case rollout.StateInvalid:
		rec.Intent, rec.Good, rec.Migrated = nil, nil, nil
	case rollout.StateSettled, rollout.StateWaitingTemplate:
		rec.Good.Target = target("b2")
	}
	return rec
}

// Whatever state a service is in, phase and conditions say so, and never one thing with the one and another with the other.
func TestEveryState(t *testing.T) {
	seen := observed.Service{Name: "orders", Status: observed.StatusActive, Desired: 2, Running: 2,
		Deployments: []observed.Deployment{{ID: "ecs-svc/1", Primary: true, Desired: 2, Running: 2, Rollout: observed.RolloutCompleted}}}
	var out strings.Builder
	for _, state := range rollout.States() {
		in := condition.Input{Record: record(state), Seen: seen}
		if state == rollout.StateInvalid {
			in.Invalid = "orders.yaml:1:1: no YAML"
		}
		s := condition.Of(in)
		fmt.Fprintf(&out, "%s: %s %s\n", state, s.Phase.Glyph(), s.Phase)
		for _, c := range s.Conditions {
			fmt.Fprintf(&out, "  %-12s %-8s %s\n", c.Type, c.Status, c.Reason)
			if c.Reason == "" {
				t.Errorf("%s: condition %s has no reason", state, c.Type)
			}
		}
		if s.Phase == condition.PhaseUnknown && state != rollout.StateUnknown {
			t.Errorf("%s has no phase", state)
		}
		if ready := s.Condition(condition.Ready).Status == condition.True; ready != (s.Phase == condition.PhaseHealthy) {
			t.Errorf("%s: ready is %v and the phase %s", state, ready, s.Phase)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("phases or conditions differ from %s; if that is meant, run\ngo test ./controller/condition -run TestEveryState -update\n%s", golden, diff)
	}
}
