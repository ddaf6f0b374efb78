package ecs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

// group is the target group of every service with a load balancer.
const group = "arn:aws:elasticloadbalancing:eu-central-1:000000000000:targetgroup/web/1"

// world is one account whose tasks are scripts.
type world struct {
	*testing.T
	*ecs.Engine
	runner *script.Runner
	lb     *balancer
	logs   *logs
	events []ecs.Event
	mu     sync.Mutex
}

func newWorld(t *testing.T, book script.Book, change ...func(*ecs.Config)) *world {
	w := &world{T: t, runner: script.New(book), lb: newBalancer(), logs: &logs{}}
	cfg := ecs.Config{
		Account: "000000000000", Region: "eu-central-1", Seed: 1,
		Runner: w.runner, Images: w.runner, LoadBalancers: w.lb, Logs: w.logs, Secrets: secrets{"arn:db": "hunter2"},
		Observe: func(ev ecs.Event) { w.mu.Lock(); defer w.mu.Unlock(); w.events = append(w.events, ev) },
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := ecs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Engine = e
	t.Cleanup(e.Close)
	must(w.CreateCluster(ctx(), &awsecs.CreateClusterInput{ClusterName: aws.String("c")}))
	return w
}

func ctx() context.Context { return context.Background() }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pass lets time go by and everything settle that is due.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until waits, a second at a time, for a condition.
func (w *world) until(limit time.Duration, what string, ok func() bool) time.Duration {
	w.Helper()
	for begun := time.Now(); ; pass(time.Second) {
		if ok() {
			return time.Since(begun)
		}
		if time.Since(begun) > limit {
			w.Fatalf("not within %s: %s\n%s", limit, what, w.story())
		}
	}
}

func (w *world) story() string {
	out := fmt.Sprintf("now %s\n", time.Now().Format(time.TimeOnly))
	for _, s := range must(w.DescribeServices(ctx(), &awsecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}})).Services {
		for _, d := range s.Deployments {
			out += fmt.Sprintf("%s %s %s %s desired %d running %d pending %d failed %d (%s)\n", *d.Id, *d.Status, tail(*d.TaskDefinition),
				d.RolloutState, d.DesiredCount, d.RunningCount, d.PendingCount, d.FailedTasks, *d.RolloutStateReason)
		}
		for _, ev := range s.Events {
			out += ev.CreatedAt.Format(time.TimeOnly) + " " + *ev.Message + "\n"
		}
	}
	return out
}

func tail(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// register makes a revision of family web whose one container runs image.
func (w *world) register(image string, change ...func(*awsecs.RegisterTaskDefinitionInput)) string {
	in := &awsecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, ExecutionRoleArn: aws.String("arn:aws:iam::000000000000:role/x"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String(image), PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
		}},
	}
	for _, f := range change {
		f(in)
	}
	return *must(w.RegisterTaskDefinition(ctx(), in)).TaskDefinition.TaskDefinitionArn
}

func subnets() *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-a", "subnet-b"}}}
}

func withBreaker(rollback bool) func(*awsecs.CreateServiceInput) {
	return func(in *awsecs.CreateServiceInput) {
		in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: rollback}}
	}
}

func withThreshold(kind types.ThresholdType, value int32) func(*awsecs.CreateServiceInput) {
	return func(in *awsecs.CreateServiceInput) {
		in.DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration = &types.ThresholdConfiguration{Type: kind, Value: value}
	}
}

func withLB(in *awsecs.CreateServiceInput) {
	in.LoadBalancers = []types.LoadBalancer{{ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080), TargetGroupArn: aws.String(group)}}
}

func createInput(td string, desired int32, change ...func(*awsecs.CreateServiceInput)) *awsecs.CreateServiceInput {
	in := &awsecs.CreateServiceInput{
		Cluster: aws.String("c"), ServiceName: aws.String("web"), TaskDefinition: aws.String(td), DesiredCount: aws.Int32(desired),
		LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnets(),
	}
	for _, f := range change {
		f(in)
	}
	return in
}

// settle creates service web and waits until its first deployment completed.
func (w *world) settle(td string, desired int32, change ...func(*awsecs.CreateServiceInput)) types.Deployment {
	w.Helper()
	must(w.CreateService(ctx(), createInput(td, desired, change...)))
	w.until(10*time.Minute, "first deployment COMPLETED", func() bool {
		return w.primary().RolloutState == types.DeploymentRolloutStateCompleted
	})
	return w.primary()
}

func (w *world) update(change func(*awsecs.UpdateServiceInput)) types.Service {
	w.Helper()
	in := &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web")}
	change(in)
	return *must(w.UpdateService(ctx(), in)).Service
}

func (w *world) roll(td string) types.Deployment {
	w.Helper()
	return w.update(func(in *awsecs.UpdateServiceInput) { in.TaskDefinition = &td }).Deployments[0]
}

func (w *world) service() types.Service {
	out := must(w.DescribeServices(ctx(), &awsecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}, Include: []types.ServiceField{types.ServiceFieldTags}}))
	return out.Services[0]
}

func (w *world) primary() types.Deployment { return w.service().Deployments[0] }

func (w *world) deployment(id string) *types.Deployment {
	for _, d := range w.service().Deployments {
		if *d.Id == id {
			return &d
		}
	}
	return nil
}

// record is the service deployment of a deployment, found by its number.
func (w *world) record(id string) *types.ServiceDeployment {
	_, number, _ := strings.Cut(id, "/")
	list := must(w.ListServiceDeployments(ctx(), &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("c"), Service: aws.String("web")}))
	for _, b := range list.ServiceDeployments {
		if strings.HasSuffix(*b.TargetServiceRevisionArn, "/"+number) {
			out := must(w.DescribeServiceDeployments(ctx(), &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*b.ServiceDeploymentArn}}))
			return &out.ServiceDeployments[0]
		}
	}
	return nil
}

func (w *world) tasks(status types.DesiredStatus) []types.Task {
	list := must(w.ListTasks(ctx(), &awsecs.ListTasksInput{Cluster: aws.String("c"), DesiredStatus: status})).TaskArns
	if len(list) == 0 {
		return nil
	}
	return must(w.DescribeTasks(ctx(), &awsecs.DescribeTasksInput{Cluster: aws.String("c"), Tasks: list, Include: []types.TaskField{types.TaskFieldTags}})).Tasks
}

// said is whether an event has all the parts.
func (w *world) said(parts ...string) bool {
	return slices.ContainsFunc(w.service().Events, func(ev types.ServiceEvent) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(*ev.Message, p) })
	})
}

type secrets map[string]string

func (s secrets) Value(from string) (string, error) {
	if v, ok := s[from]; ok {
		return v, nil
	}
	return "", errors.New("execution resource retrieval failed: unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the specified secret.")
}

type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) GroupExists(group string) bool { return group == "/web" }

func (l *logs) Put(group, stream string, _ time.Time, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, group+" "+stream+" "+line)
}
