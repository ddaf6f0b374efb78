package ecs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

func unhealthy() script.Book {
	return script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{HealthStatus: 503}}}
}

// What a client sees, moment by moment, of a rollback by the circuit breaker.
func TestBreakerRollsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy(), func(c *ecs.Config) {
			c.Doubts.SDRecordLagMax = 10 * time.Second
			c.Doubts.FailedShownAfter = 20 * time.Second
		})
		good := w.register("web:good")
		a := w.settle(good, 2, withLB, withBreaker(true))
		bad := w.register("web:bad")
		b := w.roll(bad)

		// The answer of UpdateService.
		s := w.service()
		if *b.Id == *a.Id || b.RolloutState != inProgress || b.RunningCount != 0 || b.PendingCount != 0 || *s.TaskDefinition != bad {
			t.Fatalf("after UpdateService: %+v", b)
		}
		if old := w.deployment(*a.Id); *old.Status != "ACTIVE" || old.RolloutState != completed || old.RunningCount != 2 || s.RunningCount != 2 {
			t.Fatalf("the source after UpdateService: %+v", old)
		}
		if w.record(*b.Id) != nil {
			t.Fatal("the service deployment is listed at once although records lag")
		}
		w.until(20*time.Second, "service deployment IN_PROGRESS", func() bool {
			r := w.record(*b.Id)
			return r != nil && r.Status == types.ServiceDeploymentStatusInProgress
		})

		// During.
		w.until(10*time.Minute, "a first failed task", func() bool { return w.deployment(*b.Id).FailedTasks > 0 })
		if r := w.record(*b.Id).DeploymentCircuitBreaker; r.Status != types.ServiceDeploymentRollbackMonitorsStatusMonitoring || r.Threshold != 3 || r.FailureCount == 0 {
			t.Fatalf("breaker while monitoring: %+v", r)
		}

		// The breaker.
		w.until(20*time.Minute, "the old deployment is PRIMARY again", func() bool { return *w.primary().Id == *a.Id })
		p, old := w.primary(), w.deployment(*b.Id)
		if p.RolloutState != inProgress || *p.RolloutStateReason != "ECS deployment circuit breaker: rolling back to deploymentId "+*a.Id+"." || !p.CreatedAt.Equal(*a.CreatedAt) {
			t.Fatalf("re-promoted: %+v", p)
		}
		if *old.Status != "ACTIVE" || old.RolloutState != inProgress || old.DesiredCount != 0 {
			t.Fatalf("the failed one at first: %+v", old)
		}
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackInProgress || r.DeploymentCircuitBreaker.Status != types.ServiceDeploymentRollbackMonitorsStatusTriggered ||
			r.Rollback == nil || !strings.HasSuffix(*r.Rollback.ServiceRevisionArn, tail(*a.Id)) {
			t.Fatalf("record at the breaker: %+v", r)
		}
		if *w.service().TaskDefinition != good {
			t.Fatal("the service's task definition did not go back")
		}
		pass(20 * time.Second)
		if old := w.deployment(*b.Id); old.RolloutState != failed || *old.RolloutStateReason != "ECS deployment circuit breaker: tasks failed to start." {
			t.Fatalf("the failed one later: %+v", old)
		}

		// The end looks as if nothing had happened.
		w.until(10*time.Minute, "rollback COMPLETED", func() bool { return w.primary().RolloutState == completed })
		if s := w.service(); len(s.Deployments) != 1 || *s.Deployments[0].Id != *a.Id || s.RunningCount != 2 || s.PendingCount != 0 {
			t.Fatalf("at the end:\n%s", w.story())
		}
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackSuccessful ||
			*r.StatusReason != "Service deployment rolled back because the circuit breaker threshold was exceeded." {
			t.Fatalf("record at the end: %s %s", r.Status, *r.StatusReason)
		}
		for _, parts := range [][]string{
			{"(deployment " + *b.Id + ") deployment failed: tasks failed to start."}, {"rolling back to deployment " + *a.Id + "."},
			{"is unhealthy in (target-group " + group + ") due to (reason Health checks failed with these codes: [503])."},
			{"(deployment " + *a.Id + ") deployment completed."}, {"has reached a steady state."}, {"Amazon ECS replaced"},
			{"registered 2 targets in (target-group " + group + ")"}, {"has begun draining connections on"},
		} {
			if !w.said(parts...) {
				t.Errorf("no event with %q\n%s", parts, w.story())
			}
		}
		for _, k := range w.tasks(types.DesiredStatusStopped) {
			if *k.StartedBy == *b.Id && k.StopCode != types.TaskStopCodeServiceSchedulerInitiated {
				t.Errorf("stopCode of a bad task: %s (%s)", k.StopCode, *k.StoppedReason)
			}
		}
	})
}

