package ecs

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// What CreateService and UpdateService share: checking members and bringing
// them into the one form in which they are kept and compared.

const (
	subnetsMax        = 16 // ECS quotas
	securityGroupsMax = 5
	targetGroupsMax   = 5
)

// network checks a network configuration and sorts its lists.
func network(in *types.NetworkConfiguration) (types.NetworkConfiguration, error) {
	if in == nil || in.AwsvpcConfiguration == nil {
		return types.NetworkConfiguration{}, invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	out := clone(*in)
	vpc := out.AwsvpcConfiguration
	switch {
	case len(vpc.Subnets) == 0:
		return out, invalid("subnets can not be empty.")
	case slices.Contains(vpc.Subnets, ""):
		return out, invalid("subnets must not have empty items.")
	case len(vpc.Subnets) > subnetsMax:
		return out, invalid("subnets can have at most %d items.", subnetsMax)
	case len(vpc.SecurityGroups) > securityGroupsMax:
		return out, invalid("securityGroups can have at most %d items.", securityGroupsMax)
	}
	slices.Sort(vpc.Subnets)
	slices.Sort(vpc.SecurityGroups)
	if vpc.AssignPublicIp == "" {
		vpc.AssignPublicIp = types.AssignPublicIpDisabled
	}
	return out, nil
}

// platform accepts LATEST and the versions of Fargate for Linux.
func platform(in *string) (string, error) {
	switch v := aws.ToString(in); v {
	case "", "LATEST":
		return "LATEST", nil
	case "1.4.0":
		return v, nil
	default:
		return "", &types.PlatformUnknownException{Message: aws.String("The specified platform does not exist: " + v)}
	}
}

// launchOn says where tasks run: a launch type or capacity providers, of which
// only Fargate is modelled.
func (c *cluster) launchOn(lt types.LaunchType, strategy []types.CapacityProviderStrategyItem) (types.LaunchType, []types.CapacityProviderStrategyItem, error) {
	if lt != "" && len(strategy) > 0 {
		return "", nil, invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if err := fargateStrategy(strategy, c.providers); err != nil {
		return "", nil, err
	}
	switch {
	case len(strategy) > 0:
		return "", clone(strategy), nil
	case lt == "" && len(c.strategy) > 0:
		return "", clone(c.strategy), nil
	case lt == types.LaunchTypeFargate:
		return lt, nil, nil
	case lt == "":
		lt = types.LaunchTypeEc2
	}
	return "", nil, unsupported("launchType %s is not modelled by this local account; use FARGATE", lt)
}

// deploymentConfiguration lays in over base; members that are absent stay.
func deploymentConfiguration(base types.DeploymentConfiguration, in *types.DeploymentConfiguration) (types.DeploymentConfiguration, error) {
	out := clone(base)
	if in == nil {
		in = &types.DeploymentConfiguration{}
	}
	if err := only(in, "deploymentConfiguration.", "Alarms", "BakeTimeInMinutes", "CanaryConfiguration", "DeploymentCircuitBreaker",
		"EarlySuccessCriteria", "LifecycleHooks", "LinearConfiguration", "MaximumPercent", "MinimumHealthyPercent", "Strategy"); err != nil {
		return out, err
	}
	overlay(&out.Alarms, in.Alarms)
	overlay(&out.DeploymentCircuitBreaker, in.DeploymentCircuitBreaker)
	overlay(&out.MaximumPercent, in.MaximumPercent)
	overlay(&out.MinimumHealthyPercent, in.MinimumHealthyPercent)
	if err := validPercents(*out.MinimumHealthyPercent, *out.MaximumPercent); err != nil {
		return out, err
	}
	out.DeploymentCircuitBreaker = breakerDefaults(out.DeploymentCircuitBreaker)
	if t := out.DeploymentCircuitBreaker.ThresholdConfiguration; t.Value < 1 {
		return out, invalid("deploymentCircuitBreaker.thresholdConfiguration.value must be at least 1")
	} else if !slices.Contains(t.Type.Values(), t.Type) {
		return out, invalid("deploymentCircuitBreaker.thresholdConfiguration.type must be one of %v", t.Type.Values())
	}
	if err := alarmConfiguration(out.Alarms); err != nil {
		return out, err
	}
	return out, strategyConfiguration(&out, in)
}

func validPercents(low, high int32) error {
	switch {
	case low < 0 || high < 0:
		return invalid("Deployment percentages must not be negative.")
	case high < low:
		return invalid("maximumPercent must be greater than or equal to minimumHealthyPercent.")
	case high == 0:
		return invalid("maximumPercent must be greater than 0.")
	}
	return nil
}

// freshConfiguration is what DescribeServices shows of a service for which
// nothing was said.
func freshConfiguration() types.DeploymentConfiguration {
	return types.DeploymentConfiguration{
		MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200),
		DeploymentCircuitBreaker: breakerDefaults(nil),
		Strategy:                 types.DeploymentStrategyRolling, BakeTimeInMinutes: aws.Int32(0),
		Alarms: &types.DeploymentAlarms{AlarmNames: []string{}},
		EarlySuccessCriteria: &types.DeploymentEarlySuccessCriteria{
			HealthyPercent: aws.Int32(100), SourceServiceRevisionCleanup: types.ServiceRevisionCleanupBlocking,
		},
	}
}

func overlay[T any](base **T, in *T) {
	if in != nil {
		*base = new(clone(*in))
	}
}

// balanced checks load balancers against the task definition; what the neighbour
// must say is in targetGroups.
func balanced(lbs []types.LoadBalancer, td *taskDefinition) error {
	if len(lbs) > targetGroupsMax {
		return invalid("load balancers can have at most %d items.", targetGroupsMax)
	}
	for _, lb := range lbs {
		if err := only(lb, "loadBalancers.", "AdvancedConfiguration", "ContainerName", "ContainerPort", "TargetGroupArn"); err != nil {
			return err
		}
		if err := validAdvanced(lb); err != nil {
			return err
		}
		name := aws.ToString(lb.ContainerName)
		c := td.container(name)
		if c == nil {
			return invalid("The container %s does not exist in the task definition.", name)
		}
		if !slices.ContainsFunc(c.PortMappings, func(p types.PortMapping) bool { return aws.ToInt32(p.ContainerPort) == aws.ToInt32(lb.ContainerPort) }) {
			return invalid("The container %s did not have a container port %d defined.", name, aws.ToInt32(lb.ContainerPort))
		}
	}
	return nil
}

// targetGroups asks the load balancers whether tasks could get traffic. It is
// called without the engine's lock.
func (e *Engine) targetGroups(lbs []types.LoadBalancer) error {
	var groups []string
	for _, lb := range lbs {
		groups = append(groups, aws.ToString(lb.TargetGroupArn))
		if a := lb.AdvancedConfiguration; a != nil {
			groups = append(groups, aws.ToString(a.AlternateTargetGroupArn))
		}
	}
	for _, arn := range groups {
		if arn == "" {
			return invalid("loadBalancers.targetGroupArn must be given.")
		}
		if e.cfg.LoadBalancers == nil {
			return invalid("Unable to find target group %s", arn)
		}
		attached, err := e.cfg.LoadBalancers.Attached(arn)
		if err != nil {
			return invalid("Unable to find target group %s: %s", arn, err)
		}
		if !attached {
			return invalid("The target group with targetGroupArn %s does not have an associated load balancer.", arn)
		}
	}
	return nil
}

// setGrace sets healthCheckGracePeriodSeconds; nil keeps it.
func (s *service) setGrace(seconds *int32) error {
	if seconds == nil {
		return nil
	}
	if *seconds < 0 {
		return invalid("healthCheckGracePeriodSeconds must not be negative.")
	}
	s.graceSeconds, s.grace = aws.Int32(*seconds), time.Duration(*seconds)*time.Second
	return nil
}

func (spec revisionSpec) same(o revisionSpec) bool {
	sorted := func(in []types.LoadBalancer) []types.LoadBalancer {
		return slices.SortedFunc(slices.Values(clone(in)), func(a, b types.LoadBalancer) int {
			return strings.Compare(aws.ToString(a.TargetGroupArn)+aws.ToString(a.ContainerName), aws.ToString(b.TargetGroupArn)+aws.ToString(b.ContainerName))
		})
	}
	return spec.td == o.td && spec.platform == o.platform &&
		reflect.DeepEqual(spec.network, o.network) && reflect.DeepEqual(sorted(spec.lbs), sorted(o.lbs))
}

// propagation checks propagateTags.
func propagation(p types.PropagateTags) (types.PropagateTags, error) {
	if p == "" {
		return types.PropagateTagsNone, nil
	}
	if !slices.Contains(p.Values(), p) {
		return "", invalid("propagateTags must be one of %v", p.Values())
	}
	return p, nil
}
