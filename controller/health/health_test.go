package health_test

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/health/logs"
	"github.com/canteen/deploy/controller/health/steady"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

func TestFailedByInfra(t *testing.T) {
	var tasks []observed.Task
	for _, id := range []string{"a", "b", "c"} {
		tasks = append(tasks, observed.Task{ARN: id, Deployment: "ecs-svc/2", LastStatus: "STOPPED", StopCode: "TaskFailedToStart", StoppedReason: "Capacity is unavailable at this time."})
	}
	seen := observed.Service{Tasks: tasks, Deployments: []observed.Deployment{{ID: "ecs-svc/2", Primary: true, Rollout: observed.RolloutFailed, Desired: 2}}}
	r, _ := steady.Check{}.Read(rollout.Subject{Now: time.Now(), Deployment: "ecs-svc/2"}, seen)
	if r.Class == observed.ClassProduct {
		t.Errorf("three deaths for want of capacity: %s %s %s", r.Verdict, r.Class, r.Detail)
	}
}

func TestForbiddenInPartialLog(t *testing.T) {
	c, _ := logs.New([]byte(`{"forbid":["panic"]}`))
	seen := observed.Service{Missing: []observed.Missing{{Fact: observed.FactLogs, Message: "more than 10 pages are new"}},
		Logs: &observed.Logs{Matches: map[string][]observed.LogLine{"panic": {{Message: "panic: x"}}}}}
	r, _ := c.Read(rollout.Subject{Now: time.Now(), Kind: rollout.KindDeploy, Deployment: "d"}, seen)
	if r.Verdict != observed.Fail {
		t.Errorf("a forbidden line is in hand: %s %s", r.Verdict, r.Detail)
	}
}

func TestRevertAtZero(t *testing.T) {
	seen := observed.Service{Deployments: []observed.Deployment{{ID: "ecs-svc/2", Primary: true, Rollout: observed.RolloutCompleted}},
		ServiceDeployment: &observed.ServiceDeployment{Status: "SUCCESSFUL"}}
	r, _ := steady.Check{}.Read(rollout.Subject{Now: time.Now(), Kind: rollout.KindRevert, Deployment: "ecs-svc/2"}, seen)
	if r.Verdict != observed.Pass {
		t.Errorf("a completed revert of a service scaled to 0: %s %s", r.Verdict, r.Detail)
	}
}
