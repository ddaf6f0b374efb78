package ecs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

// alarms are states by name.
type alarms struct {
	mu     sync.Mutex
	states map[string]string
}

func (a *alarms) State(name string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.states[name]
	return s, ok
}

func (a *alarms) set(name, state string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.states[name] = state
}

func withAlarms(rollback bool) func(*awsecs.CreateServiceInput) {
	return func(in *awsecs.CreateServiceInput) {
		if in.DeploymentConfiguration == nil {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{}
		}
		in.DeploymentConfiguration.Alarms = &types.DeploymentAlarms{Enable: true, Rollback: rollback, AlarmNames: []string{"5xx", "slow"}}
	}
}

func TestAlarms(t *testing.T) {
	cases := []struct {
		name     string
		before   string        // 5xx when the rollout begins
		redAfter time.Duration // it turns red; 0: never
		gone     bool          // it is deleted meanwhile
		rollback bool
		status   types.ServiceDeploymentStatus
		monitors types.ServiceDeploymentRollbackMonitorsStatus
	}{
		{"quiet", "OK", 0, false, true, types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete},
		{"red while starting", "OK", 30 * time.Second, false, true, types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentRollbackMonitorsStatusTriggered},
		{"red in the bake", "INSUFFICIENT_DATA", 5 * time.Minute, false, true, types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentRollbackMonitorsStatusTriggered},
		{"red without rollback", "OK", 5 * time.Minute, false, false, types.ServiceDeploymentStatusStopped, types.ServiceDeploymentRollbackMonitorsStatusTriggered},
		{"red from the beginning", "ALARM", 0, false, true, types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentRollbackMonitorsStatusDisabled},
		{"deleted", "OK", 0, true, true, types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				watch := &alarms{states: map[string]string{"5xx": "OK", "slow": "OK"}}
				w := newWorld(t, nil, func(cfg *ecs.Config) { cfg.Alarms = watch })
				a := w.settle(w.register("web:1"), 2, withLB, withAlarms(c.rollback), func(in *awsecs.CreateServiceInput) {
					in.DeploymentConfiguration.BakeTimeInMinutes = aws.Int32(6)
				})
				watch.set("5xx", c.before)
				b := w.roll(w.register("web:2"))
				begun := time.Now()
				if c.redAfter > 0 {
					pass(c.redAfter)
					watch.set("5xx", "ALARM")
				}
				if c.gone {
					pass(time.Minute)
					watch.mu.Lock()
					delete(watch.states, "5xx")
					watch.mu.Unlock()
				}
				w.until(time.Hour, "an end", func() bool { r := w.record(*b.Id); return r != nil && r.FinishedAt != nil })
				r := w.record(*b.Id)
				if r.Status != c.status || r.Alarms.Status != c.monitors {
					t.Errorf("%s, alarms %+v", r.Status, r.Alarms)
				}
				if c.redAfter == 0 {
					if took := time.Since(begun); took < 6*time.Minute || w.primary().RolloutState != completed {
						t.Errorf("successful after %s, the bake alone is 6 min", took)
					}
					return
				}
				if r.Alarms.TriggeredAlarmNames[0] != "5xx" || !w.said("(deployment "+*b.Id+") deployment failed: alarm detected.") {
					t.Errorf("alarms %v\n%s", r.Alarms.TriggeredAlarmNames, w.story())
				}
				if back := *w.primary().Id == *a.Id; back != c.rollback {
					t.Errorf("rolled back: %v\n%s", back, w.story())
				}
			})
		})
	}
}

