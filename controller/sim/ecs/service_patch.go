package ecs

import (
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
)

// patch lays in over s and returns the revision that results.
func (e *Engine) patch(s *service, in *awsecs.UpdateServiceInput) (revisionSpec, error) {
	spec := s.primary().spec
	var err error
	if in.TaskDefinition != nil {
		if spec.td, err = e.usableTaskDefinition(*in.TaskDefinition, client); err != nil {
			return spec, err
		}
	}
	if in.NetworkConfiguration != nil {
		if spec.network, err = network(in.NetworkConfiguration); err != nil {
			return spec, err
		}
	}
	if in.PlatformVersion != nil {
		if spec.platform, err = platform(in.PlatformVersion); err != nil {
			return spec, err
		}
	}
	if in.LoadBalancers != nil {
		spec.lbs = clone(in.LoadBalancers)
	}
	if err = specRunnable(spec); err != nil {
		return spec, err
	}
	if s.config, err = deploymentConfiguration(s.config, in.DeploymentConfiguration); err != nil {
		return spec, err
	}
	if err = shiftable(s.config, spec.lbs); err != nil {
		return spec, err
	}
	if err = s.setGrace(in.HealthCheckGracePeriodSeconds); err != nil {
		return spec, err
	}
	if in.DesiredCount != nil {
		if s.desired = int(*in.DesiredCount); s.desired < 0 {
			return spec, invalid("desiredCount must not be negative.")
		}
		if s.desired > e.cfg.Quotas.TasksPerService {
			return spec, e.tooManyTasks()
		}
	}
	if in.CapacityProviderStrategy != nil {
		if s.launchType, s.strategy, err = s.cluster.launchOn("", in.CapacityProviderStrategy); err != nil {
			return spec, err
		}
	}
	if in.PropagateTags != "" {
		if s.propagate, err = propagation(in.PropagateTags); err != nil {
			return spec, err
		}
	}
	if in.AvailabilityZoneRebalancing != "" {
		s.balancing = in.AvailabilityZoneRebalancing
	}
	if in.EnableECSManagedTags != nil {
		s.managedTags = *in.EnableECSManagedTags
	}
	if in.EnableExecuteCommand != nil {
		s.executeCommand = *in.EnableExecuteCommand
	}
	return spec, nil
}
