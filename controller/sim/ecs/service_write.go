package ecs

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// service finds a service by name or ARN in a cluster, in whatever status.
func (e *Engine) service(clusterRef, ref *string) (*service, error) {
	name := aws.ToString(ref)
	c, err := e.cluster(clusterRef)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "arn:") {
		kind, path, ok := e.resource(name)
		if !ok || kind != "service" || len(path) == 0 || len(path) == 2 && path[0] != c.name {
			return nil, invalid("Invalid service identifier: %s", name)
		}
		name = path[len(path)-1]
	}
	if s := c.services[name]; s != nil && !e.forgotten(s) {
		return s, nil
	}
	return nil, &types.ServiceNotFoundException{Message: aws.String("Service not found.")}
}

func (e *Engine) forgotten(s *service) bool {
	return s.status == serviceInactive && e.now.Sub(s.steadyAt) > e.cfg.Timing.InactiveRetention
}

// CreateService makes a REPLICA service on Fargate with rolling deployments. The
// name must not be ACTIVE or DRAINING, except for a repetition with the same
// client token and members.
func (e *Engine) CreateService(_ context.Context, in *awsecs.CreateServiceInput) (*awsecs.CreateServiceOutput, error) {
	if err := creatable(in); err != nil {
		return nil, err
	}
	if err := e.targetGroups(in.LoadBalancers); err != nil {
		return nil, err
	}
	if err := e.knownAlarms(in.DeploymentConfiguration); err != nil {
		return nil, err
	}
	zones, err := e.knownNetwork(in.NetworkConfiguration)
	if err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	maps.Copy(e.zones, zones)
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	e.makeRole()
	if err := e.assumeRole(); err != nil {
		return nil, err
	}
	if old := c.services[*in.ServiceName]; old != nil {
		switch {
		case old.status == serviceDraining:
			return nil, invalid("Unable to Start a service that is still Draining.")
		case old.status == serviceActive && old.token != "" && old.token == aws.ToString(in.ClientToken) && reflect.DeepEqual(old.asked, *in):
			return &awsecs.CreateServiceOutput{Service: new(e.viewService(old, false))}, nil
		case old.status == serviceActive:
			return nil, invalid("Creation of service was not idempotent.")
		}
	}
	if err := e.roomFor(c, int(*in.DesiredCount)); err != nil {
		return nil, err
	}
	s, spec, err := e.newService(c, in)
	if err != nil {
		return nil, err
	}
	c.services[s.name] = s
	if kind, _ := foreignController(in.DeploymentController); kind != "" { // creatable saw its errors
		s.keep(spec, kind)
	} else {
		e.deploy(s, spec)
	}
	return &awsecs.CreateServiceOutput{Service: new(e.viewService(s, true))}, nil
}

// creatable refuses what is not modelled or incomplete.
func creatable(in *awsecs.CreateServiceInput) error {
	if err := only(in, "", "ServiceName", "AvailabilityZoneRebalancing", "CapacityProviderStrategy", "ClientToken", "Cluster",
		"DeploymentConfiguration", "DeploymentController", "DesiredCount", "EnableECSManagedTags", "EnableExecuteCommand",
		"HealthCheckGracePeriodSeconds", "LaunchType", "LoadBalancers", "NetworkConfiguration", "PlatformVersion", "PropagateTags",
		"SchedulingStrategy", "ServiceConnectConfiguration", "Tags", "TaskDefinition"); err != nil {
		return err
	}
	kind, err := foreignController(in.DeploymentController)
	if err != nil {
		return err
	}
	switch {
	case !nameRE.MatchString(aws.ToString(in.ServiceName)):
		return invalid("Invalid service name. It must match %s", nameRE)
	case in.TaskDefinition == nil && kind != types.DeploymentControllerTypeExternal:
		return invalid("TaskDefinition can not be blank.")
	case in.DesiredCount == nil || *in.DesiredCount < 0:
		return invalid("desiredCount must be given and must not be negative.")
	case in.SchedulingStrategy != "" && in.SchedulingStrategy != types.SchedulingStrategyReplica:
		return unsupported("schedulingStrategy %s is not modelled by this local account; use REPLICA", in.SchedulingStrategy)
	case len(aws.ToString(in.ClientToken)) > 36:
		return invalid("clientToken must have at most 36 characters.")
	}
	if kind != "" {
		if err := checkForeign(kind, in); err != nil {
			return err
		}
	}
	return connectable(in.ServiceConnectConfiguration)
}

