package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/wire"
)

// balancerFaults are about the target group with the name Target.
func balancerFaults() map[string]fault {
	return map[string]fault{
		"target-group-detached": {symptom: "no listener forwards to the group: unused, Target.NotInUse", do: func(ctx context.Context, a *Account, f NamedFault) (undo, error) {
			g, err := targetGroup(ctx, a, f)
			if err != nil {
				return nil, err
			}
			return detach(ctx, a, *g.TargetGroupArn)
		}},
		"target-group-deleted": {symptom: "TargetGroupNotFound; registering targets fails", do: targetGroupDeleted},
		"zone-not-enabled":     targetsShown(elbtypes.TargetHealthStateEnumUnused, elbtypes.TargetHealthReasonEnumNotInUse, "Target is in an Availability Zone that is not enabled for the load balancer"),
		"health-check-disabled": targetsShown(elbtypes.TargetHealthStateEnumUnavailable, elbtypes.TargetHealthReasonEnumHealthCheckDisabled,
			"Health checks are disabled for this target group"),
	}
}

func targetGroup(ctx context.Context, a *Account, f NamedFault) (elbtypes.TargetGroup, error) {
	out, err := a.ELB.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{Names: []string{f.Target}})
	if err != nil {
		return elbtypes.TargetGroup{}, err
	}
	return out.TargetGroups[0], nil
}

// detach deletes every listener that forwards to the group by itself or by a rule.
func detach(ctx context.Context, a *Account, group string) (undo, error) {
	balancers, err := a.ELB.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{})
	if err != nil {
		return nil, err
	}
	back := undo(nothing)
	for _, b := range balancers.LoadBalancers {
		listeners, err := a.ELB.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn})
		if err != nil {
			return nil, err
		}
		for _, l := range listeners.Listeners {
			rules, err := a.ELB.DescribeRules(ctx, &elbv2.DescribeRulesInput{ListenerArn: l.ListenerArn})
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(rules.Rules, func(r elbtypes.Rule) bool { return forwards(r.Actions, group) }) {
				continue
			}
			if _, err := a.ELB.DeleteListener(ctx, &elbv2.DeleteListenerInput{ListenerArn: l.ListenerArn}); err != nil {
				return nil, err
			}
			before := back
			back = func() error {
				if err := before(); err != nil {
					return err
				}
				return relisten(context.WithoutCancel(ctx), a, l, rules.Rules)
			}
		}
	}
	return back, nil
}

func forwards(actions []elbtypes.Action, group string) bool {
	return slices.ContainsFunc(actions, func(a elbtypes.Action) bool {
		return aws.ToString(a.TargetGroupArn) == group || a.ForwardConfig != nil && slices.ContainsFunc(a.ForwardConfig.TargetGroups,
			func(t elbtypes.TargetGroupTuple) bool { return aws.ToString(t.TargetGroupArn) == group })
	})
}

// relisten makes a listener as it was. Its ARN comes of its load balancer and port, and is the same.
func relisten(ctx context.Context, a *Account, l elbtypes.Listener, rules []elbtypes.Rule) error {
	out, err := a.ELB.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: l.LoadBalancerArn, Port: l.Port, Protocol: l.Protocol, DefaultActions: l.DefaultActions})
	if err != nil {
		return err
	}
	for _, r := range rules {
		if aws.ToBool(r.IsDefault) {
			continue
		}
		var priority int32
		if _, err := fmt.Sscan(aws.ToString(r.Priority), &priority); err != nil {
			return err
		}
		if _, err := a.ELB.CreateRule(ctx, &elbv2.CreateRuleInput{ListenerArn: out.Listeners[0].ListenerArn, Priority: &priority, Conditions: r.Conditions, Actions: r.Actions}); err != nil {
			return err
		}
	}
	return nil
}

// targetGroupDeleted takes the group away with its listeners. It comes back without targets: tasks that start
// from then on register with it.
func targetGroupDeleted(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	g, err := targetGroup(ctx, a, f)
	if err != nil {
		return nil, err
	}
	attributes, err := a.ELB.DescribeTargetGroupAttributes(ctx, &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn})
	if err != nil {
		return nil, err
	}
	attach, err := detach(ctx, a, *g.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	if _, err := a.ELB.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn}); err != nil {
		return nil, err
	}
	return func() error {
		ctx := context.WithoutCancel(ctx)
		if _, err := a.ELB.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
			Name: g.TargetGroupName, Port: g.Port, Protocol: g.Protocol, TargetType: g.TargetType, VpcId: g.VpcId,
			HealthCheckPath: g.HealthCheckPath, HealthCheckIntervalSeconds: g.HealthCheckIntervalSeconds, HealthCheckTimeoutSeconds: g.HealthCheckTimeoutSeconds,
			HealthyThresholdCount: g.HealthyThresholdCount, UnhealthyThresholdCount: g.UnhealthyThresholdCount, Matcher: g.Matcher,
		}); err != nil {
			return err
		}
		if _, err := a.ELB.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn, Attributes: attributes.Attributes}); err != nil {
			return err
		}
		return attach()
	}, nil
}

// targetsShown lets the scheduler and DescribeTargetHealth see every target so; Target is a service here,
// cluster/service, for the scheduler alone, and may be left out.
func targetsShown(state elbtypes.TargetHealthStateEnum, reason elbtypes.TargetHealthReasonEnum, description string) fault {
	return fault{symptom: string(state) + ", " + string(reason) + " " + description, do: func(_ context.Context, a *Account, f NamedFault) (undo, error) {
		stop := a.ECS.AddTrouble(ecs.Trouble{Service: f.Target, Health: ecs.TargetHealth{State: string(state), Reason: string(reason), Description: description}})
		disarm := a.Faults.Arm(wire.Fault{Service: "elasticloadbalancing", Operation: "DescribeTargetHealth", Change: func(_ *wire.Call, out any) any {
			shown := *out.(*elbv2.DescribeTargetHealthOutput)
			shown.TargetHealthDescriptions = slices.Clone(shown.TargetHealthDescriptions)
			for i := range shown.TargetHealthDescriptions {
				shown.TargetHealthDescriptions[i].TargetHealth = &elbtypes.TargetHealth{State: state, Reason: reason, Description: &description}
			}
			return &shown
		}})
		return func() error { disarm(); stop(); return nil }, nil
	}}
}
