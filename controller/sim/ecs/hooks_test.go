package ecs_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/document"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/google/go-cmp/cmp"
)

// hookCalls answers hook calls and remembers them.
type hookCalls struct {
	mu     sync.Mutex
	calls  []ecs.HookCall
	answer func(ecs.HookCall) ecs.HookAnswer
}

func (h *hookCalls) call(c ecs.HookCall) ecs.HookAnswer {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
	return h.answer(c)
}

func (h *hookCalls) stages() []string {
	var out []string
	for _, c := range h.calls {
		out = append(out, string(c.Stage))
	}
	return out
}

func TestLambdaHooks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		h := &hookCalls{answer: func(c ecs.HookCall) ecs.HookAnswer {
			if c.Stage == types.DeploymentLifecycleHookStagePostTestTrafficShift {
				if n++; n < 3 {
					return `{"hookStatus":"IN_PROGRESS","callBackDelay":60,"hookDetails":{"n":1}}`
				}
			}
			return ecs.HookSucceeded
		}}
		w := newWorld(t, nil, func(c *ecs.Config) { c.Hook = h.call })
		hook := lambdaHook(types.DeploymentLifecycleHookStage("").Values()...)
		hook.HookDetails = document.NewLazyDocument(map[string]any{"bucket": "b"})
		w.settle(w.register("web:1"), 1, staged(types.DeploymentStrategyCanary, withHooks(hook)))
		h.calls, n = nil, 0
		b := w.roll(w.register("web:2"))
		names, took := w.stages(*b.Id)
		if took["POST_TEST_TRAFFIC_SHIFT"] < 2*time.Minute {
			t.Errorf("callBackDelay was not waited for: %v", took)
		}
		want := []string{"PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT",
			"PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"}
		if diff := cmp.Diff(want, h.stages()); diff != "" {
			t.Errorf("calls: %s\n%v", diff, names)
		}
		var p struct {
			ExecutionDetails struct {
				ProductionTrafficWeights             map[string]float64
				ServiceArn, TargetServiceRevisionArn string
			}
			LifecycleStage, ResourceArn, ExecutionID string
			HookDetails                              map[string]any
		}
		if err := json.Unmarshal(h.calls[7].Payload, &p); err != nil {
			t.Fatal(err)
		}
		r := w.record(*b.Id)
		if p.ResourceArn != *r.ServiceDeploymentArn || p.ExecutionDetails.TargetServiceRevisionArn != *r.TargetServiceRevision.Arn ||
			p.ExecutionDetails.ProductionTrafficWeights[*r.TargetServiceRevision.Arn] != 5 || p.HookDetails["bucket"] != "b" {
			t.Errorf("payload %s", h.calls[7].Payload)
		}
		if !strings.Contains(string(h.calls[4].Payload), `"hookDetails":{"n":1}`) {
			t.Errorf("state handed back: %s", h.calls[4].Payload)
		}
	})
}

// A hook that fails, answers nonsense or never ends rolls the deployment back,
// with traffic that had been shifted.
func TestFailingHooks(t *testing.T) {
	cases := []struct {
		name, answer string
		stage        types.DeploymentLifecycleHookStage
		reason       string
		again        bool // the traffic-shift hook is called on the way back
	}{
		{"failed", string(ecs.HookFailed), types.DeploymentLifecycleHookStagePreScaleUp, "returned FAILED status.", false},
		{"nonsense", `{"hookStatus":"MAYBE"}`, types.DeploymentLifecycleHookStagePostTestTrafficShift, "returned FAILED status.", false},
		{"bad JSON", `not JSON`, types.DeploymentLifecycleHookStagePostScaleUp, "returned FAILED status.", false},
		{"after the shift", string(ecs.HookFailed), types.DeploymentLifecycleHookStagePostProductionTrafficShift, "returned FAILED status.", true},
		{"never ends", string(ecs.HookInProgress), types.DeploymentLifecycleHookStagePostScaleUp, "timed out.", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bad := false
				h := &hookCalls{answer: func(call ecs.HookCall) ecs.HookAnswer {
					if bad && call.Stage == c.stage {
						return ecs.HookAnswer(c.answer)
					}
					return ecs.HookSucceeded
				}}
				w := newWorld(t, nil, func(cfg *ecs.Config) { cfg.Hook = h.call })
				hook := lambdaHook(c.stage, types.DeploymentLifecycleHookStageProductionTrafficShift)
				hook.TimeoutConfiguration = &types.DeploymentLifecycleHookTimeoutConfiguration{TimeoutInMinutes: aws.Int32(20)}
				a := w.settle(w.register("web:1"), 2, staged(types.DeploymentStrategyBlueGreen, withHooks(hook)))
				bad, h.calls = true, nil
				b := w.roll(w.register("web:2"))
				w.stages(*b.Id)
				r := w.record(*b.Id)
				want := "Service deployment rolled back because " + string(c.stage) + " lifecycle hook(s) failed. Lifecycle hook target " + lambda + " " + c.reason
				if r.Status != types.ServiceDeploymentStatusRollbackSuccessful || *r.StatusReason != want {
					t.Errorf("%s: %s", r.Status, *r.StatusReason)
				}
				if s := w.service(); *s.Deployments[0].Id != *a.Id || len(s.Deployments) != 1 || s.RunningCount != 2 {
					t.Errorf("at the end:\n%s", w.story())
				}
				if got := w.lb.weight(production, group); got != 100 {
					t.Errorf("the old group has %v %% of the traffic", got)
				}
				if shifts := len(slices.DeleteFunc(h.stages(), func(s string) bool { return s != "PRODUCTION_TRAFFIC_SHIFT" })); (shifts == 2) != c.again {
					t.Errorf("calls: %v", h.stages())
				}
			})
		})
	}
}

