package ecs

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func (e *Engine) newService(c *cluster, in *awsecs.CreateServiceInput) (*service, revisionSpec, error) {
	s := &service{
		name: *in.ServiceName, arn: e.arn("service", c.name, *in.ServiceName), cluster: c, status: serviceActive,
		createdAt: e.now, token: aws.ToString(in.ClientToken), asked: clone(*in), desired: int(*in.DesiredCount),
		managedTags: in.EnableECSManagedTags, executeCommand: in.EnableExecuteCommand, balancing: in.AvailabilityZoneRebalancing,
	}
	if s.balancing == "" {
		s.balancing = types.AvailabilityZoneRebalancingEnabled
	}
	spec, err := e.newSpec(s, in)
	if err != nil {
		return nil, spec, err
	}
	if s.config, err = deploymentConfiguration(freshConfiguration(), in.DeploymentConfiguration); err != nil {
		return nil, spec, err
	}
	if err = shiftable(s.config, spec.lbs); err != nil {
		return nil, spec, err
	}
	if s.propagate, err = propagation(in.PropagateTags); err != nil {
		return nil, spec, err
	}
	if s.tags, err = newTags(in.Tags); err != nil {
		return nil, spec, err
	}
	if err = s.setGrace(in.HealthCheckGracePeriodSeconds); err != nil {
		return nil, spec, err
	}
	if s.grace == 0 && s.graceSeconds == nil && len(spec.lbs) > 0 {
		s.graceSeconds = aws.Int32(0)
	}
	rnd := e.random("service " + s.arn)
	s.period = e.cfg.Timing.Tick.draw(rnd)
	s.phase = e.now.Add(-upTo(s.period-1, rnd))
	return s, spec, nil
}

// newSpec is the first revision of a service, without anything where task sets carry it.
func (e *Engine) newSpec(s *service, in *awsecs.CreateServiceInput) (spec revisionSpec, err error) {
	if kind, _ := foreignController(in.DeploymentController); kind == types.DeploymentControllerTypeExternal {
		s.launchType = in.LaunchType
		return spec, nil
	}
	if spec.td, err = e.usableTaskDefinition(*in.TaskDefinition, client); err != nil {
		return spec, err
	}
	if s.launchType, s.strategy, err = s.cluster.launchOn(in.LaunchType, in.CapacityProviderStrategy); err != nil {
		return spec, err
	}
	if spec.network, err = network(in.NetworkConfiguration); err != nil {
		return spec, err
	}
	if spec.platform, err = platform(in.PlatformVersion); err != nil {
		return spec, err
	}
	spec.lbs = clone(in.LoadBalancers)
	return spec, specRunnable(spec)
}

// revision is the ARN of the task definition, nil where there is none.
func (spec revisionSpec) revision() *string {
	if spec.td == nil {
		return nil
	}
	return aws.String(spec.td.arn)
}

func specRunnable(spec revisionSpec) error {
	if err := runnable(spec.td); err != nil {
		return err
	}
	return balanced(spec.lbs, spec.td)
}
