package elb

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

const (
	deregistrationDelay = "deregistration_delay.timeout_seconds"
	maxDelay            = 3600
	maxPage             = 400
)

var (
	validName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)
	validCodes = regexp.MustCompile(`^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$`)
)

// defaultAttributes are those of an HTTP target group of IP addresses. Slow start and stickiness are kept and
// shown, and change nothing; those that attributeForms does not know must keep their values.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
func defaultAttributes() map[string]string {
	return map[string]string{
		deregistrationDelay:                     "300",
		"slow_start.duration_seconds":           "0",
		"stickiness.enabled":                    "false",
		"stickiness.type":                       "lb_cookie",
		"stickiness.lb_cookie.duration_seconds": "86400",
		"load_balancing.algorithm.type":         "round_robin",
		"load_balancing.cross_zone.enabled":     "use_load_balancer_configuration",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
	}
}

// CreateTargetGroup makes a group of IP addresses that speak HTTP. The same name with the same values again
// answers the group that is there.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
func (e *Engine) CreateTargetGroup(_ context.Context, in *elbv2.CreateTargetGroupInput) (*elbv2.CreateTargetGroupOutput, error) {
	if err := wire.Refuse(in, "Name", "Protocol", "ProtocolVersion", "Port", "VpcId", "TargetType", "Matcher", "HealthCheckEnabled",
		"HealthCheckIntervalSeconds", "HealthCheckPath", "HealthCheckPort", "HealthCheckProtocol", "HealthCheckTimeoutSeconds",
		"HealthyThresholdCount", "UnhealthyThresholdCount", "IpAddressType", "Tags"); err != nil {
		return nil, err
	}
	tg := types.TargetGroup{
		TargetGroupName: in.Name, Protocol: in.Protocol, ProtocolVersion: orElse(in.ProtocolVersion, "HTTP1"), Port: in.Port,
		VpcId: orElse(in.VpcId, "vpc-00000000"), TargetType: in.TargetType, IpAddressType: types.TargetGroupIpAddressTypeEnumIpv4,
		HealthCheckEnabled:         aws.Bool(true),
		HealthCheckIntervalSeconds: orElse(in.HealthCheckIntervalSeconds, 30), HealthCheckTimeoutSeconds: orElse(in.HealthCheckTimeoutSeconds, e.config.defaultTimeout()),
		HealthyThresholdCount: orElse(in.HealthyThresholdCount, 5), UnhealthyThresholdCount: orElse(in.UnhealthyThresholdCount, 2),
		HealthCheckPath: orElse(in.HealthCheckPath, "/"), HealthCheckPort: orElse(in.HealthCheckPort, "traffic-port"),
		HealthCheckProtocol: types.ProtocolEnumHttp, Matcher: &types.Matcher{HttpCode: aws.String("200")}, LoadBalancerArns: []string{},
	}
	if in.Matcher != nil && in.Matcher.HttpCode != nil {
		tg.Matcher = in.Matcher
	}
	if err := checkGroup(in, tg); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	arn := e.arn("targetgroup/" + *in.Name + "/" + id("targetgroup", *in.Name))
	tg.TargetGroupArn = &arn
	if old := e.groups[arn]; old != nil {
		if *old.Port != *tg.Port || *old.HealthCheckPath != *tg.HealthCheckPath || old.TargetType != tg.TargetType {
			return nil, &types.DuplicateTargetGroupNameException{Message: aws.String("A target group with the same name '" + *in.Name + "' exists, but with different settings")}
		}
		return &elbv2.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{old.shown()}}, nil
	}
	g := &group{TargetGroup: tg, attributes: defaultAttributes(), targets: map[string]*target{}}
	e.groups[arn] = g
	return &elbv2.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{g.shown()}}, nil
}

func (c Config) defaultTimeout() int32 {
	if c.ShortCheckTimeout {
		return 5
	}
	return 6
}

