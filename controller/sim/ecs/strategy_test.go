package ecs_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

const (
	otherGroup = "arn:aws:elasticloadbalancing:eu-central-1:000000000000:targetgroup/web-2/2"
	production = "arn:aws:elasticloadbalancing:eu-central-1:000000000000:listener-rule/app/web/1/80/1"
	testRule   = "arn:aws:elasticloadbalancing:eu-central-1:000000000000:listener-rule/app/web/1/81/1"
	stageMax   = 24 * time.Hour
	lambda     = "arn:aws:lambda:eu-central-1:000000000000:function:check"
)

// staged gives a service two target groups, two rules and a strategy.
func staged(strategy types.DeploymentStrategy, change ...func(*types.DeploymentConfiguration)) func(*awsecs.CreateServiceInput) {
	return func(in *awsecs.CreateServiceInput) {
		withLB(in)
		in.LoadBalancers[0].AdvancedConfiguration = &types.AdvancedConfiguration{
			AlternateTargetGroupArn: aws.String(otherGroup), ProductionListenerRule: aws.String(production),
			TestListenerRule: aws.String(testRule), RoleArn: aws.String("arn:aws:iam::000000000000:role/ecs-lb"),
		}
		in.DeploymentConfiguration = &types.DeploymentConfiguration{
			Strategy: strategy, BakeTimeInMinutes: aws.Int32(5),
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		}
		for _, f := range change {
			f(in.DeploymentConfiguration)
		}
	}
}

func lambdaHook(stages ...types.DeploymentLifecycleHookStage) types.DeploymentLifecycleHook {
	return types.DeploymentLifecycleHook{HookTargetArn: aws.String(lambda), RoleArn: aws.String("arn:aws:iam::000000000000:role/hooks"), LifecycleStages: stages}
}

func withHooks(hooks ...types.DeploymentLifecycleHook) func(*types.DeploymentConfiguration) {
	return func(c *types.DeploymentConfiguration) { c.LifecycleHooks = hooks }
}

// stages watches a service deployment to its end and answers the stages it went
// through with how long each took.
func (w *world) stages(id string) (names []string, took map[string]time.Duration) {
	w.Helper()
	took = map[string]time.Duration{}
	w.until(72*time.Hour, "an end of "+id, func() bool {
		r := w.record(id)
		if r == nil {
			return false
		}
		stage := string(r.LifecycleStage)
		if n := len(names); stage != "" && (n == 0 || names[n-1] != stage) {
			names = append(names, stage)
		}
		took[stage] += time.Second
		return r.FinishedAt != nil
	})
	return names, took
}

func (w *world) revision(id string) types.ServiceRevision {
	w.Helper()
	return must(w.DescribeServiceRevisions(ctx(), &awsecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*w.record(id).TargetServiceRevision.Arn}})).ServiceRevisions[0]
}

