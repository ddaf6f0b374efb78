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

const (
	inProgress = types.DeploymentRolloutStateInProgress
	completed  = types.DeploymentRolloutStateCompleted
	failed     = types.DeploymentRolloutStateFailed
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

func TestGoodRollout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 2, withLB)
		b := w.roll(w.register("web:2"))
		least := int32(9)
		took := w.until(10*time.Minute, "COMPLETED", func() bool {
			least = min(least, w.service().RunningCount)
			return w.primary().RolloutState == completed
		})
		if took < 60*time.Second || took > 4*time.Minute {
			t.Errorf("rollout took %s, real ones take 1 to 3 minutes", took)
		}
		if least < 2 {
			t.Errorf("only %d tasks were running at some moment", least)
		}
		s := w.service()
		if len(s.Deployments) != 1 || *s.Deployments[0].Id != *b.Id || *s.Deployments[0].RolloutStateReason != "ECS deployment "+*b.Id+" completed." {
			t.Fatalf("at the end:\n%s", w.story())
		}
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusSuccessful || r.FinishedAt == nil || len(r.SourceServiceRevisions) != 1 {
			t.Fatalf("record: %+v", r)
		}
		if w.record(*a.Id).Status != types.ServiceDeploymentStatusSuccessful {
			t.Error("the first deployment's record changed")
		}
		if n := len(w.lb.registered()); n != 2 {
			t.Errorf("%d targets are registered, want 2", n)
		}
		rev := must(w.DescribeServiceRevisions(ctx(), &awsecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*w.record(*b.Id).TargetServiceRevision.Arn}})).ServiceRevisions[0]
		if d := aws.ToString(rev.ContainerImages[0].ImageDigest); !strings.HasPrefix(d, "sha256:") {
			t.Errorf("digest of the revision: %q", d)
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

func TestSupersede(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		a := w.settle(w.register("web:1"), 2, withLB)
		b := w.roll(w.register("web:bad"))
		pass(90 * time.Second)
		c := w.roll(w.register("web:3"))
		if s := w.service(); len(s.Deployments) != 3 || w.deployment(*b.Id).RolloutState != inProgress || *w.deployment(*a.Id).Status != "ACTIVE" {
			t.Fatalf("after superseding:\n%s", w.story())
		}
		w.until(10*time.Minute, "the newest COMPLETED", func() bool { return w.primary().RolloutState == completed })
		if p := w.primary(); *p.Id != *c.Id || len(w.service().Deployments) != 1 {
			t.Errorf("at the end:\n%s", w.story())
		}
		if r := w.record(*b.Id); r.Status != types.ServiceDeploymentStatusStopped {
			t.Errorf("superseded record: %s", r.Status)
		}
	})
}

func TestWhatStartsADeployment(t *testing.T) {
	td2 := ""
	cases := []struct {
		name   string
		change func(*awsecs.UpdateServiceInput)
		starts bool
	}{
		{"count", func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(3) }, false},
		{"deployment configuration", func(in *awsecs.UpdateServiceInput) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{MinimumHealthyPercent: aws.Int32(50)}
		}, false},
		{"grace period", func(in *awsecs.UpdateServiceInput) { in.HealthCheckGracePeriodSeconds = aws.Int32(30) }, false},
		{"same network in another order", func(in *awsecs.UpdateServiceInput) {
			in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-b", "subnet-a"}}}
		}, false},
		{"same task definition", func(in *awsecs.UpdateServiceInput) { in.TaskDefinition = aws.String("web:1") }, false},
		{"another task definition", func(in *awsecs.UpdateServiceInput) { in.TaskDefinition = &td2 }, true},
		{"another network", func(in *awsecs.UpdateServiceInput) {
			in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-c"}}}
		}, true},
		{"load balancers cleared", func(in *awsecs.UpdateServiceInput) { in.LoadBalancers = []types.LoadBalancer{} }, true},
		{"platform version", func(in *awsecs.UpdateServiceInput) { in.PlatformVersion = aws.String("1.4.0") }, true},
		{"force", func(in *awsecs.UpdateServiceInput) { in.ForceNewDeployment = true }, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, nil)
				a := w.settle(w.register("web:1"), 2, withLB)
				td2 = w.register("web:2")
				s := w.update(c.change)
				if started := *s.Deployments[0].Id != *a.Id; started != c.starts {
					t.Fatalf("started a deployment: %v, want %v", started, c.starts)
				}
				w.until(10*time.Minute, "settled", func() bool {
					s := w.service()
					return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == completed && s.RunningCount == s.DesiredCount && s.PendingCount == 0
				})
			})
		})
	}
}

func TestStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.settle(w.register("web:1"), 2, func(in *awsecs.CreateServiceInput) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{
				MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(149),
				DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
			}
		})
		b := w.roll(w.register("web:2"))
		pass(2 * time.Hour)
		if p := w.primary(); *p.Id != *b.Id || p.RolloutState != inProgress || p.RunningCount+p.PendingCount != 0 {
			t.Errorf("not stuck:\n%s", w.story())
		}
		if !w.said("was unable to stop or start tasks during a deployment because of the service deployment configuration.") {
			t.Errorf("no event:\n%s", w.story())
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

// A slow start is forgiven within the grace period and punished without.
func TestGracePeriod(t *testing.T) {
	for _, grace := range []int32{0, 120} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, script.Book{{Match: script.Match{Image: ":slow"}, Script: script.Script{StartsIn: 90 * time.Second}}})
			w.settle(w.register("web:1"), 1, withLB, withBreaker(true), func(in *awsecs.CreateServiceInput) { in.HealthCheckGracePeriodSeconds = &grace })
			b := w.roll(w.register("web:slow"))
			w.until(30*time.Minute, "an end", func() bool { r := w.record(*b.Id); return r != nil && r.FinishedAt != nil })
			if good := w.record(*b.Id).Status == types.ServiceDeploymentStatusSuccessful; good != (grace > 0) {
				t.Errorf("grace %d s: %s", grace, w.record(*b.Id).Status)
			}
		})
	}
}

// A task that hangs in a settled service is replaced, the new one first.
func TestHungTaskReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, script.Book{{Times: 1, Script: script.Script{HealthyFor: 10 * time.Minute, HangsAfter: true}}})
		w.settle(w.register("web:1"), 2, withLB)
		w.until(time.Hour, "replacement started", func() bool { return w.said("Amazon ECS replaced 1 tasks due to an unhealthy status.") })
		if s := w.service(); s.RunningCount != 2 {
			t.Errorf("%d tasks run while the replacement starts, want 2", s.RunningCount)
		}
		w.until(10*time.Minute, "hung task stopped", func() bool {
			for _, k := range w.tasks(types.DesiredStatusStopped) {
				if *k.StoppedReason == "Task failed ELB health checks in (target-group "+group+")" {
					return true
				}
			}
			return false
		})
		pass(5 * time.Minute)
		if s := w.service(); s.RunningCount != 2 || s.PendingCount != 0 {
			t.Errorf("afterwards:\n%s", w.story())
		}
	})
}

// The demo's rollout of two tasks behind a load balancer.
func TestFastTiming(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *ecs.Config) { c.Timing = ecs.FastTiming() })
		w.lb.every, w.lb.delay = time.Second, time.Second
		w.settle(w.register("web:1"), 2, withLB)
		w.roll(w.register("web:2"))
		if took := w.until(time.Minute, "COMPLETED", func() bool { return w.primary().RolloutState == completed }); took < 3*time.Second || took > 8*time.Second {
			t.Errorf("a demo's rollout took %s", took)
		}
	})
}
