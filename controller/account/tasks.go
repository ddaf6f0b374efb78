package account

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/observed"
)

const (
	tasksPerCall    = 100 // of DescribeTasks and ListTasks
	runningPagesMax = 50  // a service has at most 5,000 tasks
	stoppedPagesMax = 3   // more crashed tasks than that say nothing new
)

// taskList is what was last seen of a service's tasks, and the hints it was seen under.
type taskList struct {
	tasks   []observed.Task
	before  []observed.Task // of before the newest roll, after which all are listed anew
	counts  string          // of the followed deployment when the running tasks were described
	live    int             // of its tasks, when they were last listed
	running time.Time       // when the running tasks were listed
	stopped time.Time       // when the stopped tasks were listed
}

// observeTasks answers the tasks of the service. ECS charges two listings and a description for them, so they are asked
// for again only where DescribeServices hints at a change of the deployment that is followed, and every TasksAge.
func (a *Account) observeTasks(ctx context.Context, s *observed.Service, look observed.Look) error {
	last, _ := a.tasks.get(s.ARN, forever)
	d, followed := s.Deployment(look.Deployment)
	if !followed {
		d = s.Primary()
	}
	due := func(at time.Time) bool {
		return look.Thorough || time.Since(at) >= freshnessOf(look).within(a.opts.TasksAge)
	}
	running := due(last.running) || liveOf(last.tasks, d.ID) != d.Running+d.Pending
	stopped := due(last.stopped) || dying(s, d, last.live)
	counts := fmt.Sprint(d.ID, " ", d.Running, " ", d.Pending)
	if !running && !stopped && counts == last.counts {
		s.Tasks = slices.Clone(last.tasks)
		return nil
	}
	next := taskList{counts: counts, live: d.Running + d.Pending, running: last.running, stopped: last.stopped}
	arns := make([]string, 0, len(last.tasks))
	for _, t := range last.tasks {
		arns = append(arns, t.ARN)
	}
	cluster := name(s.Stack.Outputs[OutputCluster])
	list := func(status types.DesiredStatus, pages int, at *time.Time) error {
		found, err := a.listTasks(ctx, cluster, s.Name, status, pages)
		arns, *at = append(arns, found...), time.Now()
		return err
	}
	if running {
		if err := list(types.DesiredStatusRunning, runningPagesMax, &next.running); err != nil {
			return err
		}
	}
	if stopped {
		if err := list(types.DesiredStatusStopped, stoppedPagesMax, &next.stopped); err != nil {
			return err
		}
	}
	slices.Sort(arns)
	tasks, err := a.describeTasks(ctx, cluster, slices.Compact(arns), slices.Concat(last.before, last.tasks))
	if err != nil {
		return err
	}
	next.tasks = tasks
	a.tasks.put(s.ARN, next)
	s.Tasks = slices.Clone(tasks)
	return nil
}

// relist has the service's tasks listed anew.
func (a *Account) relist(service string) {
	last, _ := a.tasks.get(service, forever)
	a.tasks.put(service, taskList{before: slices.Concat(last.before, last.tasks)})
}

// liveOf counts the deployment's tasks that are to run.
func liveOf(tasks []observed.Task, deployment string) int {
	n := 0
	for _, t := range tasks {
		if t.Deployment == deployment && t.DesiredStatus == "RUNNING" && !t.Stopped() {
			n++
		}
	}
	return n
}

// started reads how many tasks an event says were started. It is a hint that saves calls, and decides nothing.
var started = regexp.MustCompile(`has started (\d+) tasks`)

// dying reports whether DescribeServices hints that tasks of the deployment have ended: ECS counts failures, fewer run
// than did, or more were started than are wanted.
func dying(s *observed.Service, d observed.Deployment, live int) bool {
	if d.Failed > 0 || d.Rollout == observed.RolloutFailed || d.Running+d.Pending < live {
		return true
	}
	n := 0
	for _, e := range s.Events {
		if e.At.Before(d.CreatedAt) {
			break // newest first
		}
		if m := started.FindStringSubmatch(e.Message); m != nil {
			more, _ := strconv.Atoi(m[1])
			n += more
		}
	}
	return n > d.Desired
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
	described, err := a.tasker.ask(ctx, cluster, unknown...)
	if err != nil {
		return nil, deed(err, "describe %d tasks in cluster %s", len(unknown), cluster)
	}
	for arn, t := range described {
		switch t.failure {
		case "":
			byARN[arn] = taskOf(t.is)
		case notThere:
		default:
			return nil, fmt.Errorf("describe task %s: ECS says %s", name(arn), t.failure)
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

func describeTasks(clients *client.Clients) func(context.Context, string, []string) (map[string]described[types.Task], error) {
	return func(ctx context.Context, cluster string, arns []string) (map[string]described[types.Task], error) {
		out, err := clients.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: arns})
		if err != nil {
			return nil, err
		}
		found := map[string]described[types.Task]{}
		for _, f := range out.Failures {
			found[aws.ToString(f.Arn)] = failed[types.Task](f)
		}
		for _, t := range out.Tasks {
			found[aws.ToString(t.TaskArn)] = described[types.Task]{is: t}
		}
		return found, nil
	}
}

func taskOf(t types.Task) observed.Task {
	out := observed.Task{
		ARN:            own(t.TaskArn),
		Deployment:     own(t.StartedBy),
		TaskDefinition: own(t.TaskDefinitionArn),
		LastStatus:     word(aws.ToString(t.LastStatus)),
		DesiredStatus:  word(aws.ToString(t.DesiredStatus)),
		Health:         word(string(t.HealthStatus)),
		StopCode:       word(string(t.StopCode)),
		StoppedReason:  own(t.StoppedReason),
		CreatedAt:      aws.ToTime(t.CreatedAt),
		StartedAt:      aws.ToTime(t.StartedAt),
		StoppingAt:     aws.ToTime(t.StoppingAt),
		StoppedAt:      aws.ToTime(t.StoppedAt),
	}
	for _, a := range t.Attachments {
		for _, d := range a.Details {
			if aws.ToString(d.Name) == "privateIPv4Address" {
				out.Address = own(d.Value)
			}
		}
	}
	for _, c := range t.Containers {
		out.Containers = append(out.Containers, observed.Container{
			Name: word(aws.ToString(c.Name)), Exited: c.ExitCode != nil, ExitCode: int(aws.ToInt32(c.ExitCode)),
			Reason: own(c.Reason), Digest: own(c.ImageDigest),
		})
	}
	return out
}
