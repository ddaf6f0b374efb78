package cfn

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Services is what a stack's update does to its service.
type Services interface {
	DescribeServices(context.Context, *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error)
	UpdateService(context.Context, *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error)
}

// poll is how often an update looks at its service.
const poll = 5 * time.Second

// Update updates a stack as CloudFormation does where its service's resource changed in whatever way: it sends
// the whole resource, template, with the task definition and count that the stack's template has, whoever
// changed them since. The stack is UPDATE_IN_PROGRESS until the deployment is complete; where that fails it sends what
// was there before, and the stack ends in UPDATE_ROLLBACK_COMPLETE. It returns when the stack is at its end, or
// with ctx's error, which leaves the stack as it is then.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ecs-service.html
func (e *Engine) Update(ctx context.Context, services Services, stack string, template *ecs.UpdateServiceInput) error {
	before, err := describe(ctx, services, template)
	if err != nil {
		return err
	}
	if err := e.SetStatus(stack, types.StackStatusUpdateInProgress, ""); err != nil {
		return err
	}
	why := send(ctx, services, template)
	if why == nil {
		if err := e.SetStatus(stack, types.StackStatusUpdateCompleteCleanupInProgress, ""); err != nil {
			return err
		}
		return e.SetStatus(stack, types.StackStatusUpdateComplete, "")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := e.SetStatus(stack, types.StackStatusUpdateRollbackInProgress, "The following resource(s) failed to update: [Service]. "+why.Error()); err != nil {
		return err
	}
	back := *template
	back.TaskDefinition, back.DesiredCount = before.TaskDefinition, &before.DesiredCount
	if err := send(ctx, services, &back); err != nil {
		return e.SetStatus(stack, types.StackStatusUpdateRollbackFailed, err.Error())
	}
	return e.SetStatus(stack, types.StackStatusUpdateRollbackComplete, "")
}

// send updates the service and waits for its deployment. One that ECS rolls back has failed, although the service
// comes to rest.
func send(ctx context.Context, services Services, in *ecs.UpdateServiceInput) error {
	before, err := describe(ctx, services, in)
	if err != nil {
		return err
	}
	out, err := services.UpdateService(ctx, in)
	if err != nil {
		return err
	}
	asked := primary(*out.Service)
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		s, err := describe(ctx, services, in)
		if err != nil {
			return err
		}
		d := primary(s)
		switch was := aws.ToString(primary(before).Id); {
		case aws.ToString(d.Id) == was && was != aws.ToString(asked.Id):
			return fmt.Errorf("deployment %s was rolled back: %s", aws.ToString(asked.Id), aws.ToString(d.RolloutStateReason))
		case aws.ToString(d.Id) != aws.ToString(asked.Id) && d.RolloutState != ecstypes.DeploymentRolloutStateCompleted:
			continue // another deployment took over: CloudFormation waits for the service to be stable, whoever's it is
		case d.RolloutState == ecstypes.DeploymentRolloutStateFailed:
			return fmt.Errorf("deployment %s failed: %s", aws.ToString(d.Id), aws.ToString(d.RolloutStateReason))
		case d.RolloutState == ecstypes.DeploymentRolloutStateCompleted && len(s.Deployments) == 1 && s.RunningCount == s.DesiredCount:
			return nil
		}
	}
}

func primary(s ecstypes.Service) ecstypes.Deployment {
	for _, d := range s.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" {
			return d
		}
	}
	return ecstypes.Deployment{}
}

func describe(ctx context.Context, services Services, in *ecs.UpdateServiceInput) (ecstypes.Service, error) {
	out, err := services.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: in.Cluster, Services: []string{aws.ToString(in.Service)}})
	if err != nil {
		return ecstypes.Service{}, fmt.Errorf("service %s: %w", aws.ToString(in.Service), err)
	}
	if len(out.Services) == 0 {
		return ecstypes.Service{}, fmt.Errorf("service %s: there is none", aws.ToString(in.Service))
	}
	return out.Services[0], nil
}