func checkGroup(in *elbv2.CreateTargetGroupInput, tg types.TargetGroup) error {
	switch {
	case !validName.MatchString(aws.ToString(in.Name)):
		return invalid("Target group name %q must be 1 to 32 letters, digits and hyphens, without a hyphen at an end", aws.ToString(in.Name))
	case tg.Protocol != types.ProtocolEnumHttp || *tg.ProtocolVersion != "HTTP1" || (in.HealthCheckProtocol != "" && in.HealthCheckProtocol != types.ProtocolEnumHttp):
		return invalid("Protocol and health check protocol must be HTTP, version HTTP1, in this account")
	case tg.TargetType != types.TargetTypeEnumIp:
		return invalid("TargetType must be ip in this account, as awsvpc tasks need it, found %q", tg.TargetType)
	case tg.Port == nil || *tg.Port < 1 || *tg.Port > 65535:
		return invalid("Port must be 1 to 65535")
	case *tg.HealthCheckPort != "traffic-port":
		return invalid("HealthCheckPort must be traffic-port in this account, found %q", *tg.HealthCheckPort)
	case *tg.HealthCheckIntervalSeconds < 5 || *tg.HealthCheckIntervalSeconds > 300:
		return invalid("Health check interval must be between 5 and 300 seconds, found %d", *tg.HealthCheckIntervalSeconds)
	case *tg.HealthCheckTimeoutSeconds < 2 || *tg.HealthCheckTimeoutSeconds > 120 || *tg.HealthCheckTimeoutSeconds >= *tg.HealthCheckIntervalSeconds:
		return invalid("Health check timeout must be between 2 and 120 seconds and smaller than the interval, found %d", *tg.HealthCheckTimeoutSeconds)
	case *tg.HealthyThresholdCount < 2 || *tg.HealthyThresholdCount > 10 || *tg.UnhealthyThresholdCount < 2 || *tg.UnhealthyThresholdCount > 10:
		return invalid("Healthy and unhealthy threshold must be between 2 and 10")
	case !validCodes.MatchString(*tg.Matcher.HttpCode):
		return invalid("Matcher %q must be codes such as 200, 200,202 or 200-299", *tg.Matcher.HttpCode)
	}
	return nil
}

// DeleteTargetGroup removes a group that no listener forwards to.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html
func (e *Engine) DeleteTargetGroup(_ context.Context, in *elbv2.DeleteTargetGroupInput) (*elbv2.DeleteTargetGroupOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	arn := aws.ToString(in.TargetGroupArn)
	if g := e.groups[arn]; g != nil {
		if len(g.LoadBalancerArns) > 0 {
			return nil, &types.ResourceInUseException{Message: aws.String("Target group '" + arn + "' is currently in use by a listener or a rule")}
		}
		for _, t := range g.targets {
			t.stopTimer()
			t.deregistered = true
		}
		delete(e.groups, arn)
	}
	return &elbv2.DeleteTargetGroupOutput{}, nil
}

// DescribeTargetGroups fails as a whole where one that is named is not there.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroups.html
func (e *Engine) DescribeTargetGroups(_ context.Context, in *elbv2.DescribeTargetGroupsInput) (*elbv2.DescribeTargetGroupsOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.TargetGroup
	seen := map[string]bool{}
	for arn, g := range e.groups {
		if (len(in.TargetGroupArns) == 0 || slices.Contains(in.TargetGroupArns, arn)) &&
			(len(in.Names) == 0 || slices.Contains(in.Names, *g.TargetGroupName)) &&
			(in.LoadBalancerArn == nil || slices.Contains(g.LoadBalancerArns, *in.LoadBalancerArn)) {
			out = append(out, g.shown())
			seen[arn], seen[*g.TargetGroupName] = true, true
		}
	}
	for _, want := range slices.Concat(in.TargetGroupArns, in.Names) {
		if !seen[want] {
			return nil, groupNotFound(want)
		}
	}
	page, next, ok := wire.Page(out, func(g types.TargetGroup) string { return *g.TargetGroupName }, in.Marker, pageSize(in.PageSize))
	if !ok {
		return nil, invalid("Marker is not one that DescribeTargetGroups gave")
	}
	return &elbv2.DescribeTargetGroupsOutput{TargetGroups: page, NextMarker: next}, nil
}

