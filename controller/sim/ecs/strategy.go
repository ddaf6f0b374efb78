package ecs

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Limits of deployment strategies: LinearConfiguration, CanaryConfiguration and
// DeploymentLifecycleHook in the ECS API reference; hooks per service in the
// ECS quotas; the times in the developer guide's pause-lifecycle-hooks.html.
const (
	bakeMinutesMax        = 1440
	hooksMax              = 10 // of each target type
	pauseMinutesMax       = 14 * 24 * 60
	lambdaMinutesMax      = 24 * 60
	hookMinutes           = 1440
	linearPercent         = 10.0
	linearPercentMin      = 3.0
	linearBakeMinutes     = 6
	canaryPercent         = 5.0
	canaryPercentMin      = 0.1
	canaryBakeMinutes     = 10
	stageMax              = 24 * time.Hour
	deploymentMax         = 30 * 24 * time.Hour
	preProductionShift    = types.ServiceDeploymentLifecycleStage(types.DeploymentLifecycleHookStagePreProductionTrafficShift)
	strategyWithoutStages = types.DeploymentStrategyRolling
)

// strategyConfiguration lays the members of in that belong to a strategy over
// out, whose other members are complete.
func strategyConfiguration(out *types.DeploymentConfiguration, in *types.DeploymentConfiguration) error {
	before := out.Strategy
	if in.Strategy != "" {
		out.Strategy = in.Strategy
	}
	name := out.Strategy
	if !slices.Contains(name.Values(), name) {
		return invalid("deploymentConfiguration.strategy must be one of %v", name.Values())
	}
	if name == types.DeploymentStrategyBlueGreen && before != name && in.BakeTimeInMinutes == nil {
		return invalid("bakeTimeInMinutes must be specified for BLUE_GREEN deployment strategy")
	}
	if b := in.BakeTimeInMinutes; b != nil && (*b < 0 || *b > bakeMinutesMax) {
		return invalid("bakeTimeInMinutes must be between 0 and %d", bakeMinutesMax)
	}
	overlay(&out.BakeTimeInMinutes, in.BakeTimeInMinutes)
	if err := earlySuccess(out, in.EarlySuccessCriteria); err != nil {
		return err
	}
	if err := linear(out, in.LinearConfiguration); err != nil {
		return err
	}
	if err := canary(out, in.CanaryConfiguration); err != nil {
		return err
	}
	if in.LifecycleHooks == nil {
		return nil
	}
	if name == strategyWithoutStages && len(in.LifecycleHooks) > 0 {
		return invalid("Lifecycle hooks not supported for %s deployment strategy", name)
	}
	var err error
	out.LifecycleHooks, err = lifecycleHooks(in.LifecycleHooks)
	return err
}

func earlySuccess(out *types.DeploymentConfiguration, in *types.DeploymentEarlySuccessCriteria) error {
	if in != nil {
		next := clone(*in)
		next.HealthyPercent = orInt(next.HealthyPercent, 100)
		if next.SourceServiceRevisionCleanup == "" {
			next.SourceServiceRevisionCleanup = types.ServiceRevisionCleanupBlocking
		}
		out.EarlySuccessCriteria = &next
	}
	c := out.EarlySuccessCriteria
	if c == nil || !c.Enable {
		return nil
	}
	switch p := *c.HealthyPercent; {
	case out.Strategy != types.DeploymentStrategyRolling:
		return invalid("Early success criteria not supported for %s deployment strategy", out.Strategy)
	case p < 0 || p > 100:
		return invalid("earlySuccessCriteria.healthyPercent must be between 0 and 100")
	case p < aws.ToInt32(out.MinimumHealthyPercent):
		return invalid("earlySuccessCriteria.healthyPercent must be greater than or equal to minimumHealthyPercent")
	case !slices.Contains(c.SourceServiceRevisionCleanup.Values(), c.SourceServiceRevisionCleanup):
		return invalid("earlySuccessCriteria.sourceServiceRevisionCleanup must be one of %v", c.SourceServiceRevisionCleanup.Values())
	}
	return nil
}

func linear(out *types.DeploymentConfiguration, in *types.LinearConfiguration) error {
	if out.Strategy != types.DeploymentStrategyLinear {
		out.LinearConfiguration = nil
		if in != nil {
			return invalid("linearConfiguration is only valid with deployment strategy LINEAR")
		}
		return nil
	}
	overlay(&out.LinearConfiguration, in)
	if out.LinearConfiguration == nil {
		out.LinearConfiguration = &types.LinearConfiguration{}
	}
	c := out.LinearConfiguration
	if c.StepPercent == nil {
		c.StepPercent = aws.Float64(linearPercent)
	}
	c.StepBakeTimeInMinutes = orInt(c.StepBakeTimeInMinutes, linearBakeMinutes)
	switch {
	case !tenths(*c.StepPercent, linearPercentMin):
		return invalid("linearConfiguration.stepPercent must be a multiple of 0.1 from %.1f to 100.0", linearPercentMin)
	case *c.StepBakeTimeInMinutes < 0 || *c.StepBakeTimeInMinutes > bakeMinutesMax:
		return invalid("linearConfiguration.stepBakeTimeInMinutes must be between 0 and %d", bakeMinutesMax)
	}
	return nil
}

