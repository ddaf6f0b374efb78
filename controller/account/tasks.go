package account

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/observed"
)

const (
	tasksPerCall    = 100 // of DescribeTasks and ListTasks
	runningPagesMax = 50  // a service has at most 5,000 tasks
	stoppedPagesMax = 3   // more crashed tasks than that say nothing new
)

// taskList is what was last seen of a service's tasks, and the hints it was seen under.
type taskList struct {
	signature string
	settled   bool // every task has reached what is desired of it, so that only a hint could mean a change
	tasks     []observed.Task
}

// observeTasks answers the service's running tasks and its stopped ones that are still visible. While nothing in
// DescribeServices hints at a change and every task is where it should be, the last answer is good for Options.TasksAge.
func (a *Account) observeTasks(ctx context.Context, s *observed.Service, fresh bool) error {
	key, now := s.ARN, signature(s)
	last, seen := a.tasks.get(key, forever)
	if recent, ok := a.tasks.get(key, age(a.opts.TasksAge, fresh)); ok && recent.settled && recent.signature == now {
		s.Tasks = slices.Clone(recent.tasks)
		return nil
	}
	cluster := name(s.Stack.Outputs[OutputCluster])
	running, err := a.listTasks(ctx, cluster, s.Name, types.DesiredStatusRunning, runningPagesMax)
	if err != nil {
		return err
	}
	stopped, err := a.listTasks(ctx, cluster, s.Name, types.DesiredStatusStopped, stoppedPagesMax)
	if err != nil {
		return err
	}
	arns := append(running, stopped...)
	slices.Sort(arns)
	arns = slices.Compact(arns)
	var known []observed.Task
	if seen {
		known = last.tasks
	}
	tasks, err := a.describeTasks(ctx, cluster, arns, known)
	if err != nil {
		return err
	}
	a.tasks.put(key, taskList{signature: now, settled: settled(tasks), tasks: tasks})
	s.Tasks = slices.Clone(tasks)
	return nil
}

func settled(tasks []observed.Task) bool {
	return !slices.ContainsFunc(tasks, func(t observed.Task) bool { return t.LastStatus != t.DesiredStatus })
}

func (a *Account) listTasks(ctx context.Context, cluster, service string, desired types.DesiredStatus, pages int) ([]string, error) {
	in := &ecs.ListTasksInput{Cluster: &cluster, ServiceName: &service, DesiredStatus: desired, MaxResults: aws.Int32(tasksPerCall)}
	var arns []string
	for range pages {
		out, err := a.aws.ECS.ListTasks(ctx, in)
		if err != nil {
			return nil, deed(err, "list the %s tasks of %s", desired, service)
		}
		arns = append(arns, out.TaskArns...)
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	return arns, nil
}

// describeTasks answers the tasks in the order of arns, without those that ECS does not know any more. A stopped task does
// not change, so one that is known is not asked for again.
func (a *Account) describeTasks(ctx context.Context, cluster string, arns []string, known []observed.Task) ([]observed.Task, error) {
	byARN := map[string]observed.Task{}
	for _, t := range known {
		if t.Stopped() {
			byARN[t.ARN] = t
		}
	}
	var unknown []string
	for _, arn := range arns {
		if _, ok := byARN[arn]; !ok {
			unknown = append(unknown, arn)
		}
	}
	for chunk := range slices.Chunk(unknown, tasksPerCall) {
		out, err := a.aws.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: chunk})
		if err != nil {
			return nil, deed(err, "describe %d tasks in cluster %s", len(chunk), cluster)
		}
		for _, f := range out.Failures {
			if reason := aws.ToString(f.Reason); reason != "MISSING" {
				return nil, fmt.Errorf("describe task %s: ECS says %s", name(aws.ToString(f.Arn)), reason)
			}
		}
		for _, t := range out.Tasks {
			byARN[aws.ToString(t.TaskArn)] = taskOf(t)
		}
	}
	tasks := make([]observed.Task, 0, len(arns))
	for _, arn := range arns {
		if t, ok := byARN[arn]; ok {
			tasks = append(tasks, t)
		}
	}
	return tasks, nil
}

func taskOf(t types.Task) observed.Task {
	out := observed.Task{
		ARN:            aws.ToString(t.TaskArn),
		Deployment:     aws.ToString(t.StartedBy),
		TaskDefinition: aws.ToString(t.TaskDefinitionArn),
		LastStatus:     aws.ToString(t.LastStatus),
		DesiredStatus:  aws.ToString(t.DesiredStatus),
		Health:         string(t.HealthStatus),
		StopCode:       string(t.StopCode),
		StoppedReason:  aws.ToString(t.StoppedReason),
		CreatedAt:      aws.ToTime(t.CreatedAt),
		StartedAt:      aws.ToTime(t.StartedAt),
		StoppingAt:     aws.ToTime(t.StoppingAt),
		StoppedAt:      aws.ToTime(t.StoppedAt),
	}
	for _, c := range t.Containers {
		out.Containers = append(out.Containers, observed.Container{
			Name: aws.ToString(c.Name), Exited: c.ExitCode != nil, ExitCode: int(aws.ToInt32(c.ExitCode)),
			Reason: aws.ToString(c.Reason), Digest: aws.ToString(c.ImageDigest),
		})
	}
	return out
}
