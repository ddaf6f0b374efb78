package ecs_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/google/go-cmp/cmp"
)

// The operations that are methods are the ones that are modelled; package wire
// finds them by their form.
func TestOperations(t *testing.T) {
	var got []string
	engine := reflect.TypeFor[*ecs.Engine]()
	for i := range engine.NumMethod() {
		m := engine.Method(i)
		if m.Type.NumIn() == 3 && m.Type.In(1) == reflect.TypeFor[context.Context]() && m.Type.NumOut() == 2 {
			if m.Type.In(2).Elem().Name() != m.Name+"Input" || m.Type.Out(0).Elem().Name() != m.Name+"Output" {
				t.Errorf("%s has the form %s", m.Name, m.Type)
			}
			got = append(got, m.Name)
		}
	}
	want := []string{"ContinueServiceDeployment", "CreateCluster", "CreateService", "DeleteCluster", "DeleteService", "DeleteTaskDefinitions", "DeregisterTaskDefinition", "DescribeCapacityProviders", "DescribeClusters", "DescribeServiceDeployments",
		"DescribeServiceRevisions", "DescribeServices", "DescribeTaskDefinition", "DescribeTasks", "GetTaskProtection", "ListClusters", "ListServiceDeployments", "ListServices",
		"ListTagsForResource", "ListTaskDefinitionFamilies", "ListTaskDefinitions", "ListTasks", "PutClusterCapacityProviders", "RegisterTaskDefinition", "RunTask", "StopServiceDeployment", "StopTask",
		"TagResource", "UntagResource", "UpdateService", "UpdateTaskProtection"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// refused runs f and checks the error's type and a part of its text.
func refused[E error](t *testing.T, name, part string, err error) {
	t.Helper()
	var want E
	if !errors.As(err, &want) || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v, want a %T with %q", name, err, want, part)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil)
	td := w.register("web:1")
	create := func(change func(*awsecs.CreateServiceInput)) error {
		_, err := w.CreateService(ctx(), createInput(td, 1, change))
		return err
	}
	type in = awsecs.CreateServiceInput
	type unsupported = *types.UnsupportedFeatureException
	type invalid = *types.InvalidParameterException
	refused[unsupported](t, "placement", "placementStrategy", create(func(i *in) { i.PlacementStrategy = []types.PlacementStrategy{{}} }))
	refused[unsupported](t, "EC2", "launchType EC2", create(func(i *in) { i.LaunchType = "" }))
	refused[invalid](t, "no network", "Network Configuration must be provided", create(func(i *in) { i.NetworkConfiguration = nil }))
	refused[invalid](t, "loose target group", "does not have an associated load balancer", create(func(i *in) {
		withLB(i)
		i.LoadBalancers[0].TargetGroupArn = aws.String("loose")
	}))
	refused[invalid](t, "absent target group", "Unable to find target group", create(func(i *in) {
		withLB(i)
		i.LoadBalancers[0].TargetGroupArn = aws.String("gone")
	}))
	refused[invalid](t, "container", "The container x does not exist in the task definition.", create(func(i *in) {
		withLB(i)
		i.LoadBalancers[0].ContainerName = aws.String("x")
	}))
	refused[invalid](t, "port", "did not have a container port 81 defined", create(func(i *in) {
		withLB(i)
		i.LoadBalancers[0].ContainerPort = aws.Int32(81)
	}))
	refused[*types.ClientException](t, "revision", "TaskDefinition not found.", create(func(i *in) { i.TaskDefinition = aws.String("web:9") }))
	refused[*types.ClusterNotFoundException](t, "cluster", "Cluster not found.", create(func(i *in) { i.Cluster = aws.String("no") }))
	refused[*types.PlatformUnknownException](t, "platform", "0.1", create(func(i *in) { i.PlatformVersion = aws.String("0.1") }))
	if err := create(func(*in) {}); err != nil {
		t.Fatal(err)
	}
	refused[invalid](t, "twice", "Creation of service was not idempotent.", create(func(*in) {}))
	_, err := w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("no")})
	refused[*types.ServiceNotFoundException](t, "update", "Service not found.", err)
	_, err = w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web")})
	refused[invalid](t, "delete", "scaled above 0", err)
	_, err = w.DescribeServices(ctx(), &awsecs.DescribeServicesInput{Cluster: aws.String("c"), Services: make([]string, 11)})
	refused[invalid](t, "eleven services", "10", err)
	_, err = w.DescribeTasks(ctx(), &awsecs.DescribeTasksInput{Cluster: aws.String("c"), Tasks: make([]string, 101)})
	refused[invalid](t, "101 tasks", "100", err)
	_, err = w.DescribeServiceDeployments(ctx(), &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: make([]string, 21)})
	refused[invalid](t, "21 service deployments", "20", err)
	_, err = w.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: aws.String("arn:aws:ecs:eu-central-1:000000000000:service/web")})
	refused[invalid](t, "short ARN", "Long arn format", err)
}