func canary(out *types.DeploymentConfiguration, in *types.CanaryConfiguration) error {
	if out.Strategy != types.DeploymentStrategyCanary {
		out.CanaryConfiguration = nil
		if in != nil {
			return invalid("canaryConfiguration is only valid with deployment strategy CANARY")
		}
		return nil
	}
	overlay(&out.CanaryConfiguration, in)
	if out.CanaryConfiguration == nil {
		out.CanaryConfiguration = &types.CanaryConfiguration{}
	}
	c := out.CanaryConfiguration
	if c.CanaryPercent == nil {
		c.CanaryPercent = aws.Float64(canaryPercent)
	}
	c.CanaryBakeTimeInMinutes = orInt(c.CanaryBakeTimeInMinutes, canaryBakeMinutes)
	switch {
	case !tenths(*c.CanaryPercent, canaryPercentMin):
		return invalid("canaryConfiguration.canaryPercent must be a multiple of 0.1 from %.1f to 100.0", canaryPercentMin)
	case *c.CanaryBakeTimeInMinutes < 0 || *c.CanaryBakeTimeInMinutes > bakeMinutesMax:
		return invalid("canaryConfiguration.canaryBakeTimeInMinutes must be between 0 and %d", bakeMinutesMax)
	}
	return nil
}

// tenths: v is a multiple of 0.1 from low to 100.
func tenths(v, low float64) bool {
	return v >= low && v <= 100 && math.Abs(v*10-math.Round(v*10)) < 1e-6
}

// lifecycleHooks checks hooks and fills in their defaults.
func lifecycleHooks(in []types.DeploymentLifecycleHook) ([]types.DeploymentLifecycleHook, error) {
	out := clone(in)
	count := map[types.DeploymentLifecycleHookTargetType]int{}
	for i := range out {
		h := &out[i]
		if h.TargetType == "" {
			h.TargetType = types.DeploymentLifecycleHookTargetTypeAwsLambda
		}
		if h.TimeoutConfiguration == nil {
			h.TimeoutConfiguration = &types.DeploymentLifecycleHookTimeoutConfiguration{}
		}
		h.TimeoutConfiguration.TimeoutInMinutes = orInt(h.TimeoutConfiguration.TimeoutInMinutes, hookMinutes)
		if h.TimeoutConfiguration.Action == "" {
			h.TimeoutConfiguration.Action = types.DeploymentLifecycleHookActionRollback
		}
		if err := validHook(h); err != nil {
			return nil, err
		}
		if count[h.TargetType]++; count[h.TargetType] > hooksMax {
			return nil, invalid("lifecycleHooks can have at most %d hooks of target type %s", hooksMax, h.TargetType)
		}
	}
	return out, nil
}

func validHook(h *types.DeploymentLifecycleHook) error {
	limit := int32(pauseMinutesMax)
	switch h.TargetType {
	case types.DeploymentLifecycleHookTargetTypeAwsLambda:
		limit = lambdaMinutesMax
		if !strings.HasPrefix(aws.ToString(h.HookTargetArn), "arn:aws:lambda:") {
			return invalid("lifecycleHooks.hookTargetArn must be the ARN of a Lambda function")
		}
		if aws.ToString(h.RoleArn) == "" {
			return invalid("lifecycleHooks.roleArn must be given for AWS_LAMBDA hooks")
		}
	case types.DeploymentLifecycleHookTargetTypePause:
		if h.HookTargetArn != nil {
			return invalid("lifecycleHooks.hookTargetArn is not supported for PAUSE hooks")
		}
	default:
		return invalid("lifecycleHooks.targetType must be one of %v", h.TargetType.Values())
	}
	if len(h.LifecycleStages) == 0 {
		return invalid("lifecycleHooks.lifecycleStages can not be empty.")
	}
	for _, s := range h.LifecycleStages {
		shift := s == types.DeploymentLifecycleHookStageTestTrafficShift || s == types.DeploymentLifecycleHookStageProductionTrafficShift
		if !slices.Contains(s.Values(), s) {
			return invalid("lifecycleHooks.lifecycleStages must be of %v", s.Values())
		}
		if shift && h.TargetType == types.DeploymentLifecycleHookTargetTypePause {
			return invalid("PAUSE hooks are not supported at lifecycle stage %s", s)
		}
	}
	t := h.TimeoutConfiguration
	if m := *t.TimeoutInMinutes; m < 1 || m > limit {
		return invalid("lifecycleHooks.timeoutConfiguration.timeoutInMinutes must be between 1 and %d", limit)
	}
	if !slices.Contains(t.Action.Values(), t.Action) {
		return invalid("lifecycleHooks.timeoutConfiguration.action must be one of %v", t.Action.Values())
	}
	return nil
}

// shiftable refuses load balancers between which a strategy could not shift
// traffic.
func shiftable(c types.DeploymentConfiguration, lbs []types.LoadBalancer) error {
	if c.Strategy == strategyWithoutStages {
		return nil
	}
	if c.Strategy != types.DeploymentStrategyBlueGreen && len(lbs) == 0 {
		return invalid("loadBalancers must be specified for %s deployment strategy", c.Strategy)
	}
	for _, lb := range lbs {
		if lb.AdvancedConfiguration == nil {
			return invalid("advancedConfiguration must be specified for each load balancer with %s deployment strategy", c.Strategy)
		}
	}
	return nil
}

// steps is how much of the production traffic the target revision has after
// each shift, and how long each but the last is baked.
func steps(c types.DeploymentConfiguration) (percents []float64, bake time.Duration) {
	switch c.Strategy {
	case types.DeploymentStrategyLinear:
		step := *c.LinearConfiguration.StepPercent
		for n := 1.0; n*step < 100-1e-6; n++ {
			percents = append(percents, math.Round(n*step*10)/10)
		}
		bake = minutes(c.LinearConfiguration.StepBakeTimeInMinutes)
	case types.DeploymentStrategyCanary:
		if p := *c.CanaryConfiguration.CanaryPercent; p < 100 {
			percents = append(percents, p)
		}
		bake = minutes(c.CanaryConfiguration.CanaryBakeTimeInMinutes)
	}
	return append(percents, 100), bake
}

func minutes(n *int32) time.Duration { return time.Duration(aws.ToInt32(n)) * time.Minute }
