package ecs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// DescribeServices describes up to 10 services, DRAINING and INACTIVE ones too;
// absent ones are failures with reason MISSING.
func (e *Engine) DescribeServices(_ context.Context, in *awsecs.DescribeServicesInput) (*awsecs.DescribeServicesOutput, error) {
	switch n := len(in.Services); {
	case n == 0:
		return nil, invalid("Services cannot be empty.")
	case n > 10:
		return nil, invalid("Services cannot have more than 10 elements.")
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	withTags := slices.Contains(in.Include, types.ServiceFieldTags)
	out := &awsecs.DescribeServicesOutput{Services: []types.Service{}, Failures: []types.Failure{}}
	for _, ref := range in.Services {
		s, err := e.service(in.Cluster, &ref)
		if err != nil {
			arn := ref
			if !strings.HasPrefix(arn, "arn:") {
				arn = e.arn("service", c.name, ref)
			}
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		out.Services = append(out.Services, e.readService(s, withTags))
	}
	return out, nil
}

// readService is a read, which may be stale.
func (e *Engine) readService(s *service, withTags bool) types.Service {
	if s.stale == nil || !e.now.Before(s.staleUntil) {
		s.stale = nil
		return e.viewService(s, withTags)
	}
	v := *s.stale // as it was told once, and what is told is not changed
	if !withTags {
		v.Tags = nil
	}
	return v
}

// ListServices lists the ARNs of ACTIVE services; pages have 10 unless asked
// otherwise.
func (e *Engine) ListServices(_ context.Context, in *awsecs.ListServicesInput) (*awsecs.ListServicesOutput, error) {
	if err := only(in, "", "Cluster", "LaunchType", "MaxResults", "NextToken", "SchedulingStrategy"); err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	keys := []string{}
	for _, s := range c.services {
		if s.status == serviceActive && (in.LaunchType == "" || in.LaunchType == s.launchType) && in.SchedulingStrategy != types.SchedulingStrategyDaemon {
			keys = append(keys, s.arn)
		}
	}
	slices.Sort(keys)
	keys, next, err := e.page(listing("ListServices", c.name, string(in.LaunchType), string(in.SchedulingStrategy)), keys, false, in.NextToken, in.MaxResults, 10)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListServicesOutput{ServiceArns: keys, NextToken: next}, nil
}

// viewService shows a service. What it shares with the service is replaced there, never changed: an answer stays as it was given.
func (e *Engine) viewService(s *service, withTags bool) types.Service {
	if s.status == serviceActive {
		e.heartbeat(s)
	}
	p := s.primary()
	v := types.Service{
		ServiceArn: aws.String(s.arn), ServiceName: aws.String(s.name), ClusterArn: aws.String(s.cluster.arn),
		Status: aws.String(string(s.status)), CreatedAt: when(s.createdAt), DesiredCount: int32(s.desired),
		CreatedBy:      aws.String("arn:aws:iam::" + e.cfg.Account + ":root"),
		RoleArn:        aws.String("arn:aws:iam::" + e.cfg.Account + ":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"),
		TaskDefinition: p.spec.revision(), NetworkConfiguration: new(p.spec.network),
		LoadBalancers: orEmpty(p.spec.lbs), PlatformVersion: aws.String(p.spec.platform), PlatformFamily: aws.String("Linux"),
		LaunchType: s.launchType, CapacityProviderStrategy: s.strategy,
		DeploymentConfiguration: new(s.config), DeploymentController: &types.DeploymentController{Type: e.controller(s)},
		SchedulingStrategy: types.SchedulingStrategyReplica, AvailabilityZoneRebalancing: s.balancing,
		PropagateTags: s.propagate, EnableECSManagedTags: s.managedTags, EnableExecuteCommand: s.executeCommand,
		HealthCheckGracePeriodSeconds: clone(s.graceSeconds), ServiceRegistries: []types.ServiceRegistry{},
		PlacementConstraints: []types.PlacementConstraint{}, PlacementStrategy: []types.PlacementStrategy{},
		ResourceManagementType: types.ResourceManagementTypeCustomer,
		Deployments:            []types.Deployment{}, Events: orEmpty(s.events),
	}
	if e.cfg.Doubts.LiveTargetGroupShown {
		v.LoadBalancers = s.swapped()
	}
	s.showForeign(&v)
	if s.status != serviceInactive && s.foreign == "" {
		for _, d := range s.deployments {
			v.Deployments = append(v.Deployments, e.viewDeployment(d))
			v.RunningCount += v.Deployments[len(v.Deployments)-1].RunningCount
			v.PendingCount += v.Deployments[len(v.Deployments)-1].PendingCount
			if sum := e.revisionSummary(d); sum.RunningTaskCount+sum.PendingTaskCount > 0 {
				v.CurrentServiceRevisions = append(v.CurrentServiceRevisions, summaryOf(sum))
			}
		}
		if r := s.currentRecord(); r != nil && e.visible(r) && (r.open() || e.cfg.Doubts.CurrentServiceDeploymentKept) {
			v.CurrentServiceDeployment = aws.String(r.arn)
		}
	}
	if withTags {
		v.Tags = s.tags.list()
	}
	return v
}

// currentRecord is the newest service deployment.
func (s *service) currentRecord() *record {
	if len(s.records) == 0 {
		return nil
	}
	return s.records[len(s.records)-1]
}

func summaryOf(s types.ServiceRevisionSummary) types.ServiceCurrentRevisionSummary {
	return types.ServiceCurrentRevisionSummary{
		Arn: s.Arn, PendingTaskCount: s.PendingTaskCount, RequestedTaskCount: s.RequestedTaskCount, RunningTaskCount: s.RunningTaskCount,
	}
}

func (e *Engine) viewDeployment(d *deployment) types.Deployment {
	s := d.svc
	v := types.Deployment{
		Id: aws.String(d.id()), Status: aws.String("ACTIVE"), TaskDefinition: aws.String(d.spec.td.arn),
		CreatedAt: when(d.createdAt), UpdatedAt: when(d.updatedAt), DesiredCount: int32(d.keep),
		FailedTasks: int32(d.failedSeen), LaunchType: s.launchType, CapacityProviderStrategy: s.strategy,
		PlatformFamily: aws.String("Linux"), PlatformVersion: aws.String(resolvedPlatform(d.spec.platform)),
		NetworkConfiguration: new(d.spec.network),
		RolloutState:         d.state, RolloutStateReason: aws.String(d.reason),
	}
	if e.cfg.Doubts.DrainingDeploymentsShown {
		v.Status = aws.String("DRAINING")
	}
	if d == s.primary() {
		v.Status, v.DesiredCount = aws.String("PRIMARY"), int32(s.desired)
	}
	if d.failed && e.now.Before(d.shownFailedAt) {
		v.RolloutState = types.DeploymentRolloutStateInProgress
		v.RolloutStateReason = aws.String("ECS deployment " + d.id() + " in progress.")
	}
	sum := e.revisionSummary(d)
	v.RunningCount, v.PendingCount = sum.RunningTaskCount, sum.PendingTaskCount
	return v
}