func TestBlueGreen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 2, staged(types.DeploymentStrategyBlueGreen))
		if got := w.lb.weight(production, group); got != 100 {
			t.Fatalf("after the first deployment the first group has %v %% of the traffic", got)
		}
		b := w.roll(w.register("web:2"))
		w.until(10*time.Minute, "BAKE_TIME", func() bool {
			r := w.record(*b.Id)
			return r != nil && r.LifecycleStage == types.ServiceDeploymentLifecycleStageBakeTime
		})
		r := w.record(*b.Id)
		if s := w.service(); s.RunningCount != 4 || len(s.Deployments) != 2 || s.Deployments[0].RolloutState != inProgress {
			t.Errorf("in the bake both revisions run at 100 %%:\n%s", w.story())
		}
		if p := r.TargetServiceRevision; *p.RequestedProductionTrafficWeight != 100 || *p.RequestedTestTrafficWeight != 100 {
			t.Errorf("the target has %v and %v %%", *p.RequestedProductionTrafficWeight, *p.RequestedTestTrafficWeight)
		}
		if p := r.SourceServiceRevisions[0]; *p.RequestedProductionTrafficWeight != 0 || p.RunningTaskCount != 2 {
			t.Errorf("the source: %+v", p)
		}
		names, took := w.stages(*b.Id)
		if want := []string{"BAKE_TIME", "CLEAN_UP"}; !slices.Equal(names, want) || took["BAKE_TIME"] < 5*time.Minute-2*time.Second || took["BAKE_TIME"] > 5*time.Minute+15*time.Second {
			t.Errorf("stages %v, bake %s", names, took["BAKE_TIME"])
		}
		if s := w.service(); len(s.Deployments) != 1 || *s.Deployments[0].Id != *b.Id || s.RunningCount != 2 || s.Deployments[0].RolloutState != completed {
			t.Errorf("at the end:\n%s", w.story())
		}
		if w.lb.weight(production, group) != 0 || w.lb.weight(production, otherGroup) != 100 {
			t.Errorf("production traffic: %v", w.lb.shifts)
		}
		lbs := w.revision(*b.Id).ResolvedConfiguration.LoadBalancers
		if *lbs[0].TargetGroupArn != otherGroup || *lbs[0].ProductionListenerRule != production {
			t.Errorf("resolved: %+v", lbs[0])
		}
		if first := w.revision(*a.Id).ResolvedConfiguration.LoadBalancers[0]; *first.TargetGroupArn != group {
			t.Errorf("the first revision's group: %s", *first.TargetGroupArn)
		}

		// The next one goes back to the first group, through all stages in order.
		c := w.roll(w.register("web:3"))
		names, _ = w.stages(*c.Id)
		want := []string{"PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT",
			"POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
		if w.lb.weight(production, group) != 100 || *w.revision(*c.Id).ResolvedConfiguration.LoadBalancers[0].TargetGroupArn != group {
			t.Error("the target groups did not change places")
		}
		pass(stageMax) // the watch over SCALE_UP
		w.settled(t)
	})
}

func TestLinearAndCanary(t *testing.T) {
	cases := []struct {
		name   string
		in     func(*awsecs.CreateServiceInput)
		shares []float64
		gaps   time.Duration
	}{
		{"linear, default", staged(types.DeploymentStrategyLinear), []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, 6 * time.Minute},
		{"linear, 40 %", staged(types.DeploymentStrategyLinear, func(c *types.DeploymentConfiguration) {
			c.LinearConfiguration = &types.LinearConfiguration{StepPercent: aws.Float64(40), StepBakeTimeInMinutes: aws.Int32(1)}
		}), []float64{40, 80, 100}, time.Minute},
		{"canary, default", staged(types.DeploymentStrategyCanary), []float64{5, 100}, 10 * time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.settle(w.register("web:1"), 1, c.in)
				w.lb.shifts = nil
				b := w.roll(w.register("web:2"))
				w.stages(*b.Id)
				var shares []float64
				var last time.Time
				for _, s := range w.lb.shifts {
					if s.rule != production {
						continue
					}
					if s.weights[group]+s.weights[otherGroup] != 100 {
						t.Errorf("weights %v", s.weights)
					}
					if gap := s.at.Sub(last); len(shares) > 0 && (gap < c.gaps || gap > c.gaps+15*time.Second) {
						t.Errorf("%s between two shifts, want %s", gap, c.gaps)
					}
					shares, last = append(shares, s.weights[otherGroup]), s.at
				}
				if diff := cmp.Diff(c.shares, shares); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// StopServiceDeployment rolls back from every stage, and the service ends as it
// began.
func TestStopInEveryStage(t *testing.T) {
	for _, stage := range types.ServiceDeploymentLifecycleStage("").Values() {
		if stage == types.ServiceDeploymentLifecycleStageReconcileService {
			continue // only after a superseded deployment: TestSupersededStages
		}
		t.Run(string(stage), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, nil)
				a := w.settle(w.register("web:1"), 2, staged(types.DeploymentStrategyCanary))
				b := w.roll(w.register("web:2"))
				w.until(2*time.Hour, string(stage), func() bool { r := w.record(*b.Id); return r != nil && r.LifecycleStage == stage })
				must(w.StopServiceDeployment(ctx(), &awsecs.StopServiceDeploymentInput{ServiceDeploymentArn: w.record(*b.Id).ServiceDeploymentArn}))
				w.stages(*b.Id)
				if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackSuccessful {
					t.Errorf("%s", r.Status)
				}
				if s := w.service(); *s.Deployments[0].Id != *a.Id || len(s.Deployments) != 1 || s.RunningCount != 2 || s.Deployments[0].RolloutState != completed {
					t.Errorf("at the end:\n%s", w.story())
				}
				if got := w.lb.weight(production, group); got != 100 {
					t.Errorf("the old group has %v %% of the traffic", got)
				}
				// And the next deployment goes through.
				c := w.roll(w.register("web:3"))
				w.stages(*c.Id)
				if r := w.record(*c.Id); r.Status != types.ServiceDeploymentStatusSuccessful || w.lb.weight(production, otherGroup) != 100 {
					t.Errorf("the next one: %s", r.Status)
				}
			})
		})
	}
}

func TestStagedBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		a := w.settle(w.register("web:1"), 2, staged(types.DeploymentStrategyBlueGreen))
		b := w.roll(w.register("web:bad"))
		w.stages(*b.Id)
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackSuccessful || r.DeploymentCircuitBreaker.Status != types.ServiceDeploymentRollbackMonitorsStatusTriggered {
			t.Errorf("record: %s %+v", r.Status, r.DeploymentCircuitBreaker)
		}
		if s := w.service(); *s.Deployments[0].Id != *a.Id || s.RunningCount != 2 || w.lb.weight(production, group) != 100 {
			t.Errorf("at the end:\n%s", w.story())
		}
	})
}

// Without a breaker a target that never gets healthy is given up after a day.
func TestStageTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		a := w.settle(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen, func(c *types.DeploymentConfiguration) { c.DeploymentCircuitBreaker = nil }),
			func(in *awsecs.CreateServiceInput) { in.HealthCheckGracePeriodSeconds = aws.Int32(1 << 20) })
		b := w.roll(w.register("web:bad"))
		_, took := w.stages(*b.Id)
		if took["SCALE_UP"] < stageMax || w.record(*b.Id).Status != types.ServiceDeploymentStatusRollbackSuccessful || *w.primary().Id != *a.Id {
			t.Errorf("SCALE_UP took %s, then %s", took["SCALE_UP"], w.record(*b.Id).Status)
		}
	})
}

// A deployment that supersedes another in its bake begins with one source.
func TestSupersededStages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 2, staged(types.DeploymentStrategyBlueGreen))
		b := w.roll(w.register("web:2"))
		w.until(time.Hour, "BAKE_TIME", func() bool {
			r := w.record(*b.Id)
			return r != nil && r.LifecycleStage == types.ServiceDeploymentLifecycleStageBakeTime
		})
		c := w.roll(w.register("web:3"))
		names, _ := w.stages(*c.Id)
		if names[0] != "RECONCILE_SERVICE" || w.record(*b.Id).Status != types.ServiceDeploymentStatusStopped || w.record(*c.Id).Status != types.ServiceDeploymentStatusSuccessful {
			t.Errorf("stages %v, records %s and %s", names, w.record(*b.Id).Status, w.record(*c.Id).Status)
		}
		if s := w.service(); len(s.Deployments) != 1 || *s.Deployments[0].Id != *c.Id || s.RunningCount != 2 || w.lb.weight(production, otherGroup) != 100 {
			t.Errorf("at the end, after %s:\n%s", *a.Id, w.story())
		}
	})
}

func TestShiftRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen))
		w.lb.broken = errors.New("RuleNotFound: One or more rules not found")
		b := w.roll(w.register("web:2"))
		w.stages(*b.Id)
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackSuccessful || !strings.Contains(*r.StatusReason, "invalid networking configuration") || *w.primary().Id != *a.Id {
			t.Errorf("%s: %s", r.Status, *r.StatusReason)
		}
	})
}