func TestAlarmRefusals(t *testing.T) {
	w := newWorld(t, nil, func(c *ecs.Config) { c.Alarms = &alarms{states: map[string]string{"5xx": "OK"}} })
	td := w.register("web:1")
	_, err := w.CreateService(ctx(), createInput(td, 1, withAlarms(true)))
	refused[*types.InvalidParameterException](t, "missing alarm", "slow", err)
	_, err = w.CreateService(ctx(), createInput(td, 1, withAlarms(true), func(in *awsecs.CreateServiceInput) { in.DeploymentConfiguration.Alarms.AlarmNames = nil }))
	refused[*types.InvalidParameterException](t, "no names", "alarmNames", err)
	must(w.CreateService(ctx(), createInput(td, 0)))
	_, err = w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), DeploymentConfiguration: &types.DeploymentConfiguration{
		Alarms: &types.DeploymentAlarms{Enable: true, AlarmNames: []string{"none"}},
	}})
	refused[*types.InvalidParameterException](t, "missing alarm on update", "none", err)
}

// Alarms without a bake time are watched for some minutes after the tasks are
// in place, and a staged deployment until its bake ends.
func TestAlarmBakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		watch := &alarms{states: map[string]string{"5xx": "OK", "slow": "OK"}}
		w := newWorld(t, nil, func(cfg *ecs.Config) { cfg.Alarms = watch })
		w.settle(w.register("web:1"), 1, staged(types.DeploymentStrategyBlueGreen), withAlarms(true))
		b := w.roll(w.register("web:2"))
		w.until(time.Hour, "BAKE_TIME", func() bool {
			r := w.record(*b.Id)
			return r != nil && r.LifecycleStage == types.ServiceDeploymentLifecycleStageBakeTime
		})
		pass(time.Minute)
		watch.set("slow", "ALARM")
		w.stages(*b.Id)
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackSuccessful || w.lb.weight(production, group) != 100 {
			t.Errorf("%s: %s", r.Status, *r.StatusReason)
		}
	})
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(cfg *ecs.Config) { cfg.Alarms = &alarms{states: map[string]string{"5xx": "OK", "slow": "OK"}} })
		must(w.CreateService(ctx(), createInput(w.register("web:1"), 1, withAlarms(true))))
		took := w.until(time.Hour, "COMPLETED", func() bool { return w.primary().RolloutState == completed })
		if took < 4*time.Minute || took > 6*time.Minute {
			t.Errorf("completed after %s", took)
		}
	})
}

// Early success: the deployment ends when a share of its tasks is healthy; with
// DEFERRED the source's tasks go later.
func TestEarlySuccess(t *testing.T) {
	for _, cleanUp := range types.ServiceRevisionCleanup("").Values() {
		t.Run(string(cleanUp), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				// One of the four new tasks takes half an hour to answer.
				w := newWorld(t, script.Book{{Match: script.Match{Image: ":2"}, Times: 1, Script: script.Script{StartsIn: 30 * time.Minute}}})
				a := w.settle(w.register("web:1"), 4, withLB, func(in *awsecs.CreateServiceInput) {
					in.HealthCheckGracePeriodSeconds = aws.Int32(3600)
					in.DeploymentConfiguration = &types.DeploymentConfiguration{
						MinimumHealthyPercent: aws.Int32(50), EarlySuccessCriteria: &types.DeploymentEarlySuccessCriteria{
							Enable: true, HealthyPercent: aws.Int32(75), SourceServiceRevisionCleanup: cleanUp,
						},
					}
				})
				b := w.roll(w.register("web:2"))
				took := w.until(20*time.Minute, "SUCCESSFUL", func() bool {
					r := w.record(*b.Id)
					return r != nil && r.Status == types.ServiceDeploymentStatusSuccessful
				})
				source := w.deployment(*a.Id)
				if late := source != nil && source.RunningCount == 4; late != (cleanUp == types.ServiceRevisionCleanupDeferred) {
					t.Errorf("after %s the source is %+v", took, source)
				}
				if w.primary().RolloutState != completed {
					t.Errorf("the deployment is %s", w.primary().RolloutState)
				}
				w.until(time.Hour, "all new tasks and no old ones", func() bool {
					s := w.service()
					return len(s.Deployments) == 1 && s.RunningCount == 4 && len(w.lb.registered()) == 4
				})
			})
		})
	}
}
