package health_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/health/alarms"
	"github.com/canteen/deploy/controller/health/logs"
	"github.com/canteen/deploy/controller/health/steady"
	"github.com/canteen/deploy/controller/health/targets"
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
	if r.Verdict != observed.Fail || len(r.Lines) != 1 || r.Lines[0] != "panic: x" {
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

// The steady check follows one deployment by its id, whatever else the service shows.
func TestSteady(t *testing.T) {
	crash := func(n int) (tasks []observed.Task) {
		for i := range n {
			tasks = append(tasks, observed.Task{ARN: string(rune('a' + i)), Deployment: "ecs-svc/2", LastStatus: "STOPPED", StopCode: "EssentialContainerExited",
				Containers: []observed.Container{{Name: "app", Exited: true, ExitCode: 1}}})
		}
		return tasks
	}
	complete := observed.Deployment{ID: "ecs-svc/2", Primary: true, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}
	with := func(change func(*observed.Deployment)) observed.Deployment { d := complete; change(&d); return d }
	recorded := &observed.ServiceDeployment{Status: observed.ServiceDeploymentSuccessful}
	for name, tc := range map[string]struct {
		seen    observed.Service
		verdict observed.Verdict
		class   observed.Class
	}{
		"complete":                       {observed.Service{Deployments: []observed.Deployment{complete}, ServiceDeployment: recorded}, observed.Pass, ""},
		"no record yet":                  {observed.Service{Deployments: []observed.Deployment{complete}}, observed.NoData, ""},
		"recorded as running":            {observed.Service{Deployments: []observed.Deployment{complete}, ServiceDeployment: &observed.ServiceDeployment{Status: "IN_PROGRESS"}}, observed.NoData, ""},
		"old tasks drain":                {observed.Service{Deployments: []observed.Deployment{complete, {ID: "ecs-svc/1"}}, ServiceDeployment: recorded}, observed.NoData, ""},
		"a task is being replaced":       {observed.Service{Deployments: []observed.Deployment{with(func(d *observed.Deployment) { d.Running = 1 })}, ServiceDeployment: recorded}, observed.NoData, ""},
		"no tasks wanted":                {observed.Service{Deployments: []observed.Deployment{with(func(d *observed.Deployment) { d.Desired, d.Running = 0, 0 })}, ServiceDeployment: recorded}, observed.NoData, ""},
		"another deployment":             {observed.Service{Deployments: []observed.Deployment{{ID: "ecs-svc/9", Primary: true, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}, ServiceDeployment: recorded}, observed.NoData, ""},
		"one crash":                      {observed.Service{Deployments: []observed.Deployment{with(func(d *observed.Deployment) { d.Rollout = observed.RolloutInProgress })}, Tasks: crash(1)}, observed.NoData, observed.ClassProduct},
		"two crashes":                    {observed.Service{Deployments: []observed.Deployment{with(func(d *observed.Deployment) { d.Rollout = observed.RolloutInProgress })}, Tasks: crash(2)}, observed.Fail, observed.ClassProduct},
		"two crashes of another":         {observed.Service{Deployments: []observed.Deployment{{ID: "ecs-svc/2", Primary: true, Rollout: observed.RolloutInProgress, Desired: 2}}, Tasks: []observed.Task{{Deployment: "ecs-svc/1", StopCode: "EssentialContainerExited"}, {Deployment: "ecs-svc/1", StopCode: "EssentialContainerExited"}}}, observed.NoData, observed.ClassInfrastructure},
		"ECS gave up after one crash":    {observed.Service{Deployments: []observed.Deployment{with(func(d *observed.Deployment) { d.Rollout = observed.RolloutFailed })}, Tasks: crash(1)}, observed.Fail, observed.ClassProduct},
		"ECS gave up and nobody saw why": {observed.Service{Deployments: []observed.Deployment{with(func(d *observed.Deployment) { d.Rollout = observed.RolloutFailed })}}, observed.Fail, observed.ClassInfrastructure},
	} {
		r, ok := steady.Check{}.Read(rollout.Subject{Now: time.Now(), Kind: rollout.KindDeploy, Deployment: "ecs-svc/2"}, tc.seen)
		if !ok || r.Verdict != tc.verdict || r.Class != tc.class || r.Detail == "" {
			t.Errorf("%s: %s %s (%s), want %s %s", name, r.Verdict, r.Class, r.Detail, tc.verdict, tc.class)
		}
	}
}

func TestAlarms(t *testing.T) {
	check, err := alarms.New([]byte(`{"revertOn":["5xx"],"holdOn":["cpu"]}`))
	if err != nil {
		t.Fatal(err)
	}
	state := func(five, cpu observed.AlarmState) []observed.Alarm {
		return []observed.Alarm{{Name: "5xx", State: five}, {Name: "cpu", State: cpu}}
	}
	during := rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d", Baseline: state(observed.AlarmOK, observed.AlarmOK)}
	before := rollout.Subject{Before: true}
	for name, tc := range map[string]struct {
		subject rollout.Subject
		alarms  []observed.Alarm
		verdict observed.Verdict
	}{
		"quiet":                   {during, state(observed.AlarmOK, observed.AlarmOK), observed.Pass},
		"turned red":              {during, state(observed.AlarmRed, observed.AlarmOK), observed.Fail},
		"red before":              {rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d", Baseline: state(observed.AlarmRed, observed.AlarmOK)}, state(observed.AlarmRed, observed.AlarmOK), observed.Pass},
		"red of the one before":   {rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d", Baseline: state(observed.AlarmRed, observed.AlarmOK), Inherits: true}, state(observed.AlarmRed, observed.AlarmOK), observed.NoData},
		"green after that one":    {rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d", Baseline: state(observed.AlarmRed, observed.AlarmOK), Inherits: true}, state(observed.AlarmOK, observed.AlarmOK), observed.Pass},
		"red of its own after it": {rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d", Baseline: state(observed.AlarmOK, observed.AlarmOK), Inherits: true}, state(observed.AlarmRed, observed.AlarmOK), observed.Fail},
		"held":                    {during, state(observed.AlarmOK, observed.AlarmRed), observed.NoData},
		"too little data":         {during, state(observed.AlarmInsufficient, observed.AlarmInsufficient), observed.Pass},
		"gone":                    {during, nil, observed.NoData},
		"before, quiet":           {before, state(observed.AlarmOK, observed.AlarmOK), observed.Pass},
		"before, red":             {before, state(observed.AlarmOK, observed.AlarmRed), observed.Fail},
		"before, does not exist":  {before, nil, observed.Fail},
		"before, too little data": {before, state(observed.AlarmInsufficient, observed.AlarmOK), observed.Pass},
	} {
		if r, _ := check.Read(tc.subject, observed.Service{Alarms: tc.alarms}); r.Verdict != tc.verdict || r.Detail == "" {
			t.Errorf("%s: %s (%s), want %s", name, r.Verdict, r.Detail, tc.verdict)
		}
	}
	if _, ok := check.Read(rollout.Subject{Kind: rollout.KindRevert, Deployment: "d"}, observed.Service{}); ok {
		t.Error("a revert is judged by alarms")
	}
}

// Only a red alarm of revertOn has the reason that may be excused before the start, and another failure is told before it.
func TestReasonsOfAlarms(t *testing.T) {
	check, err := alarms.New([]byte(`{"revertOn":["5xx","4xx"],"holdOn":["cpu"]}`))
	if err != nil {
		t.Fatal(err)
	}
	red := func(names ...string) (out []observed.Alarm) {
		for _, name := range []string{"5xx", "4xx", "cpu"} {
			switch a := (observed.Alarm{Name: name, State: observed.AlarmOK}); {
			case slices.Contains(names, "no "+name):
			case slices.Contains(names, name):
				a.State = observed.AlarmRed
				fallthrough
			default:
				out = append(out, a)
			}
		}
		return out
	}
	for name, tc := range map[string]struct {
		alarms []observed.Alarm
		reason string
		about  string
	}{
		"revertOn":                     {red("5xx"), rollout.ReasonAlarmRed, "5xx"},
		"two of revertOn":              {red("5xx", "4xx"), rollout.ReasonAlarmRed, "5xx"},
		"holdOn":                       {red("cpu"), "AlarmHolds", "cpu"},
		"both":                         {red("5xx", "cpu"), "AlarmHolds", "cpu"},
		"one is missing":               {red("no 4xx"), "AlarmMissing", "4xx"},
		"one is red, one is missing":   {red("5xx", "no 4xx"), "AlarmMissing", "4xx"},
		"one is missing, one is red":   {red("no 5xx", "4xx"), "AlarmMissing", "5xx"},
		"red, and holdOn's is missing": {red("5xx", "no cpu"), "AlarmMissing", "cpu"},
	} {
		r, _ := check.Read(rollout.Subject{Before: true}, observed.Service{Alarms: tc.alarms})
		if r.Verdict != observed.Fail || r.Reason != tc.reason || !strings.Contains(r.Detail, tc.about) {
			t.Errorf("%s: %s %s (%s), want %s of %s", name, r.Verdict, r.Reason, r.Detail, tc.reason, tc.about)
		}
	}
	unread := observed.Service{Missing: []observed.Missing{{Fact: observed.FactAlarms, Kind: "blocked", Reason: "AccessDenied", Message: "it may not"}}, Alarms: red("5xx")}
	if r, _ := check.Read(rollout.Subject{Before: true}, unread); r.Verdict != observed.Fail || r.Reason == rollout.ReasonAlarmRed {
		t.Errorf("alarms that could not be read: %s %s", r.Verdict, r.Reason)
	}
}

func TestTargets(t *testing.T) {
	group := []observed.TargetGroup{{ARN: "tg"}}
	primary := []observed.Deployment{{ID: "d", Primary: true, Desired: 2}}
	target := func(states ...string) (out []observed.Target) {
		for _, s := range states {
			out = append(out, observed.Target{Group: "tg", State: s, Reason: "Target." + s})
		}
		return out
	}
	for name, tc := range map[string]struct {
		targets []observed.Target
		verdict observed.Verdict
		class   observed.Class
	}{
		"all healthy":       {target("healthy", "healthy"), observed.Pass, ""},
		"one drains":        {target("healthy", "healthy", "draining"), observed.Pass, ""},
		"one is missing":    {target("healthy"), observed.NoData, ""},
		"one is unhealthy":  {target("healthy", "unhealthy"), observed.NoData, ""},
		"all are unhealthy": {target("unhealthy", "unhealthy"), observed.Fail, observed.ClassProduct},
		"no traffic":        {target("unused", "unused"), observed.Fail, observed.ClassBlocked},
	} {
		s := rollout.Subject{Kind: rollout.KindDeploy, Deployment: "d", BakeFrom: time.Unix(1, 0)}
		if r, _ := (targets.Check{}).Read(s, observed.Service{TargetGroups: group, Deployments: primary, Targets: tc.targets}); r.Verdict != tc.verdict || r.Class != tc.class {
			t.Errorf("%s: %s %s (%s), want %s %s", name, r.Verdict, r.Class, r.Detail, tc.verdict, tc.class)
		}
	}
	if _, ok := (targets.Check{}).Read(rollout.Subject{BakeFrom: time.Unix(1, 0)}, observed.Service{}); ok {
		t.Error("a service without a load balancer is judged by one")
	}
}

func TestEveryCheckOfAFileIsBuilt(t *testing.T) {
	spec := desired.ServiceSpec{Verify: desired.Verify{Checks: map[string]json.RawMessage{}}}
	for name := range health.Kinds() {
		spec.Verify.Checks[name] = json.RawMessage(`{}`)
	}
	checks, err := health.For(spec)
	if err != nil || len(checks) != len(health.Kinds())+1 {
		t.Errorf("%d checks, %v", len(checks), err)
	}
	spec.Verify.Checks["luck"] = nil
	if _, err := health.For(spec); err == nil {
		t.Error("an unknown check is built")
	}
}
