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