// DescribeTargetGroupAttributes answers all attributes of one group.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroupAttributes.html
func (e *Engine) DescribeTargetGroupAttributes(_ context.Context, in *elbv2.DescribeTargetGroupAttributesInput) (*elbv2.DescribeTargetGroupAttributesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &elbv2.DescribeTargetGroupAttributesOutput{Attributes: g.shownAttributes()}, nil
}

// attributeForms are the attributes that can be changed, and what they can be.
func attributeForms() map[string]func(v string) string {
	number := func(low, high int, zero bool) func(string) string {
		return func(v string) string {
			n, err := strconv.Atoi(v)
			if err == nil && ((n >= low && n <= high) || (zero && n == 0)) {
				return ""
			}
			return fmt.Sprintf("must be between %d and %d", low, high)
		}
	}
	oneOf := func(values ...string) func(string) string {
		return func(v string) string {
			if slices.Contains(values, v) {
				return ""
			}
			return fmt.Sprintf("must be one of %v in this account", values)
		}
	}
	return map[string]func(string) string{
		deregistrationDelay:                     number(0, maxDelay, true),
		"slow_start.duration_seconds":           number(30, 900, true),
		"stickiness.enabled":                    oneOf("true", "false"),
		"stickiness.lb_cookie.duration_seconds": number(1, 604_800, false),
		"load_balancing.algorithm.type":         oneOf("round_robin", "least_outstanding_requests"),
	}
}

// ModifyTargetGroupAttributes changes the deregistration delay, which counts, and slow start, stickiness and
// algorithm, which are kept; every other attribute is refused unless it stays as it is.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroupAttributes.html
func (e *Engine) ModifyTargetGroupAttributes(_ context.Context, in *elbv2.ModifyTargetGroupAttributesInput) (*elbv2.ModifyTargetGroupAttributesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	changed, forms := maps.Clone(g.attributes), attributeForms()
	for _, a := range in.Attributes {
		k, v := aws.ToString(a.Key), aws.ToString(a.Value)
		old, known := changed[k]
		if !known {
			return nil, invalid("Target group attribute key '%s' is not recognized", k)
		}
		if form := forms[k]; form == nil && v != old {
			return nil, invalid("'%s' other than %q is not modelled by this account, found %q", k, old, v)
		} else if form != nil && form(v) != "" {
			return nil, invalid("'%s' %s, found %q", k, form(v), v)
		}
		changed[k] = v
	}
	g.attributes = changed
	return &elbv2.ModifyTargetGroupAttributesOutput{Attributes: g.shownAttributes()}, nil
}

func (e *Engine) group(arn *string) (*group, error) {
	if g := e.groups[aws.ToString(arn)]; g != nil {
		return g, nil
	}
	return nil, groupNotFound(aws.ToString(arn))
}

// shown copies what may change later.
func (g *group) shown() types.TargetGroup {
	tg := g.TargetGroup
	tg.LoadBalancerArns = slices.Clone(g.LoadBalancerArns)
	return tg
}

func (g *group) shownAttributes() []types.TargetGroupAttribute {
	var out []types.TargetGroupAttribute
	for _, k := range slices.Sorted(maps.Keys(g.attributes)) {
		out = append(out, types.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(g.attributes[k])})
	}
	return out
}

func groupNotFound(what string) error {
	return &types.TargetGroupNotFoundException{Message: aws.String("Target groups '" + what + "' not found")}
}

func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationError", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

func orElse[T any](p *T, otherwise T) *T {
	if p != nil {
		return p
	}
	return &otherwise
}

func pageSize(asked *int32) int {
	if asked == nil || *asked < 1 || *asked > maxPage {
		return maxPage
	}
	return int(*asked)
}
