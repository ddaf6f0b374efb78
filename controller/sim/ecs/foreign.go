package ecs

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// A service whose deployment controller is CODE_DEPLOY or EXTERNAL is kept and shown, and what ECS's own deployments would
// do to it is refused. Its task sets are another's to make: it has none here, and nothing runs.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentController.html

// foreignController answers the deployment controller that an input asks for where it is not ECS itself.
func foreignController(in *types.DeploymentController) (types.DeploymentControllerType, error) {
	if in == nil || in.Type == types.DeploymentControllerTypeEcs {
		return "", nil
	}
	switch in.Type {
	case types.DeploymentControllerTypeCodeDeploy, types.DeploymentControllerTypeExternal:
		return in.Type, nil
	}
	return "", invalid("deploymentController.type must be one of %v.", in.Type.Values())
}

// checkForeign refuses members that a service of another deployment controller cannot have.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
func checkForeign(kind types.DeploymentControllerType, in *awsecs.CreateServiceInput) error {
	breaker := in.DeploymentConfiguration != nil && in.DeploymentConfiguration.DeploymentCircuitBreaker != nil &&
		in.DeploymentConfiguration.DeploymentCircuitBreaker.Enable
	strategy := types.DeploymentStrategyRolling
	if in.DeploymentConfiguration != nil {
		strategy = cmp.Or(in.DeploymentConfiguration.Strategy, strategy)
	}
	switch {
	case breaker:
		return invalid("The deployment circuit breaker can only be used with the ECS deployment controller.")
	case strategy != types.DeploymentStrategyRolling:
		return invalid("The deployment strategy %s can only be used with the ECS deployment controller.", strategy)
	case kind == types.DeploymentControllerTypeExternal && in.TaskDefinition != nil:
		return invalid("TaskDefinition must not be specified for services with a EXTERNAL deployment controller; it is a task set's.")
	case kind == types.DeploymentControllerTypeCodeDeploy && len(in.LoadBalancers) == 0:
		return invalid("A load balancer is required for services with a CODE_DEPLOY deployment controller.")
	case kind == types.DeploymentControllerTypeCodeDeploy && in.AvailabilityZoneRebalancing == types.AvailabilityZoneRebalancingEnabled:
		return invalid("availabilityZoneRebalancing is not supported for services with a CODE_DEPLOY deployment controller.")
	}
	return nil
}

// keep gives a service of another controller a revision that never becomes a deployment.
func (s *service) keep(spec revisionSpec, kind types.DeploymentControllerType) {
	s.foreign = kind
	s.deployments = []*deployment{{svc: s, spec: spec}}
}

// showForeign is what differs from a service that ECS deploys: no deployments, and the task sets in their place.
func (s *service) showForeign(v *types.Service) {
	if s.foreign == "" {
		return
	}
	v.Deployments, v.TaskSets = []types.Deployment{}, []types.TaskSet{}
	if s.foreign == types.DeploymentControllerTypeExternal {
		v.NetworkConfiguration, v.PlatformVersion, v.PlatformFamily = nil, nil, nil
	}
}

// updateForeign changes what is the service's own: the count, the grace period, tags' propagation.
func (e *Engine) updateForeign(s *service, in *awsecs.UpdateServiceInput) (*awsecs.UpdateServiceOutput, error) {
	next := *s
	if in.DesiredCount != nil {
		if next.desired = int(*in.DesiredCount); next.desired < 0 {
			return nil, invalid("desiredCount must not be negative.")
		}
		if next.desired > e.cfg.Quotas.TasksPerService {
			return nil, e.tooManyTasks()
		}
	}
	if err := next.setGrace(in.HealthCheckGracePeriodSeconds); err != nil {
		return nil, err
	}
	var err error
	if in.DeploymentConfiguration != nil {
		if next.config, err = deploymentConfiguration(s.config, in.DeploymentConfiguration); err != nil {
			return nil, err
		}
	}
	if in.PropagateTags != "" {
		if next.propagate, err = propagation(in.PropagateTags); err != nil {
			return nil, err
		}
	}
	next.executeCommand = cmp.Or(aws.ToBool(in.EnableExecuteCommand), next.executeCommand && in.EnableExecuteCommand == nil)
	*s = next
	return &awsecs.UpdateServiceOutput{Service: new(e.viewService(s, false))}, nil
}
