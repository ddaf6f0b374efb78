package elb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Limits of https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
const (
	maxForward = 5 // target groups of one action
	maxWeight  = 999
	maxRules   = 100 // of one load balancer, without default ones
	maxValues  = 5   // of all conditions of one rule
)

// CreateListener makes an HTTP listener that forwards to one or several target groups, by their weights. Their
// targets begin to be checked.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html
func (e *Engine) CreateListener(ctx context.Context, in *elbv2.CreateListenerInput) (*elbv2.CreateListenerOutput, error) {
	if err := wire.Refuse(in, "LoadBalancerArn", "Port", "Protocol", "DefaultActions", "Tags"); err != nil {
		return nil, err
	}
	if in.Protocol != types.ProtocolEnumHttp || in.Port == nil {
		return nil, invalid("A listener needs a port and the protocol HTTP in this account")
	}
	weights, err := forwarded(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	l, real, err := e.addListener(in, weights)
	if err != nil {
		return nil, err
	}
	if e.config.Listen {
		r, err := e.listen(ctx, l, real)
		if err != nil {
			e.removeListener(*l.ListenerArn)
			return nil, invalid("listener for port %d: %v", *in.Port, err)
		}
		e.mu.Lock()
		l.real = r
		e.mu.Unlock()
	}
	e.tell()
	return &elbv2.CreateListenerOutput{Listeners: []types.Listener{l.Listener}}, nil
}

func (e *Engine) addListener(in *elbv2.CreateListenerInput, weights map[string]int) (*listener, int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.balancers[aws.ToString(in.LoadBalancerArn)]
	if b == nil {
		return nil, 0, balancerNotFound(aws.ToString(in.LoadBalancerArn))
	}
	if err := e.mayForward(weights, *b.LoadBalancerArn); err != nil {
		return nil, 0, err
	}
	number := id("loadbalancer", *b.LoadBalancerName)
	arn := e.arn(fmt.Sprintf("listener/app/%s/%s/%s", *b.LoadBalancerName, number, id("listener", *b.LoadBalancerName, *in.Port)))
	if e.listeners[arn] != nil {
		return nil, 0, &types.DuplicateListenerException{Message: aws.String("A listener already exists on this port for this load balancer")}
	}
	l := &listener{route: route{weights: weights}, Listener: types.Listener{
		ListenerArn: &arn, LoadBalancerArn: b.LoadBalancerArn, Port: in.Port, Protocol: in.Protocol, DefaultActions: in.DefaultActions,
	}}
	e.listeners[arn] = l
	e.reattach()
	return l, e.realPorts[fmt.Sprintf("%s/%d", *b.LoadBalancerName, *in.Port)], nil
}

// mayForward refuses target groups that are not there or that another load balancer has.
func (e *Engine) mayForward(weights map[string]int, loadBalancerARN string) error {
	for arn := range weights {
		g, err := e.group(&arn)
		if err != nil {
			return err
		}
		if len(g.LoadBalancerArns) > 0 && g.LoadBalancerArns[0] != loadBalancerARN {
			return &types.TargetGroupAssociationLimitException{Message: aws.String("The following target groups cannot be associated with more than one load balancer: " + arn)}
		}
	}
	return nil
}

// ModifyListener changes where a listener forwards to.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyListener.html
func (e *Engine) ModifyListener(_ context.Context, in *elbv2.ModifyListenerInput) (*elbv2.ModifyListenerOutput, error) {
	if err := wire.Refuse(in, "ListenerArn", "DefaultActions"); err != nil {
		return nil, err
	}
	weights, err := forwarded(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.listeners[aws.ToString(in.ListenerArn)]
	if l == nil {
		return nil, listenerNotFound(aws.ToString(in.ListenerArn))
	}
	if err := e.mayForward(weights, *l.LoadBalancerArn); err != nil {
		return nil, err
	}
	l.DefaultActions, l.route = in.DefaultActions, route{weights: weights}
	e.reattach()
	return &elbv2.ModifyListenerOutput{Listeners: []types.Listener{l.Listener}}, nil
}

// DeleteLoadBalancer removes a load balancer with its listeners; one that is not there is no error.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html
func (e *Engine) DeleteLoadBalancer(_ context.Context, in *elbv2.DeleteLoadBalancerInput) (*elbv2.DeleteLoadBalancerOutput, error) {
	e.mu.Lock()
	delete(e.balancers, aws.ToString(in.LoadBalancerArn))
	var gone []string
	for arn, l := range e.listeners {
		if *l.LoadBalancerArn == aws.ToString(in.LoadBalancerArn) {
			gone = append(gone, arn)
		}
	}
	e.mu.Unlock()
	for _, arn := range slices.Sorted(slices.Values(gone)) {
		e.removeListener(arn)
	}
	return &elbv2.DeleteLoadBalancerOutput{}, nil
}

// DeleteListener removes a listener; target groups that no other one forwards to are no longer in use.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteListener.html
func (e *Engine) DeleteListener(_ context.Context, in *elbv2.DeleteListenerInput) (*elbv2.DeleteListenerOutput, error) {
	if !e.removeListener(aws.ToString(in.ListenerArn)) {
		return nil, listenerNotFound(aws.ToString(in.ListenerArn))
	}
	return &elbv2.DeleteListenerOutput{}, nil
}

func (e *Engine) removeListener(arn string) bool {
	e.mu.Lock()
	l := e.listeners[arn]
	if l == nil {
		e.mu.Unlock()
		return false
	}
	delete(e.listeners, arn)
	e.reattach()
	e.mu.Unlock()
	if l.real != nil {
		l.real.close()
	}
	e.tell()
	return true
}

// reattach brings the groups' load balancers, and with them their targets' health, to what the listeners say.
// The caller holds the lock.
func (e *Engine) reattach() {
	for _, arn := range slices.Sorted(maps.Keys(e.groups)) {
		g := e.groups[arn]
		was := len(g.LoadBalancerArns) > 0
		g.LoadBalancerArns = []string{}
		for _, l := range e.listeners {
			if l.forwardsTo(arn) {
				g.LoadBalancerArns = []string{*l.LoadBalancerArn}
			}
		}
		if is := len(g.LoadBalancerArns) > 0; is == was {
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(g.targets)) {
			if t := g.targets[k]; !t.deregistered {
				e.begin(g, t)
			}
		}
	}
}

// forwarded reads the target groups of one forward action and their weights.
func forwarded(actions []types.Action) (map[string]int, error) {
	if len(actions) != 1 || actions[0].Type != types.ActionTypeEnumForward {
		return nil, invalid("DefaultActions must be one action of type forward in this account")
	}
	a := actions[0]
	if err := wire.Refuse(&a, "Type", "TargetGroupArn", "ForwardConfig", "Order"); err != nil {
		return nil, err
	}
	weights := map[string]int{}
	if a.ForwardConfig != nil {
		if err := wire.Refuse(a.ForwardConfig, "TargetGroups", "TargetGroupStickinessConfig"); err != nil {
			return nil, err
		}
		if s := a.ForwardConfig.TargetGroupStickinessConfig; s != nil && aws.ToBool(s.Enabled) {
			return nil, invalid("Stickiness between target groups is not modelled by this account")
		}
		for _, t := range a.ForwardConfig.TargetGroups {
			w := int(*orElse(t.Weight, 1))
			if w < 0 || w > maxWeight {
				return nil, invalid("The weight of a target group must be 0 to %d, found %d", maxWeight, w)
			}
			weights[aws.ToString(t.TargetGroupArn)] = w
		}
		if len(weights) > maxForward {
			return nil, invalid("A forward action has at most %d target groups, found %d", maxForward, len(weights))
		}
	}
	if a.TargetGroupArn != nil && len(weights) == 0 {
		weights[*a.TargetGroupArn] = 1
	}
	if len(weights) == 0 {
		return nil, invalid("A forward action needs a TargetGroupArn or a ForwardConfig")
	}
	return weights, nil
}

// DescribeListeners answers those of one load balancer, or those that are named.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeListeners.html
func (e *Engine) DescribeListeners(_ context.Context, in *elbv2.DescribeListenersInput) (*elbv2.DescribeListenersOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if in.LoadBalancerArn != nil && e.balancers[*in.LoadBalancerArn] == nil {
		return nil, balancerNotFound(*in.LoadBalancerArn)
	}
	for _, arn := range in.ListenerArns {
		if e.listeners[arn] == nil {
			return nil, listenerNotFound(arn)
		}
	}
	var out []types.Listener
	for arn, l := range e.listeners {
		if slices.Contains(in.ListenerArns, arn) || (in.LoadBalancerArn != nil && *in.LoadBalancerArn == *l.LoadBalancerArn) {
			out = append(out, l.Listener)
		}
	}
	page, next, ok := wire.Page(out, func(l types.Listener) string { return *l.ListenerArn }, in.Marker, pageSize(in.PageSize))
	if !ok {
		return nil, invalid("Marker is not one that DescribeListeners gave")
	}
	return &elbv2.DescribeListenersOutput{Listeners: page, NextMarker: next}, nil
}

// Address is where a listener really listens, "" where it does not.
func (e *Engine) Address(listenerARN string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.listeners[listenerARN]; l != nil && l.real != nil {
		return l.real.address
	}
	return ""
}

func balancerNotFound(what string) error {
	return &types.LoadBalancerNotFoundException{Message: aws.String("Load balancers '[" + what + "]' not found")}
}

func listenerNotFound(what string) error {
	return &types.ListenerNotFoundException{Message: aws.String("One or more listeners not found: " + what)}
}
