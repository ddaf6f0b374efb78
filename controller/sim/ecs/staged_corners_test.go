package ecs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
)

// Without a load balancer, or with one that cannot shift, the stages are the same.
func TestStagesWithoutTraffic(t *testing.T) {
	cases := map[string]func(*awsecs.CreateServiceInput){
		"no load balancer": func(in *awsecs.CreateServiceInput) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(1)}
		},
		"no shifter": staged(types.DeploymentStrategyCanary),
	}
	for name, create := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, nil, func(c *ecs.Config) { c.LoadBalancers = struct{ ecs.LoadBalancers }{c.LoadBalancers} })
				w.settle(w.register("web:1"), 2, create)
				b := w.roll(w.register("web:2"))
				names, _ := w.stages(*b.Id)
				if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusSuccessful || !slices.Contains(names, "BAKE_TIME") || len(w.lb.shifts) != 0 {
					t.Errorf("%s through %v, %d shifts", r.Status, names, len(w.lb.shifts))
				}
				if s := w.service(); s.RunningCount != 2 || len(s.Deployments) != 1 {
					t.Errorf("at the end:\n%s", w.story())
				}
			})
		})
	}
}

// Three pauses of two weeks do not fit into the thirty days of a deployment.
func TestMonthOfPauses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen))
		w.update(func(in *awsecs.UpdateServiceInput) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{LifecycleHooks: []types.DeploymentLifecycleHook{{
				TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{
					types.DeploymentLifecycleHookStagePreScaleUp, types.DeploymentLifecycleHookStagePostScaleUp, types.DeploymentLifecycleHookStagePostTestTrafficShift,
				},
				TimeoutConfiguration: &types.DeploymentLifecycleHookTimeoutConfiguration{TimeoutInMinutes: aws.Int32(14 * 24 * 60), Action: types.DeploymentLifecycleHookActionContinue},
			}}}
		})
		b := w.roll(w.register("web:2"))
		pass(30*24*time.Hour - time.Minute)
		if r := w.record(*b.Id); r.LifecycleStage != types.ServiceDeploymentLifecycleStagePostTestTrafficShift {
			t.Fatalf("after a month it is at %s, %s", r.LifecycleStage, r.Status)
		}
		pass(10 * time.Minute)
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackSuccessful || *w.primary().Id != *a.Id {
			t.Errorf("a month and ten minutes: %s", r.Status)
		}
	})
}

func TestStagedDoubts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *ecs.Config) { c.Doubts.FirstDeploymentBakes, c.Doubts.LiveTargetGroupShown = true, true })
		must(w.CreateService(ctx(), createInput(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen))))
		names, _ := w.stages(*w.primary().Id)
		if !slices.Contains(names, "BAKE_TIME") {
			t.Errorf("the first deployment's stages: %v", names)
		}
		shown := func() (live, other string) {
			lb := w.service().LoadBalancers[0]
			return *lb.TargetGroupArn, *lb.AdvancedConfiguration.AlternateTargetGroupArn
		}
		if live, other := shown(); live != group || other != otherGroup {
			t.Errorf("at first: %s and %s", live, other)
		}
		b := w.roll(w.register("web:2"))
		w.stages(*b.Id)
		if live, other := shown(); live != otherGroup || other != group {
			t.Errorf("after one deployment: %s and %s", live, other)
		}
	})
	// Whether the breaker counts what could not be placed.
	for _, uncounted := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, nil, func(c *ecs.Config) { c.Doubts.PlacementUncounted = uncounted })
			w.settle(w.register("web:1"), 1, withBreaker(true))
			b := w.roll(w.register("web:2"))
			w.RefusePlacement("Capacity is unavailable at this time.")
			w.update(func(in *awsecs.UpdateServiceInput) { in.ForceNewDeployment = true })
			c := w.primary()
			pass(30 * time.Minute)
			r := w.record(*c.Id)
			if stopped := r.FinishedAt != nil || r.Rollback != nil; stopped == uncounted {
				t.Errorf("after %s, placement failures uncounted %v: %s", *b.Id, uncounted, r.Status)
			}
		})
	}
}
