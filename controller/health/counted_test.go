package health_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/health/alarms"
	"github.com/canteen/deploy/controller/health/logs"
	"github.com/canteen/deploy/controller/health/steady"
	"github.com/canteen/deploy/controller/health/targets"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Each check says what it counted and what that had to be, so that a person sees how far it is.
func TestChecksTellValueAndThreshold(t *testing.T) {
	at := time.Unix(1000, 0)
	s := rollout.Subject{Now: at, Kind: rollout.KindDeploy, Stage: rollout.StageBake, Deployment: "ecs-svc/1", RolledAt: at, BakeFrom: at}
	seen := observed.Service{
		Deployments:  []observed.Deployment{{ID: "ecs-svc/1", Primary: true, Desired: 3, Running: 2, Rollout: observed.RolloutInProgress}},
		TargetGroups: []observed.TargetGroup{{ARN: "a"}},
		Targets:      []observed.Target{{ID: "1", State: "healthy"}, {ID: "2", State: "initial"}},
		Alarms:       []observed.Alarm{{Name: "5xx", State: observed.AlarmRed}, {Name: "somebody else's", State: observed.AlarmRed}},
		Logs:         &observed.Logs{Matches: map[string][]observed.LogLine{"up": {{Message: "up"}}}},
	}
	type check interface {
		Read(rollout.Subject, observed.Service) (observed.Reading, bool)
	}
	made := func(c check, err error) check {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	alarm, err := alarms.New(json.RawMessage(`{"revertOn": ["5xx"]}`))
	made(alarm, err)
	line, err := logs.New(json.RawMessage(`{"forbid": ["panic"], "require": ["up", "ready"]}`))
	made(line, err)
	tests := map[string]struct {
		check            check
		value, threshold string
	}{
		"steady":  {steady.Check{}, "2 running", "3 running"},
		"targets": {targets.Check{}, "1 healthy", "3 healthy"},
		"alarms":  {alarm, "1 red", "none red that was not before"},
		"logs":    {line, "none forbidden, 1 required", "none forbidden, 2 required"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, ok := tt.check.Read(s, seen)
			if !ok || r.Value != tt.value || r.Threshold != tt.threshold {
				t.Errorf("reads %q against %q (%v), want %q against %q", r.Value, r.Threshold, ok, tt.value, tt.threshold)
			}
		})
	}
}