func TestServicePages(t *testing.T) {
	w := newWorld(t, nil)
	td := w.register("web:1")
	for i := range 25 {
		must(w.CreateService(ctx(), createInput(td, 0, func(in *awsecs.CreateServiceInput) { in.ServiceName = aws.String(fmt.Sprintf("s%02d", i)) })))
	}
	out := must(w.ListServices(ctx(), &awsecs.ListServicesInput{Cluster: aws.String("c")}))
	if len(out.ServiceArns) != 10 {
		t.Errorf("a page has %d services, the default is 10", len(out.ServiceArns))
	}
	// What is deleted between two pages hides nothing else.
	must(w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("s03")}))
	rest := must(w.ListServices(ctx(), &awsecs.ListServicesInput{Cluster: aws.String("c"), NextToken: out.NextToken, MaxResults: aws.Int32(100)}))
	if len(rest.ServiceArns) != 15 || rest.NextToken != nil {
		t.Errorf("the rest is %d services, want 15", len(rest.ServiceArns))
	}
	mixed := must(w.DescribeServices(ctx(), &awsecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"s01", "none"}}))
	if len(mixed.Services) != 1 || len(mixed.Failures) != 1 || *mixed.Failures[0].Reason != "MISSING" {
		t.Errorf("a missing service: %+v", mixed.Failures)
	}
}

func TestDeletedService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		td := w.register("web:1")
		w.settle(td, 2)
		w.settled(t)
		must(w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), Force: aws.Bool(true)}))
		if s := w.service(); *s.Status != "DRAINING" || s.DesiredCount != 0 {
			t.Errorf("after DeleteService: %s", *s.Status)
		}
		if l := must(w.ListServices(ctx(), &awsecs.ListServicesInput{Cluster: aws.String("c")})); len(l.ServiceArns) != 0 {
			t.Error("a DRAINING service is listed")
		}
		_, err := w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web")})
		refused[*types.ServiceNotActiveException](t, "update", "Service was not ACTIVE.", err)
		_, err = w.CreateService(ctx(), createInput(td, 1))
		refused[*types.InvalidParameterException](t, "create", "Unable to Start a service that is still Draining.", err)
		w.until(5*time.Minute, "INACTIVE", func() bool { return *w.service().Status == "INACTIVE" })
		must(w.CreateService(ctx(), createInput(td, 0)))
		pass(2 * time.Hour)
		if *w.service().Status != "ACTIVE" {
			t.Error("the new service of the same name went with the old one")
		}
	})
}

// settled checks that nothing is due for a service at rest.
func (w *world) settled(t *testing.T) {
	t.Helper()
	pass(2 * time.Hour) // stopped tasks are forgotten
	if n := w.Scheduled(); n != 0 {
		t.Errorf("%d timers for a settled service", n)
	}
}

func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.settle(w.register("web:1"), 1)
		pass(25 * time.Hour)
		steady := 0
		events := w.service().Events
		for i, ev := range events {
			if strings.HasSuffix(*ev.Message, "has reached a steady state.") {
				steady++
			}
			if i > 0 && ev.CreatedAt.After(*events[i-1].CreatedAt) {
				t.Error("events are not newest first")
			}
		}
		if steady != 5 {
			t.Errorf("%d steady-state events in 25 h, want 5", steady)
		}
	})
}

func TestTags(t *testing.T) {
	w := newWorld(t, nil)
	td := w.register("web:1")
	must(w.CreateService(ctx(), createInput(td, 0)))
	arn := *w.service().ServiceArn
	tag := func(n int) []types.Tag {
		var out []types.Tag
		for i := range n {
			out = append(out, types.Tag{Key: aws.String(fmt.Sprintf("k%02d", i)), Value: aws.String("v")})
		}
		return out
	}
	for _, ref := range []string{arn, td} {
		must(w.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: &ref, Tags: tag(3)}))
		must(w.UntagResource(ctx(), &awsecs.UntagResourceInput{ResourceArn: &ref, TagKeys: []string{"k01"}}))
		if out := must(w.ListTagsForResource(ctx(), &awsecs.ListTagsForResourceInput{ResourceArn: &ref})); len(out.Tags) != 2 {
			t.Errorf("tags of %s: %v", ref, out.Tags)
		}
	}
	if n := len(w.service().Tags); n != 2 {
		t.Errorf("DescribeServices with TAGS shows %d", n)
	}
	_, err := w.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: &arn, Tags: tag(51)})
	refused[*types.LimitExceededException](t, "51 tags", "50", err)
	_, err = w.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: aws.String("aws:x")}}})
	refused[*types.InvalidParameterException](t, "aws:", "reserved", err)
}