func TestHookWithoutCandidate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil) // no Hook: the function does not exist
		must(w.CreateService(ctx(), createInput(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen, withHooks(lambdaHook(types.DeploymentLifecycleHookStagePreScaleUp))))))
		w.until(10*time.Minute, "FAILED", func() bool { return w.primary().RolloutState == failed })
		if r := w.record(*w.primary().Id); r.Status != types.ServiceDeploymentStatusRollbackFailed || *r.StatusReason != "No rollback candidate was found to run the rollback." {
			t.Errorf("%s: %s", r.Status, *r.StatusReason)
		}
	})
}

func TestPauseHook(t *testing.T) {
	pause := types.DeploymentLifecycleHook{
		TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{types.DeploymentLifecycleHookStagePostTestTrafficShift},
		TimeoutConfiguration: &types.DeploymentLifecycleHookTimeoutConfiguration{TimeoutInMinutes: aws.Int32(14 * 24 * 60), Action: types.DeploymentLifecycleHookActionContinue},
	}
	cases := []struct {
		name   string
		action types.DeploymentLifecycleHookAction
		event  string
		status types.ServiceDeploymentStatus
	}{
		{"continue", types.DeploymentLifecycleHookActionContinue, "HOOK_SUCCEEDED", types.ServiceDeploymentStatusSuccessful},
		{"roll back", types.DeploymentLifecycleHookActionRollback, "HOOK_FAILED", types.ServiceDeploymentStatusRollbackSuccessful},
		{"time out", "", "HOOK_TIMED_OUT", types.ServiceDeploymentStatusSuccessful},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.settle(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen))
				w.update(func(in *awsecs.UpdateServiceInput) {
					in.DeploymentConfiguration = &types.DeploymentConfiguration{LifecycleHooks: []types.DeploymentLifecycleHook{pause}}
				})
				b := w.roll(w.register("web:2"))
				w.until(10*time.Minute, "AWAITING_ACTION", func() bool { r := w.record(*b.Id); return r != nil && len(r.LifecycleHookDetails) == 1 })
				r := w.record(*b.Id)
				h := r.LifecycleHookDetails[0]
				if h.Status != types.DeploymentLifecycleHookStatusAwaitingAction || h.ExpiresAt == nil || h.TargetArn != nil {
					t.Errorf("hook: %+v", h)
				}
				_, err := w.ContinueServiceDeployment(ctx(), &awsecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: r.ServiceDeploymentArn, HookId: aws.String("other")})
				refused[*types.InvalidParameterException](t, "another hook", "AWAITING_ACTION", err)
				pass(24 * time.Hour)
				if w.record(*b.Id).LifecycleStage != types.ServiceDeploymentLifecycleStagePostTestTrafficShift {
					t.Fatal("the deployment did not wait")
				}
				if c.action != "" {
					must(w.ContinueServiceDeployment(ctx(), &awsecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: r.ServiceDeploymentArn, HookId: h.HookId, Action: c.action}))
				} else {
					pass(13*24*time.Hour + time.Minute)
				}
				w.stages(*b.Id)
				if got := w.record(*b.Id).Status; got != c.status {
					t.Errorf("%s, want %s", got, c.status)
				}
				if !slices.ContainsFunc(w.events, func(ev ecs.Event) bool { return ev.Hook != nil && ev.Name == c.event }) {
					t.Errorf("no event %s", c.event)
				}
				_, err = w.ContinueServiceDeployment(ctx(), &awsecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: r.ServiceDeploymentArn, HookId: h.HookId})
				refused[*types.ConflictException](t, "after the end", "can't be continued", err)
			})
		})
	}
}
