package ecs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
)

func TestCapacityProviders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		td := w.register("web:1")
		onSpot := func(in *awsecs.CreateServiceInput) {
			in.LaunchType, in.CapacityProviderStrategy = "", []types.CapacityProviderStrategyItem{
				{CapacityProvider: aws.String("FARGATE"), Base: 1, Weight: 1}, {CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 3},
			}
		}
		_, err := w.CreateService(ctx(), createInput(td, 5, onSpot))
		refused[*types.InvalidParameterException](t, "not associated", "capacity provider was not found", err)
		put := func(names ...string) error {
			_, err := w.PutClusterCapacityProviders(ctx(), &awsecs.PutClusterCapacityProvidersInput{
				Cluster: aws.String("c"), CapacityProviders: names, DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{},
			})
			return err
		}
		refused[*types.InvalidParameterException](t, "unknown", "capacity provider was not found", put("mine"))
		if err := put("FARGATE", "FARGATE_SPOT"); err != nil {
			t.Fatal(err)
		}
		_, err = w.CreateService(ctx(), createInput(td, 5, func(in *awsecs.CreateServiceInput) { onSpot(in); in.CapacityProviderStrategy[1].Base = 1 }))
		refused[*types.InvalidParameterException](t, "two bases", "Only one capacity provider", err)
		w.settle(td, 5, onSpot)
		refused[*types.ResourceInUseException](t, "in use", "FARGATE_SPOT", put("FARGATE"))
		count := map[string]int{}
		spot := ""
		for _, k := range w.tasks(types.DesiredStatusRunning) {
			if count[*k.CapacityProviderName]++; *k.CapacityProviderName == "FARGATE_SPOT" {
				spot = *k.TaskArn
			}
		}
		if count["FARGATE"] != 2 || count["FARGATE_SPOT"] != 3 {
			t.Errorf("base 1, weights 1:3 of 5 tasks: %v", count)
		}
		got := must(w.DescribeCapacityProviders(ctx(), &awsecs.DescribeCapacityProvidersInput{CapacityProviders: []string{"FARGATE", "mine"}}))
		if len(got.CapacityProviders) != 1 || *got.Failures[0].Reason != "MISSING" {
			t.Errorf("%+v", got)
		}

		// An interruption: warned by an event at once, gone within two minutes, and replaced.
		if err := w.InterruptSpot(spot); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		pass(time.Second)
		warned := slices.ContainsFunc(w.events, func(ev ecs.Event) bool {
			return ev.Task != nil && *ev.Task.TaskArn == spot && ev.Task.StopCode == types.TaskStopCodeSpotInterruption && *ev.Task.LastStatus != "STOPPED"
		})
		w.until(3*time.Minute, "STOPPED", func() bool {
			return slices.ContainsFunc(w.tasks(types.DesiredStatusStopped), func(k types.Task) bool {
				return *k.TaskArn == spot && *k.LastStatus == "STOPPED" && k.ExecutionStoppedAt.Sub(begun) <= 2*time.Minute && *k.StoppedReason == "Your Spot Task was interrupted."
			})
		})
		w.until(3*time.Minute, "replaced", func() bool { return w.service().RunningCount == 5 })
		if !warned {
			t.Error("no event before the end")
		}
	})
}

// Tasks are spread over availability zones, and go back there when a zone that
// took none opens again.
func TestZones(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *ecs.Config) { c.VPC = vpc{"subnet-a": "z1", "subnet-b": "z2"} })
		zones := func() map[string]int {
			out := map[string]int{}
			for _, k := range w.tasks(types.DesiredStatusRunning) {
				out[*k.AvailabilityZone]++
			}
			return out
		}
		w.settle(w.register("web:1"), 4)
		if z := zones(); z["z1"] != 2 || z["z2"] != 2 {
			t.Errorf("spread: %v", z)
		}
		w.RefuseZone("z2", true)
		b := w.roll(w.register("web:2"))
		w.until(10*time.Minute, "COMPLETED", func() bool { return w.primary().RolloutState == completed && *w.primary().Id == *b.Id })
		if z := zones(); z["z1"] != 4 {
			t.Errorf("with z2 shut: %v", z)
		}
		w.RefuseZone("z2", false)
		least := int32(9)
		w.until(20*time.Minute, "balanced again", func() bool {
			least = min(least, w.service().RunningCount)
			z := zones()
			return z["z1"] == 2 && z["z2"] == 2
		})
		pass(5 * time.Minute)
		if least < 4 || !w.said("is not AZ balanced with 4 tasks in z1, 0 tasks in z2. AZ Rebalancing in progress.") || !w.said("has started 1 tasks in z2 to AZ Rebalance") || !w.said("is AZ balanced with") {
			t.Errorf("least %d\n%s", least, w.story())
		}
		w.settled(t)
	})
}

// No capacity anywhere: an event and a placement failure, and the rollout goes on
// when there is some.
func TestPlacement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.settle(w.register("web:1"), 1)
		w.RefusePlacement("You've reached the limit on the number of vCPUs you can run concurrently")
		b := w.roll(w.register("web:2"))
		pass(3 * time.Minute)
		failure := slices.IndexFunc(w.events, func(ev ecs.Event) bool { return ev.Name == "SERVICE_TASK_PLACEMENT_FAILURE" })
		if !w.said("was unable to place a task. Reason: You've reached the limit on the number of vCPUs") || failure < 0 || w.primary().RunningCount != 0 {
			t.Fatalf("refused:\n%s", w.story())
		}
		if _, raw, _ := w.events[failure].Detail(); !strings.Contains(string(raw), `"reason":"RESOURCE:FARGATE"`) || !strings.Contains(string(raw), `"eventType":"ERROR"`) {
			t.Errorf("%s", raw)
		}
		w.RefusePlacement("")
		w.until(10*time.Minute, "COMPLETED", func() bool { return w.primary().RolloutState == completed && *w.primary().Id == *b.Id })
	})
}
