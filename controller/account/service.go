package account

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// servicesPerCall is DescribeServices' limit.
const servicesPerCall = 10

// placement is how the service's tasks are placed: a one-off task of the service's is placed in the same way.
type placement struct {
	network    *types.NetworkConfiguration
	launchType types.LaunchType
	providers  []types.CapacityProviderStrategyItem
	platform   string
}

// describeService fills in what DescribeServices says. A service that does not exist is StatusMissing, not an error; an
// answer that has neither the service nor its absence is an error: a short listing never means that it is gone.
func (a *Account) describeService(ctx context.Context, s stack, fresh freshness, into *observed.Service) error {
	if _, noticed := a.noticed.get(s.key(), a.opts.ServiceAge); noticed {
		fresh.wanted = true
	}
	_, meanwhile := a.noticed.get(s.key(), fresh.pass())
	if recent, ok := a.looks.get(s.key(), fresh.within(a.opts.ServiceAge)); ok && !meanwhile {
		recent.into(into)
		return nil
	}
	out, err := a.describer.ask(ctx, s.cluster, s.service)
	if err = deed(err, "describe service %s in cluster %s", s.service, s.cluster); fault.Is(err, fault.NotFound) {
		return blocked(err)
	}
	if err != nil {
		return err
	}
	switch found, mentioned := out[s.service]; {
	case !mentioned:
		return fmt.Errorf("describe service %s in cluster %s: the answer does not mention it", s.service, s.cluster)
	case found.failure == "":
		var seen look
		fillService(&seen.Service, found.is)
		a.alike(&seen.Service)
		a.place(s.key(), placementOf(found.is))
		a.looks.put(s.key(), seen)
		seen.into(into)
		return nil
	case found.failure == notThere:
		into.Status, into.Name = observed.StatusMissing, s.service
		return nil
	default:
		return fmt.Errorf("describe service %s in cluster %s: ECS says %s %s", s.service, s.cluster, found.failure, found.detail)
	}
}

// notThere is the failure that says that there is no such thing; any other says nothing about it.
const notThere = "MISSING"

// described is what ECS answers about one name: what it is, or why it does not say.
type described[V any] struct {
	is              V
	failure, detail string
}

func failed[V any](f types.Failure) described[V] {
	return described[V]{failure: cmp.Or(aws.ToString(f.Reason), "no reason"), detail: aws.ToString(f.Detail)}
}

func describeServices(clients *client.Clients) func(context.Context, string, []string) (map[string]described[types.Service], error) {
	return func(ctx context.Context, cluster string, services []string) (map[string]described[types.Service], error) {
		out, err := clients.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{
			Cluster: &cluster, Services: services, Include: []types.ServiceField{types.ServiceFieldTags},
		})
		if err != nil {
			return nil, err
		}
		found := map[string]described[types.Service]{}
		for _, f := range out.Failures {
			found[name(aws.ToString(f.Arn))] = failed[types.Service](f)
		}
		for _, s := range out.Services {
			found[aws.ToString(s.ServiceName)] = described[types.Service]{is: s}
		}
		return found, nil
	}
}

// look is what DescribeServices said, and nothing else.
type look struct{ observed.Service }

func (l look) into(s *observed.Service) {
	s.Status, s.ARN, s.Name, s.DeployedBy, s.TaskDefinition = l.Status, l.ARN, l.Name, l.DeployedBy, l.TaskDefinition
	s.Desired, s.Running, s.Pending = l.Desired, l.Running, l.Pending
	s.Deployments, s.Tags, s.TargetGroups, s.Events = slices.Clone(l.Deployments), l.Tags, l.TargetGroups, l.Events
}

// deployedBy is who makes the service's deployments where that is not ECS, or how ECS makes them where it does not roll; else it is empty.
// A strategy that is not told is ROLLING (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html).
func deployedBy(s types.Service) string {
	switch by, how := s.DeploymentController, s.DeploymentConfiguration; {
	case by != nil && by.Type != types.DeploymentControllerTypeEcs:
		return string(by.Type)
	case s.SchedulingStrategy == types.SchedulingStrategyDaemon:
		return string(s.SchedulingStrategy)
	case how != nil && how.Strategy != types.DeploymentStrategyRolling:
		return string(how.Strategy)
	}
	return ""
}

