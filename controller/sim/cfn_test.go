package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/cfn"
)

// A stack's update puts its template's task definition and count back, whatever was rolled out since.
func TestStackUpdateResendsTheWholeService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, exampleSeed(t))
		until(t, "first deployment", 10*time.Minute, func() bool { return completed(service(t, a)) })
		first := *service(t, a).TaskDefinition
		client := ecs.NewFromConfig(a.AWSConfig())
		later := register(t, client, service(t, a), "good002")
		ok(t, client.UpdateService, &ecs.UpdateServiceInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &later, DesiredCount: aws.Int32(4)})
		until(t, "second deployment", 10*time.Minute, func() bool { return completed(service(t, a)) })

		status := func() string {
			out := ok(t, cloudformation.NewFromConfig(a.AWSConfig()).DescribeStacks, &cloudformation.DescribeStacksInput{StackName: aws.String("orders-dev")})
			return string(out.Stacks[0].StackStatus)
		}
		update := func(taskDefinition string) chan error {
			done := make(chan error, 1)
			go func() {
				done <- a.CFN.Update(t.Context(), a.ECS, "orders-dev", &ecs.UpdateServiceInput{
					Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &taskDefinition, DesiredCount: aws.Int32(2),
				})
			}()
			return done
		}
		done := update(first)
		time.Sleep(time.Second)
		if got := status(); got != "UPDATE_IN_PROGRESS" {
			t.Errorf("meanwhile: %s", got)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if s := service(t, a); status() != "UPDATE_COMPLETE" || *s.TaskDefinition != first || s.DesiredCount != 2 {
			t.Errorf("afterwards: %s, %s, %d", status(), *s.TaskDefinition, s.DesiredCount)
		}
		if err := <-update("absent:1"); err != nil {
			t.Fatal(err)
		}
		if s := service(t, a); status() != "UPDATE_ROLLBACK_COMPLETE" || *s.TaskDefinition != first {
			t.Errorf("after a template that is wrong: %s, %s", status(), *s.TaskDefinition)
		}
	})
}

// An update whose deployment ECS rolls back, here because of an alarm, has failed.
func TestStackUpdateFailsWhereECSRollsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShifting(t, sim.Config{})
		s.CFN.Put(cfn.Stack{Name: "orders-dev"})
		before := *service(t, s.Account).TaskDefinition
		later := register(t, s.client, service(t, s.Account), "good002")
		done := make(chan error, 1)
		go func() {
			done <- s.CFN.Update(t.Context(), s.ECS, "orders-dev", &ecs.UpdateServiceInput{
				Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &later, DesiredCount: aws.Int32(2),
				DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
					Alarms: &ecstypes.DeploymentAlarms{Enable: true, Rollback: true, AlarmNames: []string{"orders-dev-5xx"}},
				},
			})
		}()
		s.untilWeights(t, allGreen)
		ok(t, cloudwatch.NewFromConfig(s.AWSConfig()).SetAlarmState, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("orders-dev-5xx"), StateValue: "ALARM", StateReason: aws.String("test")})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		stack := ok(t, cloudformation.NewFromConfig(s.AWSConfig()).DescribeStacks, &cloudformation.DescribeStacksInput{StackName: aws.String("orders-dev")}).Stacks[0]
		if now := *service(t, s.Account).TaskDefinition; stack.StackStatus != "UPDATE_ROLLBACK_COMPLETE" || now != before {
			t.Errorf("%s, runs %s, want %s", stack.StackStatus, now, before)
		}
		s.untilWeights(t, allBlue)
	})
}