func TestStrategyRefusals(t *testing.T) {
	type config = types.DeploymentConfiguration
	pause := func(stage types.DeploymentLifecycleHookStage) types.DeploymentLifecycleHook {
		return types.DeploymentLifecycleHook{TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{stage}}
	}
	many := make([]types.DeploymentLifecycleHook, 11)
	for i := range many {
		many[i] = pause(types.DeploymentLifecycleHookStagePreScaleUp)
	}
	cases := []struct {
		part     string
		strategy types.DeploymentStrategy
		change   func(*config)
	}{
		{"strategy must be one of", "SIDEWAYS", func(*config) {}},
		{"bakeTimeInMinutes must be specified", types.DeploymentStrategyBlueGreen, func(c *config) { c.BakeTimeInMinutes = nil }},
		{"bakeTimeInMinutes must be between", types.DeploymentStrategyBlueGreen, func(c *config) { c.BakeTimeInMinutes = aws.Int32(1441) }},
		{"stepPercent must be a multiple of 0.1 from 3.0", types.DeploymentStrategyLinear, func(c *config) {
			c.LinearConfiguration = &types.LinearConfiguration{StepPercent: aws.Float64(2.9)}
		}},
		{"stepPercent must be a multiple", types.DeploymentStrategyLinear, func(c *config) {
			c.LinearConfiguration = &types.LinearConfiguration{StepPercent: aws.Float64(3.25)}
		}},
		{"canaryPercent must be a multiple of 0.1 from 0.1", types.DeploymentStrategyCanary, func(c *config) {
			c.CanaryConfiguration = &types.CanaryConfiguration{CanaryPercent: aws.Float64(0)}
		}},
		{"canaryBakeTimeInMinutes must be between 0 and 1440", types.DeploymentStrategyCanary, func(c *config) {
			c.CanaryConfiguration = &types.CanaryConfiguration{CanaryBakeTimeInMinutes: aws.Int32(1441)}
		}},
		{"only valid with deployment strategy LINEAR", types.DeploymentStrategyCanary, func(c *config) { c.LinearConfiguration = &types.LinearConfiguration{} }},
		{"Early success criteria not supported for BLUE_GREEN deployment strategy", types.DeploymentStrategyBlueGreen, func(c *config) {
			c.EarlySuccessCriteria = &types.DeploymentEarlySuccessCriteria{Enable: true}
		}},
		{"PAUSE hooks are not supported at lifecycle stage TEST_TRAFFIC_SHIFT", types.DeploymentStrategyBlueGreen,
			withHooks(pause(types.DeploymentLifecycleHookStageTestTrafficShift))},
		{"at most 10 hooks", types.DeploymentStrategyBlueGreen, withHooks(many...)},
		{"ARN of a Lambda function", types.DeploymentStrategyBlueGreen, withHooks(types.DeploymentLifecycleHook{})},
		{"Lifecycle hooks not supported for ROLLING", types.DeploymentStrategyRolling, withHooks(pause(types.DeploymentLifecycleHookStagePreScaleUp))},
		{"greater than or equal to minimumHealthyPercent", types.DeploymentStrategyRolling, func(c *config) {
			c.EarlySuccessCriteria = &types.DeploymentEarlySuccessCriteria{Enable: true, HealthyPercent: aws.Int32(99)}
		}},
	}
	w := newWorld(t, nil)
	td := w.register("web:1")
	for i, c := range cases {
		_, err := w.CreateService(ctx(), createInput(td, 1, staged(c.strategy, c.change)))
		refused[*types.InvalidParameterException](t, fmt.Sprintf("%d %s", i, c.strategy), c.part, err)
	}
	_, err := w.CreateService(ctx(), createInput(td, 1, staged(types.DeploymentStrategyBlueGreen), func(in *awsecs.CreateServiceInput) { in.LoadBalancers[0].AdvancedConfiguration = nil }))
	refused[*types.InvalidParameterException](t, "no alternate group", "advancedConfiguration must be specified", err)
	_, err = w.CreateService(ctx(), createInput(td, 1, staged(types.DeploymentStrategyBlueGreen), func(in *awsecs.CreateServiceInput) {
		in.LoadBalancers[0].AdvancedConfiguration.AlternateTargetGroupArn = aws.String("loose")
	}))
	refused[*types.InvalidParameterException](t, "loose alternate group", "does not have an associated load balancer", err)
}
