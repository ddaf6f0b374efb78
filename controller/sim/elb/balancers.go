package elb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// CreateLoadBalancer makes an application load balancer, which is active at once.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
func (e *Engine) CreateLoadBalancer(_ context.Context, in *elbv2.CreateLoadBalancerInput) (*elbv2.CreateLoadBalancerOutput, error) {
	if err := wire.Refuse(in, "Name", "Type", "Scheme", "Subnets", "SecurityGroups", "IpAddressType", "Tags"); err != nil {
		return nil, err
	}
	name := aws.ToString(in.Name)
	if !validName.MatchString(name) {
		return nil, invalid("Load balancer name %q must be 1 to 32 letters, digits and hyphens, without a hyphen at an end", name)
	}
	if in.Type != "" && in.Type != types.LoadBalancerTypeEnumApplication {
		return nil, invalid("Type must be application in this account, found %s", in.Type)
	}
	scheme := in.Scheme
	if scheme == "" {
		scheme = types.LoadBalancerSchemeEnumInternetFacing
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	number := id("loadbalancer", name)
	arn := e.arn("loadbalancer/app/" + name + "/" + number)
	if old := e.balancers[arn]; old != nil {
		return &elbv2.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{old.LoadBalancer}}, nil
	}
	b := &balancer{types.LoadBalancer{
		LoadBalancerName: in.Name, LoadBalancerArn: &arn, Type: types.LoadBalancerTypeEnumApplication, Scheme: scheme,
		CreatedTime: &now, SecurityGroups: in.SecurityGroups, IpAddressType: types.IpAddressTypeIpv4,
		DNSName: aws.String(name + "-" + number + "." + e.config.Region + ".elb.amazonaws.com"),
		VpcId:   aws.String("vpc-00000000"), State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive},
	}}
	for i, s := range in.Subnets {
		zone := e.config.Region + string(rune('a'+i%3))
		b.AvailabilityZones = append(b.AvailabilityZones, types.AvailabilityZone{SubnetId: aws.String(s), ZoneName: aws.String(zone)})
	}
	e.balancers[arn] = b
	return &elbv2.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{b.LoadBalancer}}, nil
}

const maxBalancerARNs = 20

// DescribeLoadBalancers fails as a whole where one that is named is not there.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html
func (e *Engine) DescribeLoadBalancers(_ context.Context, in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
	if n := len(in.LoadBalancerArns); n > maxBalancerARNs {
		return nil, invalid("Up to %d load balancers can be described in one call, found %d", maxBalancerARNs, n)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.LoadBalancer
	seen := map[string]bool{}
	for arn, b := range e.balancers {
		if (len(in.LoadBalancerArns) == 0 || slices.Contains(in.LoadBalancerArns, arn)) &&
			(len(in.Names) == 0 || slices.Contains(in.Names, *b.LoadBalancerName)) {
			out = append(out, b.LoadBalancer)
			seen[arn], seen[*b.LoadBalancerName] = true, true
		}
	}
	for _, want := range slices.Concat(in.LoadBalancerArns, in.Names) {
		if !seen[want] {
			return nil, balancerNotFound(want)
		}
	}
	page, next, ok := wire.Page(out, func(b types.LoadBalancer) string { return *b.LoadBalancerName }, in.Marker, pageSize(in.PageSize))
	if !ok {
		return nil, invalid("Marker is not one that DescribeLoadBalancers gave")
	}
	return &elbv2.DescribeLoadBalancersOutput{LoadBalancers: page, NextMarker: next}, nil
}

// SetRealPort says where on 127.0.0.1 the listener of that balancer and port will listen; without it a free
// port is taken. It must be called before CreateListener.
func (e *Engine) SetRealPort(loadBalancer string, port int32, real int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.realPorts[fmt.Sprintf("%s/%d", loadBalancer, port)] = real
}