// fillService takes copies of its own of all that is kept for long: the SDK's texts of one answer share their memory, so that one of them
// keeps all of them, of ten services and their hundred events each.
func fillService(into *observed.Service, from types.Service) {
	into.Status = observed.Status(word(aws.ToString(from.Status)))
	into.ARN = own(from.ServiceArn)
	into.Name = own(from.ServiceName)
	into.DeployedBy = word(deployedBy(from))
	into.TaskDefinition = own(from.TaskDefinition)
	into.Desired, into.Running, into.Pending = int(from.DesiredCount), int(from.RunningCount), int(from.PendingCount)
	into.Tags = tagMap(from.Tags)
	for _, d := range from.Deployments {
		one := deploymentOf(d)
		if one.TaskDefinition == into.TaskDefinition {
			one.TaskDefinition = into.TaskDefinition
		}
		into.Deployments = append(into.Deployments, one)
	}
	for _, lb := range from.LoadBalancers {
		if arn := own(lb.TargetGroupArn); arn != "" {
			into.TargetGroups = append(into.TargetGroups, observed.TargetGroup{
				ARN: arn, Container: own(lb.ContainerName), Port: int(aws.ToInt32(lb.ContainerPort)),
			})
		}
	}
	for _, e := range from.Events { // client.ServiceEvents of them
		into.Events = append(into.Events, observed.Event{ID: own(e.Id), At: aws.ToTime(e.CreatedAt), Message: own(e.Message)})
	}
}

// alike takes the texts that the service's revision has as well from what is kept of that.
func (a *Account) alike(s *observed.Service) {
	r, ok := a.revisions.get(s.TaskDefinition, forever)
	if !ok {
		return
	}
	same := func(to *string, kept string) {
		if *to == kept {
			*to = kept
		}
	}
	same(&s.TaskDefinition, r.ARN)
	for i := range s.Deployments {
		same(&s.Deployments[i].TaskDefinition, r.ARN)
	}
	for key, value := range s.Tags {
		for _, kept := range []string{r.Ask, r.Fingerprint, r.Commit} {
			same(&value, kept)
		}
		s.Tags[key] = value
	}
}

func deploymentOf(d types.Deployment) observed.Deployment {
	return observed.Deployment{
		ID:             own(d.Id),
		Primary:        aws.ToString(d.Status) == "PRIMARY",
		TaskDefinition: own(d.TaskDefinition),
		Rollout:        observed.RolloutState(word(string(d.RolloutState))),
		Reason:         own(d.RolloutStateReason),
		Desired:        int(d.DesiredCount),
		Running:        int(d.RunningCount),
		Pending:        int(d.PendingCount),
		Failed:         int(d.FailedTasks),
		CreatedAt:      aws.ToTime(d.CreatedAt),
		UpdatedAt:      aws.ToTime(d.UpdatedAt),
	}
}

func placementOf(from types.Service) placement {
	return placement{
		network: from.NetworkConfiguration, launchType: from.LaunchType,
		providers: from.CapacityProviderStrategy, platform: aws.ToString(from.PlatformVersion),
	}
}

// place keeps how a service is placed. Most services of an account are placed alike, and share one.
func (a *Account) place(key string, p placement) {
	if last, ok := a.services.get(key, forever); ok && reflect.DeepEqual(*last, p) {
		a.services.put(key, last)
		return
	}
	content, err := json.Marshal([]any{p.network, p.launchType, p.providers, p.platform})
	if err != nil {
		a.services.put(key, &p)
		return
	}
	if alike, ok := a.placements.get(string(content), forever); ok {
		a.services.put(key, alike)
		return
	}
	p = placement{detached(p.network), types.LaunchType(word(string(p.launchType))), detached(p.providers), word(p.platform)}
	a.placements.put(string(content), &p)
	a.services.put(key, &p)
}

// placement answers how the service's tasks are placed, from the last observation where there is one.
func (a *Account) placement(ctx context.Context, s stack) (placement, error) {
	if p, ok := a.services.get(s.key(), forever); ok {
		return *p, nil
	}
	if err := a.describeService(ctx, s, freshness{wanted: true}, &observed.Service{}); err != nil {
		return placement{}, err
	}
	if p, ok := a.services.get(s.key(), forever); ok {
		return *p, nil
	}
	return placementFrom(s), nil
}

// placementFrom is the placement that the stack's outputs say, for a service that does not.
func placementFrom(s stack) placement {
	return placement{network: networkFrom(s), launchType: types.LaunchTypeFargate}
}

func networkFrom(s stack) *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
		Subnets:        split(s.Outputs[OutputSubnets]),
		SecurityGroups: split(s.Outputs[OutputSecurityGroup]),
		AssignPublicIp: types.AssignPublicIpDisabled,
	}}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
