package sim_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/canteen/deploy/controller/sim"
)

// crowd makes n services beside the seed's own, without tasks.
func crowd(t testing.TB, a *sim.Account, n int) {
	t.Helper()
	out, err := a.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("orders-dev"), Services: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	like := out.Services[0]
	for i := range n {
		if _, err := a.ECS.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: aws.String("orders-dev"), ServiceName: aws.String(fmt.Sprint("s", i)), DesiredCount: aws.Int32(0),
			TaskDefinition: like.TaskDefinition, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: like.NetworkConfiguration}); err != nil {
			t.Fatal(err)
		}
	}
}

// polls are the calls that a controller makes most: one of each is one turn.
func polls(t testing.TB, a *sim.Account) (turn func() error, calls int) {
	cfg := a.AWSConfig()
	services, queues, balancers := ecs.NewFromConfig(cfg), sqs.NewFromConfig(cfg), elbv2.NewFromConfig(cfg)
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("hints")})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := balancers.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{Names: []string{"orders-dev"}})
	if err != nil {
		t.Fatal(err)
	}
	cluster := aws.String("orders-dev")
	all := []func() error{
		func() error {
			_, err := services.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: cluster, Services: []string{"orders"}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}})
			return err
		},
		func() error {
			_, err := services.ListServiceDeployments(t.Context(), &ecs.ListServiceDeploymentsInput{Cluster: cluster, Service: aws.String("orders")})
			return err
		},
		func() error {
			_, err := services.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: cluster, ServiceName: aws.String("orders")})
			return err
		},
		func() error {
			_, err := balancers.DescribeTargetHealth(t.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: groups.TargetGroups[0].TargetGroupArn})
			return err
		},
		func() error {
			_, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl})
			return err
		},
	}
	return func() error {
		for _, call := range all {
			if err := call(); err != nil {
				return err
			}
		}
		return nil
	}, len(all)
}

// BenchmarkCalls is what a minute of polling costs on every core: 200,000 calls a minute are 300,000 ns/call.
func BenchmarkCalls(b *testing.B) {
	a, err := sim.New(sim.Config{Seed: 1, Unthrottled: true})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	s, err := sim.ReadSeed([]byte(seedText(b)), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	if err := a.Plant(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	turn, calls := polls(b, a)
	var made atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := turn(); err != nil {
				b.Error(err)
				return
			}
			made.Add(int64(calls))
		}
	})
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(made.Load()), "ns/call")
}

// A call through the SDK allocates a bounded number of times, and no more often in an account of many services.
func TestACallCostsWhatItAsks(t *testing.T) {
	perCall := func(others int) (allocations float64) {
		synctest.Test(t, func(t *testing.T) {
			a := open(t, sim.Config{Seed: 1, Unthrottled: true}, seedText(t))
			crowd(t, a, others)
			turn, calls := polls(t, a)
			allocations = testing.AllocsPerRun(20, func() {
				if err := turn(); err != nil {
					t.Error(err)
				}
			}) / float64(calls)
		})
		return allocations
	}
	few, many := perCall(0), perCall(500)
	t.Logf("a call allocates %.0f times alone, %.0f times beside 500 services", few, many)
	const most = 800
	if few > most || many > 1.2*few {
		t.Errorf("a call allocates %.0f times alone and %.0f times beside 500 services; at most %d and the same are meant", few, many, most)
	}
}
