package account

import (
	"cmp"
	"context"
	"fmt"
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

// eventsMax is how many of the service's events an observation keeps; ECS itself keeps 100.
const eventsMax = 20

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
		fillService(into, recent)
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
		fillService(into, found.is)
		a.services.put(s.key(), placementOf(found.is))
		a.looks.put(s.key(), found.is)
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

func fillService(into *observed.Service, from types.Service) {
	into.Status = observed.Status(aws.ToString(from.Status))
	into.ARN = aws.ToString(from.ServiceArn)
	into.Name = aws.ToString(from.ServiceName)
	into.TaskDefinition = aws.ToString(from.TaskDefinition)
	into.Desired, into.Running, into.Pending = int(from.DesiredCount), int(from.RunningCount), int(from.PendingCount)
	into.Tags = tagMap(from.Tags)
	for _, d := range from.Deployments {
		into.Deployments = append(into.Deployments, deploymentOf(d))
	}
	for _, lb := range from.LoadBalancers {
		if arn := aws.ToString(lb.TargetGroupArn); arn != "" {
			into.TargetGroups = append(into.TargetGroups, observed.TargetGroup{
				ARN: arn, Container: aws.ToString(lb.ContainerName), Port: int(aws.ToInt32(lb.ContainerPort)),
			})
		}
	}
	for i, e := range from.Events {
		if i == eventsMax {
			break
		}
		into.Events = append(into.Events, observed.Event{ID: aws.ToString(e.Id), At: aws.ToTime(e.CreatedAt), Message: aws.ToString(e.Message)})
	}
}

func deploymentOf(d types.Deployment) observed.Deployment {
	return observed.Deployment{
		ID:             aws.ToString(d.Id),
		Primary:        aws.ToString(d.Status) == "PRIMARY",
		TaskDefinition: aws.ToString(d.TaskDefinition),
		Rollout:        observed.RolloutState(d.RolloutState),
		Reason:         aws.ToString(d.RolloutStateReason),
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

// placement answers how the service's tasks are placed, from the last observation where there is one.
func (a *Account) placement(ctx context.Context, s stack) (placement, error) {
	if p, ok := a.services.get(s.key(), forever); ok {
		return p, nil
	}
	if err := a.describeService(ctx, s, freshness{wanted: true}, &observed.Service{}); err != nil {
		return placement{}, err
	}
	if p, ok := a.services.get(s.key(), forever); ok {
		return p, nil
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
