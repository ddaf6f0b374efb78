package elb

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/wire"
)

// RegisterTargets adds IP addresses to a group.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RegisterTargets.html
func (e *Engine) RegisterTargets(_ context.Context, in *elbv2.RegisterTargetsInput) (*elbv2.RegisterTargetsOutput, error) {
	targets, err := e.described(in.TargetGroupArn, in.Targets)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if net.ParseIP(t.ID) == nil {
			return nil, &types.InvalidTargetException{Message: aws.String("The IP address '" + t.ID + "' is not a valid IPv4 address")}
		}
		if ip := net.ParseIP(t.ID); ip.IsLoopback() {
			t.Address = key(t)
		}
		if err := e.Register(*in.TargetGroupArn, t); err != nil {
			return nil, groupNotFound(*in.TargetGroupArn)
		}
	}
	return &elbv2.RegisterTargetsOutput{}, nil
}

// DeregisterTargets begins draining.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html
func (e *Engine) DeregisterTargets(_ context.Context, in *elbv2.DeregisterTargetsInput) (*elbv2.DeregisterTargetsOutput, error) {
	targets, err := e.described(in.TargetGroupArn, in.Targets)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		e.Deregister(*in.TargetGroupArn, t)
	}
	return &elbv2.DeregisterTargetsOutput{}, nil
}

// DescribeTargetHealth answers one group's targets, all of them or those that are named; a named one that is
// not registered is unused.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
func (e *Engine) DescribeTargetHealth(_ context.Context, in *elbv2.DescribeTargetHealthInput) (*elbv2.DescribeTargetHealthOutput, error) {
	if err := wire.Refuse(in, "TargetGroupArn", "Targets"); err != nil {
		return nil, err
	}
	named, err := e.described(in.TargetGroupArn, in.Targets)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	out := &elbv2.DescribeTargetHealthOutput{TargetHealthDescriptions: []types.TargetHealthDescription{}}
	if len(in.Targets) == 0 {
		for _, k := range slices.Sorted(maps.Keys(g.targets)) {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, describe(g.targets[k].Target, g.targets[k].health))
		}
		return out, nil
	}
	for _, t := range named {
		h := notRegistered
		if held := g.targets[key(t)]; held != nil {
			t, h = held.Target, held.health
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, describe(t, h))
	}
	return out, nil
}

func describe(t ecs.Target, h ecs.TargetHealth) types.TargetHealthDescription {
	d := types.TargetHealthDescription{
		HealthCheckPort: aws.String(strconv.Itoa(int(t.Port))),
		Target:          &types.TargetDescription{Id: aws.String(t.ID), Port: aws.Int32(t.Port)},
		TargetHealth: &types.TargetHealth{
			State: types.TargetHealthStateEnum(h.State), Reason: types.TargetHealthReasonEnum(h.Reason),
		},
	}
	if t.AvailabilityZone != "" {
		d.Target.AvailabilityZone = aws.String(t.AvailabilityZone)
	}
	if h.Description != "" {
		d.TargetHealth.Description = aws.String(h.Description)
	}
	return d
}

// described turns the API's targets, whose port defaults to the group's, into targets.
func (e *Engine) described(groupARN *string, in []types.TargetDescription) ([]ecs.Target, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(groupARN)
	if err != nil {
		return nil, err
	}
	var out []ecs.Target
	for _, d := range in {
		if err := wire.Refuse(&d, "Id", "Port", "AvailabilityZone"); err != nil {
			return nil, err
		}
		out = append(out, ecs.Target{
			ID: aws.ToString(d.Id), Port: *orElse(d.Port, *g.Port), AvailabilityZone: aws.ToString(d.AvailabilityZone),
		})
	}
	return out, nil
}
