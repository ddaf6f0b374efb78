package ecs_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

// fleet is an account with n settled services of two tasks, 5,000 a cluster.
func fleet(n int) *ecs.Engine {
	runner := script.New(nil)
	e := must(ecs.New(ecs.Config{Account: "000000000000", Region: "eu-central-1", Seed: 1, Runner: runner, Images: runner,
		Quotas: ecs.Quotas{LaunchesPerSecond: 1 << 20, LaunchBurst: 1 << 20}}))
	must(e.RegisterTaskDefinition(ctx(), &awsecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions:    []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("web:1")}},
	}))
	for i := range n {
		cluster := fmt.Sprint("c", i/5000)
		if i%5000 == 0 {
			must(e.CreateCluster(ctx(), &awsecs.CreateClusterInput{ClusterName: &cluster}))
		}
		must(e.CreateService(ctx(), createInput("web:1", 2, func(in *awsecs.CreateServiceInput) {
			in.Cluster, in.ServiceName = &cluster, aws.String(fmt.Sprintf("s%05d", i))
		})))
	}
	pass(10 * time.Minute)
	return e
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkTenThousandServices rolls out 10,000 services of two tasks and
// reports what a settled one holds and what its rollout cost.
func BenchmarkTenThousandServices(b *testing.B) {
	const n = 10_000
	for range b.N {
		inBubble(b, func() {
			before, begun := heap(), cpu()
			e := fleet(n)
			b.ReportMetric(float64(cpu()-begun)/n, "cpu-ns/service")
			b.ReportMetric(float64(heap()-before)/n, "bytes/service")
			e.Close()
		})
	}
}

// BenchmarkTickRollout is one rollout of a service while others are at rest:
// what it costs must not depend on how many those are.
func BenchmarkTickRollout(b *testing.B) {
	for _, n := range []int{10, 1_000, 5_000} {
		b.Run(fmt.Sprint(n, " services"), func(b *testing.B) {
			inBubble(b, func() {
				e := fleet(n)
				defer e.Close()
				begun := cpu()
				for range b.N {
					must(e.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c0"), Service: aws.String("s00003"), ForceNewDeployment: true}))
					pass(5 * time.Minute)
				}
				b.ReportMetric(float64(cpu()-begun)/float64(b.N), "cpu-ns/rollout")
			})
		})
	}
}

// BenchmarkTickLargeService is a rolling update of one service of 1,000 tasks.
func BenchmarkTickLargeService(b *testing.B) {
	inBubble(b, func() {
		e := fleet(1)
		defer e.Close()
		scale := &awsecs.UpdateServiceInput{Cluster: aws.String("c0"), Service: aws.String("s00000"), DesiredCount: aws.Int32(1_000)}
		must(e.UpdateService(ctx(), scale))
		pass(20 * time.Minute)
		begun := cpu()
		for range b.N {
			must(e.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c0"), Service: aws.String("s00000"), ForceNewDeployment: true}))
			pass(time.Hour)
		}
		b.ReportMetric(float64(cpu()-begun)/float64(b.N), "cpu-ns/rollout")
	})
}

// cpu is what this process used: in a bubble, b's own clock is virtual.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inBubble runs f in virtual time. testing/synctest wants a test, so the
// benchmark lends it one.
func inBubble(b *testing.B, f func()) {
	b.Helper()
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: b.Name(), F: func(t *testing.T) { synctest.Test(t, func(*testing.T) { f() }) },
	}})
	if !ok {
		b.Fatal("the bubble failed")
	}
}
