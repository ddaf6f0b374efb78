package ecs_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// startedBy is how many tasks the service's deployments have started so far.
func (w *world) startedBy() int {
	n := 0
	for _, d := range w.service().Deployments {
		n += int(d.RunningCount + d.PendingCount)
	}
	return n
}

func TestServiceLaunchRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *ecs.Config) {
			c.Quotas.LaunchesPerMinute, c.Quotas.LaunchBurst, c.Quotas.LaunchesPerSecond = 60, 1000, 1000
		})
		must(w.CreateService(ctx(), createInput(w.register("web:1"), 100)))
		pass(10 * time.Second)
		if n := w.startedBy(); n != 10 {
			t.Errorf("at the first look: %d, want a sixth of what a minute has", n)
		}
		pass(time.Minute)
		if n := w.startedBy(); n < 60 || n > 70 {
			t.Errorf("a minute later: %d, want 60 more at most", n)
		}
		w.until(3*time.Minute, "all of them", func() bool { return w.startedBy() == 100 })
	})
}

// The account's rate is one for all services, with On-Demand and Spot apart.
func TestAccountLaunchRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *ecs.Config) { c.Quotas.LaunchBurst, c.Quotas.LaunchesPerSecond = 4, 1 })
		must(w.PutClusterCapacityProviders(ctx(), &awsecs.PutClusterCapacityProvidersInput{Cluster: aws.String("c"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"},
			DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{}}))
		td := w.register("web:1")
		run := func(count int32, spot bool) (int, string) {
			in := &awsecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: &td, Count: &count, NetworkConfiguration: subnets(), LaunchType: types.LaunchTypeFargate}
			if spot {
				in.LaunchType, in.CapacityProviderStrategy = "", []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}
			}
			out, err := w.RunTask(ctx(), in)
			if api, ok := errors.AsType[smithy.APIError](err); ok {
				return 0, api.ErrorCode()
			}
			return len(out.Tasks), fmt.Sprint(err)
		}
		for i, c := range []struct {
			wait  time.Duration
			count int32
			spot  bool
			want  int
			code  string
		}{
			{0, 3, false, 3, "<nil>"},
			{0, 2, false, 0, "ThrottlingException"}, // nothing of it starts, and nothing of the bucket is used
			{0, 1, false, 1, "<nil>"},
			{0, 1, false, 0, "ThrottlingException"},
			{0, 4, true, 4, "<nil>"},
			{time.Second, 1, false, 1, "<nil>"},
			{time.Hour, 5, false, 0, "ThrottlingException"}, // more than fits at once
		} {
			pass(c.wait)
			if n, code := run(c.count, c.spot); n != c.want || code != c.code {
				t.Errorf("%d: %d tasks, %s; want %d, %s", i, n, code, c.want, c.code)
			}
		}
		for _, name := range []string{"a", "b", "d"} {
			must(w.CreateService(ctx(), createInput(td, 4, func(in *awsecs.CreateServiceInput) { in.ServiceName = &name })))
		}
		begun := len(w.tasks(types.DesiredStatusRunning))
		pass(20 * time.Second)
		if n := len(w.tasks(types.DesiredStatusRunning)) - begun; n > 4+20 || n < 4 {
			t.Errorf("three services started %d in 20 s", n)
		}
		w.until(time.Minute, "all twelve", func() bool { return len(w.tasks(types.DesiredStatusRunning))-begun == 12 })
	})
}

// An account without the service-linked role gets it with its first cluster, and services some seconds later.
func TestServiceLinkedRole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const text = "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
		w := newWorld(t, nil, func(c *ecs.Config) { c.NoServiceLinkedRole = true })
		td := w.register("web:1")
		create := func(name string) error {
			_, err := w.CreateService(ctx(), createInput(td, 1, func(in *awsecs.CreateServiceInput) { in.ServiceName = &name }))
			return err
		}
		refused[*types.InvalidParameterException](t, "just made", text, create("web"))
		pass(11 * time.Second)
		if err := create("web"); err != nil {
			t.Errorf("once it can be assumed: %v", err)
		}
		w.SetServiceLinkedRole(false)
		pass(time.Hour)
		refused[*types.InvalidParameterException](t, "taken away", text, create("other"))
		_, err := w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), ForceNewDeployment: true})
		refused[*types.InvalidParameterException](t, "a new deployment", text, err)
		if _, err := w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), EnableExecuteCommand: aws.Bool(true)}); err != nil {
			t.Errorf("what needs no role: %v", err)
		}
		w.SetServiceLinkedRole(true)
		if err := create("other"); err != nil {
			t.Errorf("put back: %v", err)
		}
	})
}