func TestFailedStarts(t *testing.T) {
	cases := []struct {
		name     string
		book     script.Book
		stopCode types.TaskStopCode
		reason   string
		exit     *int32
	}{
		{"exits at once", script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{Exit: &script.Exit{Code: 1}}}},
			types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", aws.Int32(1)},
		{"exits soon after RUNNING", script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{Exit: &script.Exit{After: 12 * time.Second, Code: 3}}}},
			types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", aws.Int32(3)},
		{"image absent", script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{PullError: "failed to resolve ref web:bad: web:bad: not found"}}},
			types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: failed to resolve ref web:bad: web:bad: not found", nil},
		{"entry point absent", script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{StartError: "CannotStartContainerError: exec: \"x\": executable file not found in $PATH"}}},
			types.TaskStopCodeTaskFailedToStart, "CannotStartContainerError: exec: \"x\": executable file not found in $PATH", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, c.book)
				a := w.settle(w.register("web:good"), 1, withBreaker(true))
				b := w.roll(w.register("web:bad"))
				w.until(40*time.Minute, "rolled back", func() bool {
					r := w.record(*b.Id)
					return r != nil && r.Status == types.ServiceDeploymentStatusRollbackSuccessful
				})
				if p := w.primary(); *p.Id != *a.Id || w.record(*b.Id).DeploymentCircuitBreaker.FailureCount != 3 {
					t.Errorf("at the end:\n%s", w.story())
				}
				bad := 0
				for _, k := range w.tasks(types.DesiredStatusStopped) {
					if *k.StartedBy != *b.Id {
						continue
					}
					bad++
					if got := k.Containers[0].ExitCode; k.StopCode != c.stopCode || *k.StoppedReason != c.reason || (got == nil) != (c.exit == nil) || got != nil && *got != *c.exit {
						t.Errorf("stopped task: %s %q exit %v", k.StopCode, *k.StoppedReason, got)
					}
				}
				if bad != 3 {
					t.Errorf("%d bad tasks were started, want 3", bad)
				}
			})
		})
	}
}

// A container that runs for a while and then ends is restarted and never counted.
func TestLateExitsAreNotCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{Exit: &script.Exit{After: 35 * time.Second, Code: 1}}}})
		w.settle(w.register("web:good"), 1, withBreaker(true))
		b := w.roll(w.register("web:bad"))
		pass(30 * time.Minute)
		if p := w.primary(); *p.Id != *b.Id || p.RolloutState != inProgress || p.FailedTasks != 0 {
			t.Errorf("after 30 minutes of restarts:\n%s", w.story())
		}
	})
}

func TestBreakerWithoutRollback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		a := w.settle(w.register("web:good"), 2, withLB, withBreaker(false))
		b := w.roll(w.register("web:bad"))
		w.until(20*time.Minute, "FAILED", func() bool { return w.primary().RolloutState == failed })
		started := w.lb.ever
		pass(time.Hour)
		if p, old := w.primary(), w.deployment(*a.Id); *p.Id != *b.Id || p.RolloutState != failed || old == nil || old.RunningCount != 2 {
			t.Errorf("an hour after the failure:\n%s", w.story())
		}
		if w.lb.ever != started {
			t.Error("tasks were started after the failure")
		}
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusStopped || r.DeploymentCircuitBreaker.Status != types.ServiceDeploymentRollbackMonitorsStatusTriggered {
			t.Errorf("record: %s", r.Status)
		}
	})
}