func connectable(connect *types.ServiceConnectConfiguration) error {
	if connect != nil && connect.Enabled {
		return &types.NamespaceNotFoundException{Message: aws.String("The specified namespace was not found: " + aws.ToString(connect.Namespace))}
	}
	return nil
}

// UpdateService is a merge-patch: absent members stay. A new deployment begins
// only if a member of the revision changes its value, or by force; the answer
// shows it at once.
func (e *Engine) UpdateService(_ context.Context, in *awsecs.UpdateServiceInput) (*awsecs.UpdateServiceOutput, error) {
	if err := only(in, "", "Service", "AvailabilityZoneRebalancing", "CapacityProviderStrategy", "Cluster", "DeploymentConfiguration",
		"DeploymentController", "DesiredCount", "EnableECSManagedTags", "EnableExecuteCommand", "ForceNewDeployment",
		"HealthCheckGracePeriodSeconds", "LoadBalancers", "NetworkConfiguration", "PlatformVersion", "PropagateTags",
		"ServiceConnectConfiguration", "TaskDefinition"); err != nil {
		return nil, err
	}
	if err := connectable(in.ServiceConnectConfiguration); err != nil {
		return nil, err
	}
	if err := e.targetGroups(in.LoadBalancers); err != nil {
		return nil, err
	}
	if err := e.knownAlarms(in.DeploymentConfiguration); err != nil {
		return nil, err
	}
	zones, err := e.knownNetwork(e.networkAfter(in))
	if err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	maps.Copy(e.zones, zones)
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if s.status != serviceActive {
		return nil, &types.ServiceNotActiveException{Message: aws.String("Service was not ACTIVE.")}
	}
	if c := in.DeploymentController; c != nil && c.Type != e.controller(s) {
		return nil, unsupported("a change of deploymentController is not modelled by this local account")
	}
	if err := e.ownDeployments(s, in); err != nil {
		return nil, err
	}
	if s.foreign != "" {
		return e.updateForeign(s, in)
	}
	if err := e.assumeRole(); err != nil && startsDeployment(in) {
		return nil, err
	}
	e.heartbeat(s)
	next := *s // nothing changes unless everything is valid
	spec, err := e.patch(&next, in)
	if err != nil {
		return nil, err
	}
	e.rememberStale(s)
	next.stale, next.staleUntil = s.stale, s.staleUntil
	countChanged := next.desired != s.desired
	*s = next
	p := s.primary()
	switch {
	case in.ForceNewDeployment || !spec.same(p.spec):
		e.deploy(s, spec)
	case countChanged:
		p.updatedAt = e.now
		s.steadyAt = time.Time{}
		e.tell(s, "SERVICE_DESIRED_COUNT_UPDATED", nil, "")
	}
	e.touch(s)
	return &awsecs.UpdateServiceOutput{Service: new(e.viewService(s, false))}, nil
}

// startsDeployment holds for what may begin a new deployment.
func startsDeployment(in *awsecs.UpdateServiceInput) bool {
	return in.ForceNewDeployment || in.TaskDefinition != nil || in.NetworkConfiguration != nil || in.PlatformVersion != nil || in.LoadBalancers != nil
}

// networkAfter is the network that an update's new deployment would use: its own, else the service's; nil where none begins.
func (e *Engine) networkAfter(in *awsecs.UpdateServiceInput) *types.NetworkConfiguration {
	if in.NetworkConfiguration != nil || !startsDeployment(in) || e.cfg.VPC == nil {
		return in.NetworkConfiguration
	}
	e.lock()
	defer e.unlock()
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil // told later
	}
	return new(clone(s.primary().spec.network))
}

// rememberStale keeps what DescribeServices may go on showing for a while.
func (e *Engine) rememberStale(s *service) {
	if e.cfg.Doubts.StaleReadMax > 0 {
		s.stale = new(e.viewService(s, true))
		s.staleUntil = e.now.Add(upTo(e.cfg.Doubts.StaleReadMax, e.random("stale "+s.arn)))
	}
}

// taskTags is what a task of the service is born with.
func (s *service) taskTags(td *taskDefinition) tags {
	t := tags{}
	switch s.propagate {
	case types.PropagateTagsService:
		maps.Copy(t, s.tags)
	case types.PropagateTagsTaskDefinition:
		maps.Copy(t, td.tags)
	}
	if s.managedTags {
		t["aws:ecs:clusterName"], t["aws:ecs:serviceName"] = s.cluster.name, s.name
	}
	return t
}
