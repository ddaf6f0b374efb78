package account

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// recordPagesMax bounds the search for one deployment's record: newest first, twenty a page.
const recordPagesMax = 5

// observeServiceDeployment answers the record of the deployment that is followed. While the classic entry says that it is
// still going on, the record could not say more, and is not asked for. A record that ECS has not written yet is nil: it
// may come seconds after UpdateService.
func (a *Account) observeServiceDeployment(ctx context.Context, s *observed.Service, look observed.Look) error {
	entry, listed := s.Deployment(look.Deployment)
	if listed && entry.Primary && entry.Rollout == observed.RolloutInProgress {
		return nil
	}
	arn := look.ServiceRecord
	if arn == "" {
		var err error
		if arn, err = a.recordOf(ctx, s, look.Deployment, entry.CreatedAt); err != nil || arn == "" {
			return err
		}
	}
	if d, ok := a.ended.get(arn, forever); ok {
		s.ServiceDeployment = &d
		return nil
	}
	out, err := a.aws.ECS.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}})
	if err != nil {
		return deed(err, "describe service deployment %s", name(arn))
	}
	for _, d := range out.ServiceDeployments {
		if aws.ToString(d.ServiceDeploymentArn) == arn {
			s.ServiceDeployment = serviceDeploymentOf(look.Deployment, d)
			if ended(d.Status) {
				a.ended.put(arn, *s.ServiceDeployment)
			}
			return nil
		}
	}
	for _, f := range out.Failures {
		return fault.New(fault.NotFound, aws.ToString(f.Reason), fmt.Errorf("describe service deployment %s: ECS says %s", name(arn), aws.ToString(f.Reason)))
	}
	return fmt.Errorf("describe service deployment %s: the answer does not mention it", name(arn))
}

// recordOf finds the service deployment of a deployment: the number in ecs-svc/<number> is also the last part of its
// service revision's ARN. It answers nothing where there is none yet. createdAt is the deployment's, by AWS's clock; zero
// where it has left the list.
func (a *Account) recordOf(ctx context.Context, s *observed.Service, deployment string, createdAt time.Time) (string, error) {
	if arn, ok := a.records.get(s.ARN+" "+deployment, forever); ok {
		return arn, nil
	}
	in := &ecs.ListServiceDeploymentsInput{
		Service: aws.String(s.Name), Cluster: aws.String(name(s.Stack.Outputs[OutputCluster])), MaxResults: aws.Int32(20),
	}
	if !createdAt.IsZero() {
		in.CreatedAt = &types.CreatedAt{After: aws.Time(createdAt.Add(-time.Minute))}
	}
	for range recordPagesMax {
		out, err := a.aws.ECS.ListServiceDeployments(ctx, in)
		if err != nil {
			return "", deed(err, "list the service deployments of %s", s.Name)
		}
		for _, d := range out.ServiceDeployments {
			if name(aws.ToString(d.TargetServiceRevisionArn)) == name(deployment) {
				arn := aws.ToString(d.ServiceDeploymentArn)
				a.records.put(s.ARN+" "+deployment, arn)
				if ended(d.Status) {
					// The listing says all that the record would; one that has ended will not change.
					a.ended.put(arn, observed.ServiceDeployment{ARN: arn, Deployment: deployment, Status: string(d.Status), Reason: aws.ToString(d.StatusReason), FinishedAt: aws.ToTime(d.FinishedAt)})
				}
				return arn, nil
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	return "", nil
}

func serviceDeploymentOf(deployment string, d types.ServiceDeployment) *observed.ServiceDeployment {
	out := &observed.ServiceDeployment{
		ARN:        aws.ToString(d.ServiceDeploymentArn),
		Deployment: deployment,
		Status:     string(d.Status),
		Reason:     aws.ToString(d.StatusReason),
		FinishedAt: aws.ToTime(d.FinishedAt),
	}
	if d.DeploymentCircuitBreaker != nil {
		out.Failures = int(d.DeploymentCircuitBreaker.FailureCount)
	}
	if revision := d.TargetServiceRevision; revision != nil {
		// Said by the record itself: an ARN that was remembered wrongly must not speak for another deployment.
		out.Deployment = "ecs-svc/" + name(aws.ToString(revision.Arn))
	}
	return out
}

// ended reports whether the record will not change any more.
func ended(status types.ServiceDeploymentStatus) bool {
	switch status {
	case types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentStatusStopped,
		types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentStatusRollbackFailed:
		return true
	}
	return false
}