func TestNoRollbackCandidate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		must(w.CreateService(ctx(), createInput(w.register("web:bad"), 2, withLB, withBreaker(true))))
		w.until(20*time.Minute, "FAILED", func() bool { return w.primary().RolloutState == failed })
		if r := w.record(*w.primary().Id); r.Status != types.ServiceDeploymentStatusRollbackFailed || *r.StatusReason != "No rollback candidate was found to run the rollback." {
			t.Errorf("record: %s %s", r.Status, *r.StatusReason)
		}
	})
}

// Default: 50 % of the desired count, at least 3 and at most 200.
func TestBreakerThreshold(t *testing.T) {
	cases := []struct {
		desired int32
		config  *types.ThresholdConfiguration
		want    int32
	}{
		{1, nil, 3}, {6, nil, 3}, {7, nil, 4}, {10, nil, 5}, {25, nil, 13}, {100, nil, 50}, {400, nil, 200}, {1000, nil, 200},
		{2, &types.ThresholdConfiguration{Type: types.ThresholdTypeCount, Value: 7}, 7},
		{1, &types.ThresholdConfiguration{Type: types.ThresholdTypeUnboundedPercent, Value: 10}, 1},
		{1000, &types.ThresholdConfiguration{Type: types.ThresholdTypeUnboundedPercent, Value: 50}, 500},
		{100, &types.ThresholdConfiguration{Type: types.ThresholdTypeBoundedPercent, Value: 10}, 10},
	}
	for _, c := range cases {
		w := newWorld(t, nil)
		in := createInput(w.register("web:1"), c.desired, withBreaker(true))
		in.DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration = c.config
		s := must(w.CreateService(ctx(), in)).Service
		if got := w.record(*s.Deployments[0].Id).DeploymentCircuitBreaker.Threshold; got != c.want {
			t.Errorf("desired %d, %+v: threshold %d, want %d", c.desired, c.config, got, c.want)
		}
		w.Close()
	}
}

// resetOnHealthyTask: one healthy task sets the count back, unless told not to.
func TestResetOnHealthyTask(t *testing.T) {
	for _, reset := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			// Bad, bad, good for long enough, then bad again.
			w := newWorld(t, script.Book{
				{Match: script.Match{Image: ":2"}, Times: 2, Script: script.Script{HealthStatus: 503}},
				{Match: script.Match{Image: ":2"}, Times: 1, Script: script.Script{HealthyFor: 40 * time.Second}},
				{Match: script.Match{Image: ":2"}, Times: 1, Script: script.Script{HealthStatus: 503}},
			})
			w.settle(w.register("web:1"), 3, withLB, withBreaker(true), func(in *awsecs.CreateServiceInput) {
				in.DeploymentConfiguration.DeploymentCircuitBreaker.ResetOnHealthyTask = aws.Bool(reset)
			})
			b := w.roll(w.register("web:2"))
			w.until(30*time.Minute, "an end", func() bool { r := w.record(*b.Id); return r != nil && r.FinishedAt != nil })
			want := types.ServiceDeploymentStatusSuccessful
			if !reset {
				want = types.ServiceDeploymentStatusRollbackSuccessful
			}
			if r := w.record(*b.Id); r.Status != want {
				t.Errorf("resetOnHealthyTask %v: %s, want %s\n%s", reset, r.Status, want, w.story())
			}
		})
	}
}

// While a rollback goes on there is nothing COMPLETED: a failure of a newer
// deployment meanwhile finds no candidate, and the service stalls.
func TestFailureDuringRollback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		w.lb.delay = 10 * time.Minute // the rollback waits for the bad tasks to drain
		a := w.settle(w.register("web:1"), 2, withLB, withBreaker(true))
		b := w.roll(w.register("web:bad"))
		w.until(time.Hour, "rolling back", func() bool { return *w.primary().Id == *a.Id })
		c := w.roll(w.register("web:bad"))
		w.until(2*time.Hour, "FAILED", func() bool { return w.primary().RolloutState == failed })
		if p := w.primary(); *p.Id != *c.Id || *w.record(*c.Id).StatusReason != "No rollback candidate was found to run the rollback." {
			t.Errorf("at the end:\n%s", w.story())
		}
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusRollbackFailed {
			t.Errorf("the superseded rollback is %s", r.Status)
		}
	})
}
