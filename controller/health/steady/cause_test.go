package steady

import (
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// What holds a deployment up is told by counts, states and codes. ECS's events are passed on, and decide nothing.
func TestCause(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	at := func(running, pending int) observed.Deployment {
		return observed.Deployment{ID: "new", Primary: true, Desired: 2, Running: running, Pending: pending, Rollout: observed.RolloutInProgress, CreatedAt: now}
	}
	own := observed.Task{Deployment: "new", LastStatus: "RUNNING", DesiredStatus: "RUNNING", Health: "UNKNOWN", Address: "10.0.0.1"}
	old := observed.Task{Deployment: "old", LastStatus: "RUNNING", DesiredStatus: "RUNNING", Address: "10.0.0.9"}
	going := old
	going.LastStatus, going.DesiredStatus = "DEACTIVATING", "STOPPED"
	target := func(address, state string) observed.Target {
		return observed.Target{ID: address, Port: 8080, State: state, Reason: "Target.Code"}
	}
	checked := map[string]observed.Revision{"r": {HealthChecked: true}}
	two := []observed.Deployment{at(2, 0), {ID: "old"}}
	for name, tt := range map[string]struct {
		seen   observed.Service
		class  observed.Class
		reason string
	}{
		"no task exists":            {observed.Service{Deployments: []observed.Deployment{at(0, 0)}}, observed.ClassInfrastructure, reasonNotPlaced},
		"tasks are pending":         {observed.Service{Deployments: []observed.Deployment{at(1, 1)}}, observed.ClassInfrastructure, reasonNotStarting},
		"no listener":               {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}, Targets: []observed.Target{target("10.0.0.1", "unused")}}, observed.ClassBlocked, reasonUnused},
		"nothing is checked":        {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}, Targets: []observed.Target{target("10.0.0.1", "unavailable")}}, observed.ClassInfrastructure, reasonUnavailable},
		"unhealthy and left":        {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}, Targets: []observed.Target{target("10.0.0.1", "unhealthy")}}, observed.ClassInfrastructure, reasonUnhealthy},
		"an old task's target":      {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}, Targets: []observed.Target{target("10.0.0.9", "unhealthy")}}, observed.ClassInfrastructure, reasonRemain},
		"target group gone":         {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}, Missing: []observed.Missing{{Fact: observed.FactTargets, Kind: "not_found", Reason: "TargetGroupMissing"}}}, observed.ClassBlocked, "TargetGroupMissing"},
		"health check says nothing": {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}, Revisions: checked}, observed.ClassInfrastructure, reasonUnknown},
		"there is no health check":  {observed.Service{Deployments: two, Tasks: []observed.Task{own, old}}, observed.ClassInfrastructure, reasonRemain},
		"old tasks drain":           {observed.Service{Deployments: two, Tasks: []observed.Task{own, going}}, observed.ClassInfrastructure, reasonDraining},
	} {
		tt.seen.Events = []observed.Event{{At: now, Message: "(service s) has started 1 tasks."}, {At: now, Message: "(service s) was unable to place a task."}}
		s := rollout.Subject{Now: now.Add(5 * time.Minute), RolledAt: now, Kind: rollout.KindDeploy, Deployment: "new", Revision: "r"}
		r, _ := Check{}.Read(s, tt.seen)
		if r.Verdict != observed.NoData || r.Class != tt.class || r.Reason != tt.reason {
			t.Errorf("%s: %s %s %s (%s)", name, r.Verdict, r.Class, r.Reason, r.Detail)
		}
		if tt.reason == reasonNotPlaced && !strings.HasSuffix(r.Detail, "was unable to place a task.") {
			t.Errorf("%s: ECS's word is not passed on: %s", name, r.Detail)
		}
		s.Now = now.Add(10 * time.Second)
		if r, _ := (Check{}).Read(s, tt.seen); r.Reason != "Rolling" {
			t.Errorf("%s, seconds after it was asked for: %s", name, r.Reason)
		}
		if (Check{}).Facts(s).Targets {
			t.Error("the load balancer is asked about a roll that has just begun")
		}
	}
}

// Tasks that cannot be read say nothing about a deploy; a revert is over when ECS's records say so.
func TestTasksThatCannotBeRead(t *testing.T) {
	seen := observed.Service{
		Deployments:       []observed.Deployment{{ID: "d", Primary: true, Desired: 2, Running: 2, Rollout: observed.RolloutCompleted}},
		ServiceDeployment: &observed.ServiceDeployment{Status: observed.ServiceDeploymentSuccessful},
		Missing:           []observed.Missing{{Fact: observed.FactTasks, Kind: "blocked", Reason: "AccessDenied"}},
	}
	r, _ := Check{}.Read(rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d"}, seen)
	if r.Verdict != observed.NoData || r.Class != observed.ClassBlocked || r.Reason != "AccessDenied" {
		t.Errorf("a deploy: %+v", r)
	}
	if r, _ = (Check{}).Read(rollout.Subject{Kind: rollout.KindRevert, Deployment: "d"}, seen); r.Verdict != observed.Pass {
		t.Errorf("a revert: %+v", r)
	}
}
