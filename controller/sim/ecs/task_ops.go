package ecs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// reasonMax is StopTask.reason's limit (ECS API reference).
const reasonMax = 255

// task finds a visible task by id or ARN; nil if there is none.
func (e *Engine) task(c *cluster, ref string) *task {
	if strings.HasPrefix(ref, "arn:") {
		kind, path, ok := e.resource(ref)
		if !ok || kind != "task" || len(path) != 2 || path[0] != c.name {
			return nil
		}
		ref = path[1]
	}
	if t := c.tasks[ref]; t != nil && !e.now.Before(t.visibleAt) {
		return t
	}
	return nil
}

// StopTask ends a task and deletes its tags. A task that is stopping or stopped
// is no error; one that is not visible is an InvalidParameterException.
func (e *Engine) StopTask(_ context.Context, in *awsecs.StopTaskInput) (*awsecs.StopTaskOutput, error) {
	reason := aws.ToString(in.Reason)
	if len(reason) > reasonMax {
		return nil, invalid("reason must have at most %d characters.", reasonMax)
	}
	if reason == "" {
		reason = "Task stopped by user"
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	t := e.task(c, aws.ToString(in.Task))
	if t == nil {
		return nil, invalid("The referenced task was not found.")
	}
	if t.svc != nil {
		t.svc.steadyAt = time.Time{}
	}
	e.stop(t, types.TaskStopCodeUserInitiated, reason)
	clear(t.tags)
	return &awsecs.StopTaskOutput{Task: new(t.view(true))}, nil
}

// DescribeTasks describes up to 100 tasks; absent and expired ones are failures
// with reason MISSING.
func (e *Engine) DescribeTasks(_ context.Context, in *awsecs.DescribeTasksInput) (*awsecs.DescribeTasksOutput, error) {
	switch n := len(in.Tasks); {
	case n == 0:
		return nil, invalid("Tasks cannot be empty.")
	case n > 100:
		return nil, invalid("Tasks cannot have more than 100 elements.")
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &awsecs.DescribeTasksOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, ref := range in.Tasks {
		if t := e.task(c, ref); t != nil {
			out.Tasks = append(out.Tasks, t.view(slices.Contains(in.Include, types.TaskFieldTags)))
			continue
		}
		arn := ref
		if !strings.HasPrefix(arn, "arn:") {
			arn = e.arn("task", c.name, ref)
		}
		out.Failures = append(out.Failures, missing(arn))
	}
	return out, nil
}

// ListTasks lists ARNs, by default of tasks whose desiredStatus is RUNNING.
// PENDING matches nothing: ECS never sets it. StartedBy is the only filter
// where it is used.
func (e *Engine) ListTasks(_ context.Context, in *awsecs.ListTasksInput) (*awsecs.ListTasksOutput, error) {
	if err := only(in, "", "Cluster", "DesiredStatus", "Family", "LaunchType", "MaxResults", "NextToken", "ServiceName", "StartedBy"); err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	if in.StartedBy != nil && (in.Family != nil || in.ServiceName != nil || in.LaunchType != "" ||
		in.DesiredStatus == types.DesiredStatusStopped && e.cfg.Doubts.StartedByStoppedRefused) {
		return nil, invalid("cannot specify startedBy with other arguments")
	}
	if in.Family != nil && in.ServiceName != nil {
		return nil, invalid("cannot specify family with serviceName")
	}
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	candidates := c.tasks
	var of *service
	if in.ServiceName != nil {
		if of, err = e.service(in.Cluster, in.ServiceName); err != nil {
			return nil, err
		}
		candidates = map[string]*task{}
		for _, t := range slices.Concat(of.tasks, of.gone) {
			candidates[t.id] = t
		}
	}
	keys := []string{}
	for _, t := range candidates {
		if !e.now.Before(t.visibleAt) && t.matches(in) {
			keys = append(keys, t.arn)
		}
	}
	slices.Sort(keys)
	keys, next, err := e.page(listing("ListTasks", c.name, string(in.DesiredStatus), aws.ToString(in.Family), aws.ToString(in.ServiceName), aws.ToString(in.StartedBy), string(in.LaunchType)), keys, false, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListTasksOutput{TaskArns: keys, NextToken: next}, nil
}

func (t *task) matches(in *awsecs.ListTasksInput) bool {
	switch in.DesiredStatus {
	case types.DesiredStatusPending:
		return false
	case types.DesiredStatusStopped:
		if t.wanted {
			return false
		}
	default:
		if !t.wanted {
			return false
		}
	}
	return (in.Family == nil || *in.Family == t.td.family) &&
		(in.StartedBy == nil || *in.StartedBy == t.plan.startedBy) &&
		(in.LaunchType == "" || in.LaunchType == t.launchType())
}

func (t *task) launchType() types.LaunchType {
	return types.LaunchTypeFargate // also with the FARGATE capacity provider
}
