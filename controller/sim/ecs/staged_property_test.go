package ecs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"pgregory.net/rapid"
)

// Whatever is asked of a service whose deployments go in stages: the shares of traffic
// add up, nothing failed gets a task, and a good revision comes to rest with all of it.
func TestStagedInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		strategy := rapid.SampledFrom([]types.DeploymentStrategy{types.DeploymentStrategyBlueGreen, types.DeploymentStrategyLinear, types.DeploymentStrategyCanary}).Draw(rt, "strategy")
		answers := rapid.SliceOfN(rapid.SampledFrom([]ecs.HookAnswer{ecs.HookSucceeded, ecs.HookSucceeded, ecs.HookSucceeded, ecs.HookInProgress, ecs.HookFailed, ""}), 1, 12).Draw(rt, "hook answers")
		story := deeds(rt)
		broken := ""
		bubble(t, func(t *testing.T) {
			asked := 0
			calm := false
			w := newWorld(t, images, func(c *ecs.Config) {
				c.Seed = seed
				c.Hook = func(ecs.HookCall) ecs.HookAnswer {
					if calm {
						return ecs.HookSucceeded
					}
					asked++
					return answers[asked%len(answers)]
				}
			})
			v := &invariants{before: map[string]ecs.Look{}, seen: map[string]bool{}}
			w.OnChange(func(looks []ecs.Look) {
				for _, l := range looks {
					v.stagedLook(l)
				}
			})
			short := func(c *types.DeploymentConfiguration) {
				c.BakeTimeInMinutes = aws.Int32(2)
				switch strategy {
				case types.DeploymentStrategyLinear:
					c.LinearConfiguration = &types.LinearConfiguration{StepPercent: aws.Float64(33.4), StepBakeTimeInMinutes: aws.Int32(1)}
				case types.DeploymentStrategyCanary:
					c.CanaryConfiguration = &types.CanaryConfiguration{CanaryBakeTimeInMinutes: aws.Int32(2)}
				}
				c.LifecycleHooks = []types.DeploymentLifecycleHook{lambdaHook(types.DeploymentLifecycleHookStagePreScaleUp, types.DeploymentLifecycleHookStageProductionTrafficShift)}
			}
			must(w.CreateService(ctx(), createInput(w.register("web:good"), 2, staged(strategy, short))))
			for _, d := range story {
				pass(time.Duration(d.Wait) * time.Second)
				w.do(d)
			}
			calm = true
			w.configure(100, 200, false, false)
			w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(2) })
			last := w.roll(w.register("web:last"))
			for i := 0; i < 2*3600 && w.primary().RolloutState != completed; i++ {
				pass(time.Second)
			}
			if s := w.service(); *s.Deployments[0].Id != *last.Id || s.Deployments[0].RolloutState != completed || s.RunningCount != 2 || len(s.Deployments) != 1 {
				v.say("a good revision did not come to rest within two hours (%s):\n%s", w.record(*last.Id).LifecycleStage, w.story())
			}
			live := *w.revision(*last.Id).ResolvedConfiguration.LoadBalancers[0].TargetGroupArn
			if got := w.lb.weight(production, live); got != 100 {
				v.say("the good revision's group has %v %% of the traffic", got)
			}
			for _, s := range w.lb.shifts {
				sum := 0.0
				for _, share := range s.weights {
					sum += share
				}
				if sum < 99.999 || sum > 100.001 || len(s.weights) != 2 {
					v.say("weights %v", s.weights)
				}
			}
			broken = strings.Join(v.broken, "\n")
		})
		if broken != "" {
			rt.Fatal(broken)
		}
	})
}

func (v *invariants) stagedLook(l ecs.Look) {
	if l.Primaries != 1 {
		v.say("I3: %d PRIMARY deployments", l.Primaries)
	}
	if l.Events > 100 || l.EventsDisorder {
		v.say("I6: %d events, out of order: %v", l.Events, l.EventsDisorder)
	}
	old, known := v.before[l.Service]
	v.before[l.Service] = l
	for id, t := range l.Tasks {
		if _, had := old.Tasks[id]; known && !had && t.Failed {
			v.say("I4: a failed deployment started a task")
		}
	}
	for _, id := range l.Deployments {
		v.seen[id] = true
	}
}
