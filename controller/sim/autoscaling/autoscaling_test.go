package autoscaling_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	aas "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim/autoscaling"
)

// orders is one service's count.
type orders struct{ count, updates atomic.Int32 }

func withCount(n int32) *orders {
	o := &orders{}
	o.count.Store(n)
	return o
}

func (o *orders) DescribeServices(context.Context, *awsecs.DescribeServicesInput) (*awsecs.DescribeServicesOutput, error) {
	return &awsecs.DescribeServicesOutput{Services: []ecstypes.Service{{DesiredCount: o.count.Load()}}}, nil
}

func (o *orders) UpdateService(_ context.Context, in *awsecs.UpdateServiceInput) (*awsecs.UpdateServiceOutput, error) {
	o.count.Store(*in.DesiredCount)
	o.updates.Add(1)
	return &awsecs.UpdateServiceOutput{}, nil
}

const id = "service/dev/orders"

func register(e *autoscaling.Engine, ctx context.Context, least, most int32, suspended *types.SuspendedState) error {
	_, err := e.RegisterScalableTarget(ctx, &aas.RegisterScalableTargetInput{
		ResourceId: aws.String(id), ServiceNamespace: types.ServiceNamespaceEcs, ScalableDimension: types.ScalableDimensionECSServiceDesiredCount,
		MinCapacity: &least, MaxCapacity: &most, SuspendedState: suspended,
	})
	return err
}

func TestScaleKeepsTheLimits(t *testing.T) {
	for _, c := range []struct {
		name      string
		suspended *types.SuspendedState
		want, got int32
		updates   int32
	}{
		{"within", nil, 4, 4, 1},
		{"above", nil, 9, 6, 1},
		{"below", nil, 0, 2, 1},
		{"the same", nil, 3, 3, 0},
		{"in is suspended", &types.SuspendedState{DynamicScalingInSuspended: aws.Bool(true)}, 2, 3, 0},
		{"out is suspended", &types.SuspendedState{DynamicScalingOutSuspended: aws.Bool(true)}, 5, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := withCount(3)
			e := autoscaling.New("000000000000", "eu-central-1", o)
			if err := register(e, t.Context(), 2, 6, c.suspended); err != nil {
				t.Fatal(err)
			}
			if got, err := e.Scale(t.Context(), id, c.want); err != nil || got != c.got || o.count.Load() != c.got || o.updates.Load() != c.updates {
				t.Errorf("scaled to %d with %d updates, told %d, %v; want %d with %d", o.count.Load(), o.updates.Load(), got, err, c.got, c.updates)
			}
		})
	}
}

func TestTrackFollowsTheMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := withCount(2)
		e := autoscaling.New("000000000000", "eu-central-1", o)
		if err := register(e, t.Context(), 1, 10, nil); err != nil {
			t.Fatal(err)
		}
		var load atomic.Int32
		load.Store(100)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- e.Track(ctx, id, time.Minute, 20, func() float64 { return float64(load.Load()) / float64(o.count.Load()) })
		}()
		time.Sleep(61 * time.Second)
		if o.count.Load() != 5 {
			t.Errorf("100 at 20 each: %d tasks", o.count.Load())
		}
		time.Sleep(10 * time.Minute)
		if o.updates.Load() != 1 {
			t.Errorf("a load that stays needs no more updates, there were %d", o.updates.Load())
		}
		load.Store(30)
		time.Sleep(time.Minute)
		if o.count.Load() != 2 {
			t.Errorf("30 at 20 each: %d tasks", o.count.Load())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestTargets(t *testing.T) {
	e := autoscaling.New("000000000000", "eu-central-1", &orders{})
	describe := func(ids ...string) (int, error) {
		out, err := e.DescribeScalableTargets(t.Context(), &aas.DescribeScalableTargetsInput{ServiceNamespace: types.ServiceNamespaceEcs, ResourceIds: ids})
		if err != nil {
			return 0, err
		}
		return len(out.ScalableTargets), nil
	}
	if err := register(e, t.Context(), 3, 2, nil); err == nil {
		t.Error("a maximum below the minimum was taken")
	}
	if err := register(e, t.Context(), 1, 2, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := describe("service/dev/none", id); n != 1 || err != nil {
		t.Errorf("%d targets, %v", n, err)
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprint("service/dev/s", i)
	}
	if _, err := describe(many...); err == nil {
		t.Error("51 resources were taken")
	}
	in := &aas.DeregisterScalableTargetInput{ResourceId: aws.String(id), ServiceNamespace: types.ServiceNamespaceEcs, ScalableDimension: types.ScalableDimensionECSServiceDesiredCount}
	if _, err := e.DeregisterScalableTarget(t.Context(), in); err != nil {
		t.Error(err)
	}
	if _, err := e.DeregisterScalableTarget(t.Context(), in); err == nil {
		t.Error("deregistered twice")
	}
	if _, err := e.Scale(t.Context(), id, 1); err == nil {
		t.Error("what is no target was scaled")
	}
}
