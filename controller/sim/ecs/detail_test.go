package ecs_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// What EventBridge would carry of a failed rollout, a one-off task and a hook.
func TestDetail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		a := w.settle(w.register("web:1"), 1, withLB, withBreaker(true))
		b := w.roll(w.register("web:bad"))
		w.until(time.Hour, "rolled back", func() bool { r := w.record(*b.Id); return r != nil && r.FinishedAt != nil })
		w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(2) })
		pass(time.Minute)
		service := *w.service().ServiceArn
		versions := map[string]float64{}
		seen := map[string]int{}
		var failedID, reason string
		for _, ev := range w.events {
			kind, raw, resources := ev.Detail()
			var d map[string]any
			if err := json.Unmarshal(raw, &d); err != nil {
				t.Fatal(err)
			}
			if kind == "ECS Task State Change" {
				seen[kind]++
				arn := d["taskArn"].(string)
				if resources[0] != arn || d["version"].(float64) <= versions[arn] || strings.Contains(string(raw), "healthStatus") || d["group"] != "service:web" {
					t.Fatalf("task event %s after version %v", raw, versions[arn])
				}
				versions[arn] = d["version"].(float64)
				if _, err := time.Parse(time.RFC3339, d["createdAt"].(string)); err != nil {
					t.Error(err)
				}
				if d["lastStatus"] == "STOPPED" && (d["stopCode"] == nil || d["containers"].([]any)[0].(map[string]any)["exitCode"] == nil) {
					t.Errorf("the end of a task: %s", raw)
				}
				continue
			}
			name := d["eventName"].(string)
			seen[kind+" "+name]++
			if resources[0] != service {
				t.Errorf("%s is about %v", name, resources)
			}
			if name == "SERVICE_DEPLOYMENT_FAILED" {
				failedID, reason = d["deploymentId"].(string), d["reason"].(string)
				if d["eventType"] != "ERROR" {
					t.Errorf("eventType %v", d["eventType"])
				}
			}
		}
		for _, want := range []string{"ECS Task State Change", "ECS Deployment State Change SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS Deployment State Change SERVICE_DEPLOYMENT_COMPLETED",
			"ECS Service Action SERVICE_STEADY_STATE", "ECS Service Action SERVICE_DESIRED_COUNT_UPDATED"} {
			if seen[want] == 0 {
				t.Errorf("no %s in %v", want, seen)
			}
		}
		if failedID != *b.Id || !strings.Contains(reason, "tasks failed to start") {
			t.Errorf("after %s: FAILED is about %s (%s)", *a.Id, failedID, reason)
		}
	})
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		must(w.CreateService(ctx(), createInput(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen, withHooks(types.DeploymentLifecycleHook{
			TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{types.DeploymentLifecycleHookStagePreScaleUp},
		})))))
		pass(time.Minute)
		r := w.record(*w.primary().Id)
		for _, ev := range w.events {
			if ev.Hook == nil {
				continue
			}
			kind, raw, _ := ev.Detail()
			for _, part := range []string{*r.LifecycleHookDetails[0].HookId, *r.ServiceDeploymentArn, `"lifecycleStage":"PRE_SCALE_UP"`, `"eventName":"HOOK_AWAITING_ACTION"`} {
				if kind != "ECS Hook State Change" || !strings.Contains(string(raw), part) {
					t.Errorf("%s without %s: %s", kind, part, raw)
				}
			}
			return
		}
		t.Error("no hook event")
	})
}
