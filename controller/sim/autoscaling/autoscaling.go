// Package autoscaling is Application Auto Scaling of the local account, for the desired count of ECS services:
// targets with their limits, and the actor that moves the count, by hand or after a metric.
package autoscaling

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	aas "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// maxResources is the limit of ResourceIds and of a page.
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalableTargets.html
const maxResources = 50

var resource = regexp.MustCompile(`^service/([A-Za-z0-9_-]{1,255})/([A-Za-z0-9_-]{1,255})$`)

// Services is what the actor does to services.
type Services interface {
	DescribeServices(context.Context, *awsecs.DescribeServicesInput) (*awsecs.DescribeServicesOutput, error)
	UpdateService(context.Context, *awsecs.UpdateServiceInput) (*awsecs.UpdateServiceOutput, error)
}

// Engine holds the scalable targets of one account and region.
type Engine struct {
	account, region string
	services        Services

	mu      sync.Mutex
	targets map[string]types.ScalableTarget // by resource id
}

// New makes an engine without targets.
func New(account, region string, services Services) *Engine {
	return &Engine{account: account, region: region, services: services, targets: map[string]types.ScalableTarget{}}
}

// RegisterScalableTarget makes a target or changes its limits. The count itself is left alone: only scaling
// moves it.
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
func (e *Engine) RegisterScalableTarget(_ context.Context, in *aas.RegisterScalableTargetInput) (*aas.RegisterScalableTargetOutput, error) {
	if err := modelled(in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	id := aws.ToString(in.ResourceId)
	if !resource.MatchString(id) {
		return nil, validation("ResourceId must be service/<cluster>/<service>, found %q", id)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	t, known := e.targets[id]
	if !known {
		if in.MinCapacity == nil || in.MaxCapacity == nil {
			return nil, validation("A minimum and a maximum capacity must be given for a new scalable target")
		}
		t = types.ScalableTarget{
			ResourceId: &id, ServiceNamespace: in.ServiceNamespace, ScalableDimension: in.ScalableDimension, CreationTime: &now,
			RoleARN:           aws.String("arn:aws:iam::" + e.account + ":role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"),
			ScalableTargetARN: aws.String(fmt.Sprintf("arn:aws:application-autoscaling:%s:%s:scalable-target/%08x", e.region, e.account, len(e.targets)+1)),
			SuspendedState:    &types.SuspendedState{DynamicScalingInSuspended: aws.Bool(false), DynamicScalingOutSuspended: aws.Bool(false), ScheduledScalingSuspended: aws.Bool(false)},
		}
	}
	if in.MinCapacity != nil {
		t.MinCapacity = in.MinCapacity
	}
	if in.MaxCapacity != nil {
		t.MaxCapacity = in.MaxCapacity
	}
	if in.SuspendedState != nil {
		t.SuspendedState = in.SuspendedState
	}
	if *t.MinCapacity < 0 || *t.MaxCapacity < *t.MinCapacity {
		return nil, validation("Maximum capacity cannot be less than minimum capacity: %d and %d", *t.MaxCapacity, *t.MinCapacity)
	}
	e.targets[id] = t
	return &aas.RegisterScalableTargetOutput{ScalableTargetARN: t.ScalableTargetARN}, nil
}

// DeregisterScalableTarget lets the count alone from now on.
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html
func (e *Engine) DeregisterScalableTarget(_ context.Context, in *aas.DeregisterScalableTargetInput) (*aas.DeregisterScalableTargetOutput, error) {
	if err := modelled(in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.targets[aws.ToString(in.ResourceId)]; !ok {
		return nil, &types.ObjectNotFoundException{Message: aws.String("No scalable target found for service namespace: ecs, resource ID: " + aws.ToString(in.ResourceId) + ", scalable dimension: ecs:service:DesiredCount")}
	}
	delete(e.targets, *in.ResourceId)
	return &aas.DeregisterScalableTargetOutput{}, nil
}

// DescribeScalableTargets answers those that are named, at most 50, or all; absent ones are simply absent.
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalableTargets.html
func (e *Engine) DescribeScalableTargets(_ context.Context, in *aas.DescribeScalableTargetsInput) (*aas.DescribeScalableTargetsOutput, error) {
	if err := modelled(in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	if len(in.ResourceIds) > maxResources {
		return nil, validation("1 validation error detected: Value at 'resourceIds' failed to satisfy constraint: Member must have length less than or equal to %d", maxResources)
	}
	size := maxResources
	if in.MaxResults != nil {
		if size = int(*in.MaxResults); size < 1 || size > maxResources {
			return nil, validation("MaxResults must be 1 to %d, found %d", maxResources, size)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.ScalableTarget
	for id, t := range e.targets {
		if len(in.ResourceIds) == 0 || slices.Contains(in.ResourceIds, id) {
			out = append(out, t)
		}
	}
	page, next, ok := wire.Page(out, func(t types.ScalableTarget) string { return *t.ResourceId }, in.NextToken, size)
	if !ok {
		return nil, &types.InvalidNextTokenException{Message: aws.String("The next token is not one that DescribeScalableTargets gave")}
	}
	return &aas.DescribeScalableTargetsOutput{ScalableTargets: page, NextToken: next}, nil
}

// Scale moves a service's desired count to want, within the target's limits, as a scaling policy would, and
// answers the count that it set. Suspended directions are left out.
func (e *Engine) Scale(ctx context.Context, resourceID string, want int32) (int32, error) {
	e.mu.Lock()
	t, ok := e.targets[resourceID]
	e.mu.Unlock()
	if !ok {
		return 0, fmt.Errorf("scale %s: it is not a scalable target", resourceID)
	}
	now, err := e.count(ctx, resourceID)
	if err != nil {
		return 0, err
	}
	want = min(max(want, *t.MinCapacity), *t.MaxCapacity)
	if want == now || (want < now && aws.ToBool(t.SuspendedState.DynamicScalingInSuspended)) || (want > now && aws.ToBool(t.SuspendedState.DynamicScalingOutSuspended)) {
		return now, nil
	}
	part := resource.FindStringSubmatch(resourceID)
	if _, err := e.services.UpdateService(ctx, &awsecs.UpdateServiceInput{Cluster: &part[1], Service: &part[2], DesiredCount: &want}); err != nil {
		return now, fmt.Errorf("scale %s: %w", resourceID, err)
	}
	return want, nil
}

func (e *Engine) count(ctx context.Context, resourceID string) (int32, error) {
	part := resource.FindStringSubmatch(resourceID)
	out, err := e.services.DescribeServices(ctx, &awsecs.DescribeServicesInput{Cluster: &part[1], Services: []string{part[2]}})
	if err != nil {
		return 0, fmt.Errorf("count of %s: %w", resourceID, err)
	}
	if len(out.Services) == 0 {
		return 0, fmt.Errorf("count of %s: there is no such service", resourceID)
	}
	return out.Services[0].DesiredCount, nil
}

// Track follows a metric until ctx ends, as target tracking does: every period it moves the count so that the
// metric, which is per task, comes to target. It scales in only where a count lower by a tenth would do.
// An error ends it.
// https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
func (e *Engine) Track(ctx context.Context, resourceID string, period time.Duration, target float64, metric func() float64) error {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now, err := e.count(ctx, resourceID)
		if err != nil {
			return err
		}
		ratio := metric() / target
		if ratio > 0.9 && ratio <= 1 {
			continue
		}
		if _, err := e.Scale(ctx, resourceID, int32(math.Ceil(float64(now)*ratio))); err != nil {
			return err
		}
	}
}

func modelled(n types.ServiceNamespace, d types.ScalableDimension) error {
	if n != types.ServiceNamespaceEcs || (d != "" && d != types.ScalableDimensionECSServiceDesiredCount) {
		return validation("ServiceNamespace and ScalableDimension must be ecs and %s in this account, found %q and %q", types.ScalableDimensionECSServiceDesiredCount, n, d)
	}
	return nil
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
