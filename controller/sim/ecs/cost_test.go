package ecs_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
)

// 10,000 services with their tasks are to fit into 1 GiB: 107 KB for each. What they need is a tenth of it, so that what grows
// is seen long before.
func TestAServiceHoldsLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, most = 1_000, 20 << 10
		before := heap()
		e := fleet(n)
		defer e.Close()
		if got := (heap() - before) / n; got > most {
			t.Errorf("a settled service of two tasks holds %d bytes, %d are meant to do", got, most)
		}
	})
}

// A rollout's work is its own: it is the same whether 10 other services are at rest or 1,000.
func TestATickCostsWhatChanged(t *testing.T) {
	rollout := func(n int) (mallocs float64) {
		bubble(t, func(t *testing.T) {
			e := fleet(n)
			defer e.Close()
			const times = 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range times {
				must(e.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c0"), Service: aws.String("s00003"), ForceNewDeployment: true}))
				pass(5 * time.Minute)
			}
			runtime.ReadMemStats(&after)
			mallocs = float64(after.Mallocs-before.Mallocs) / times
		})
		return mallocs
	}
	few, many := rollout(10), rollout(1_000)
	t.Logf("a rollout allocates %.0f times beside 10 services, %.0f times beside 1,000", few, many)
	if many > 1.3*few {
		t.Errorf("a rollout allocates %.0f times beside 10 services and %.0f times beside 1,000", few, many)
	}
}
