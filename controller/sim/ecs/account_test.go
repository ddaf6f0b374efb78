package ecs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
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
	want := []string{"CreateCluster", "CreateService", "DeleteService", "DeregisterTaskDefinition", "DescribeClusters", "DescribeServiceDeployments",
		"DescribeServiceRevisions", "DescribeServices", "DescribeTaskDefinition", "DescribeTasks", "ListServiceDeployments", "ListServices",
		"ListTagsForResource", "ListTaskDefinitions", "ListTasks", "RegisterTaskDefinition", "RunTask", "StopServiceDeployment", "StopTask",
		"TagResource", "UntagResource", "UpdateService"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// member digs one member out of the JSON form of a value, by a path such as
// "ContainerDefinitions.0.Cpu".
func member(v any, path string) any {
	var doc any
	raw, _ := json.Marshal(v)
	_ = json.Unmarshal(raw, &doc)
	for part := range strings.SplitSeq(path, ".") {
		switch d := doc.(type) {
		case map[string]any:
			doc = d[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(d) {
				return nil
			}
			doc = d[i]
		}
	}
	return doc
}

func TestCanonicalTaskDefinition(t *testing.T) {
	type input = awsecs.RegisterTaskDefinitionInput
	type containerDefinition = types.ContainerDefinition
	app := func(f func(*containerDefinition)) func(*input) {
		return func(in *input) { f(&in.ContainerDefinitions[0]) }
	}
	nothing := func(*input) {}
	cases := []struct {
		name   string
		change func(*input)
		path   string
		want   any
	}{
		{"network mode", func(in *input) { in.NetworkMode, in.RequiresCompatibilities = "", nil }, "NetworkMode", "bridge"},
		{"cpu in vCPU", func(in *input) { in.Cpu = aws.String(".25 vCPU") }, "Cpu", "256"},
		{"memory in GB", func(in *input) { in.Memory = aws.String("1 GB") }, "Memory", "1024"},
		{"compatibilities", nothing, "Compatibilities", []any{"EC2", "FARGATE"}},
		{"volumes", nothing, "Volumes", []any{}},
		{"placement constraints", nothing, "PlacementConstraints", []any{}},
		{"fault injection", nothing, "EnableFaultInjection", false},
		{"efs root", func(in *input) {
			in.Volumes = []types.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &types.EFSVolumeConfiguration{FileSystemId: aws.String("fs")}}}
		}, "Volumes.0.EfsVolumeConfiguration.RootDirectory", "/"},
		{"efs encryption", func(in *input) {
			in.Volumes = []types.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &types.EFSVolumeConfiguration{FileSystemId: aws.String("fs")}}}
		}, "Volumes.0.EfsVolumeConfiguration.TransitEncryption", "DISABLED"},
		{"configured at launch", func(in *input) { in.Volumes = []types.Volume{{Name: aws.String("v")}} }, "Volumes.0.ConfiguredAtLaunch", false},
		{"container cpu", nothing, "ContainerDefinitions.0.Cpu", 0.0},
		{"essential", nothing, "ContainerDefinitions.0.Essential", true},
		{"environment", nothing, "ContainerDefinitions.0.Environment", []any{}},
		{"mount points", nothing, "ContainerDefinitions.0.MountPoints", []any{}},
		{"volumes from", nothing, "ContainerDefinitions.0.VolumesFrom", []any{}},
		{"system controls", nothing, "ContainerDefinitions.0.SystemControls", []any{}},
		{"secrets stay absent", nothing, "ContainerDefinitions.0.Secrets", nil},
		{"stop timeout stays absent", nothing, "ContainerDefinitions.0.StopTimeout", nil},
		{"image verbatim", app(func(c *containerDefinition) { c.Image = aws.String("web:latest") }), "ContainerDefinitions.0.Image", "web:latest"},
		{"environment sorted", app(func(c *containerDefinition) {
			c.Environment = []types.KeyValuePair{{Name: aws.String("B"), Value: aws.String("1")}, {Name: aws.String("A")}}
		}), "ContainerDefinitions.0.Environment.0.Name", "A"},
		{"environment, last wins", app(func(c *containerDefinition) {
			c.Environment = []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}, {Name: aws.String("A"), Value: aws.String("2")}}
		}), "ContainerDefinitions.0.Environment", []any{map[string]any{"Name": "A", "Value": "2"}}},
		{"host port", nothing, "ContainerDefinitions.0.PortMappings.0.HostPort", 8080.0},
		{"host port on a bridge", func(in *input) { in.NetworkMode, in.RequiresCompatibilities = "", nil }, "ContainerDefinitions.0.PortMappings.0.HostPort", 0.0},
		{"protocol", nothing, "ContainerDefinitions.0.PortMappings.0.Protocol", "tcp"},
		{"ports sorted", app(func(c *containerDefinition) {
			c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(9)}, {ContainerPort: aws.Int32(8)}}
		}), "ContainerDefinitions.0.PortMappings.0.ContainerPort", 8.0},
		{"health interval", app(func(c *containerDefinition) { c.HealthCheck = &types.HealthCheck{Command: []string{"cmd"}} }),
			"ContainerDefinitions.0.HealthCheck.Interval", 30.0},
		{"health retries", app(func(c *containerDefinition) { c.HealthCheck = &types.HealthCheck{Command: []string{"cmd"}} }),
			"ContainerDefinitions.0.HealthCheck.Retries", 3.0},
		{"health command verbatim", app(func(c *containerDefinition) { c.HealthCheck = &types.HealthCheck{Command: []string{"cmd"}} }),
			"ContainerDefinitions.0.HealthCheck.Command", []any{"cmd"}},
		{"secret options", app(func(c *containerDefinition) {
			c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{"awslogs-group": "g"}}
		}), "ContainerDefinitions.0.LogConfiguration.SecretOptions", []any{}},
		{"restart period", app(func(c *containerDefinition) { c.RestartPolicy = &types.ContainerRestartPolicy{Enabled: aws.Bool(true)} }),
			"ContainerDefinitions.0.RestartPolicy.RestartAttemptPeriod", 300.0},
	}
	w := newWorld(t, nil)
	for i, c := range cases {
		arn := w.register("web:1", c.change)
		td := must(w.DescribeTaskDefinition(ctx(), &awsecs.DescribeTaskDefinitionInput{TaskDefinition: &arn})).TaskDefinition
		if td.Revision != int32(i+1) {
			t.Fatalf("revision %d, want %d: each registration makes one", td.Revision, i+1)
		}
		if diff := cmp.Diff(c.want, member(td, c.path)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
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
	refused[unsupported](t, "spot", "FARGATE_SPOT", create(func(i *in) {
		i.LaunchType, i.CapacityProviderStrategy = "", []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT")}}
	}))
	refused[unsupported](t, "EC2", "launchType EC2", create(func(i *in) { i.LaunchType = "" }))
	for _, s := range []types.DeploymentStrategy{types.DeploymentStrategyBlueGreen, types.DeploymentStrategyLinear, types.DeploymentStrategyCanary} {
		refused[unsupported](t, "strategy", string(s), create(func(i *in) { i.DeploymentConfiguration = &types.DeploymentConfiguration{Strategy: s} }))
	}
	refused[unsupported](t, "hooks", "deploymentConfiguration.lifecycleHooks", create(func(i *in) {
		i.DeploymentConfiguration = &types.DeploymentConfiguration{LifecycleHooks: []types.DeploymentLifecycleHook{{}}}
	}))
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

func TestRegistrationRefusals(t *testing.T) {
	w := newWorld(t, nil)
	cases := []struct {
		part   string
		change func(*awsecs.RegisterTaskDefinitionInput)
	}{
		{"Container.image should not be null or empty.", func(in *awsecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Image = aws.String("") }},
		{"No Fargate configuration exists for given values.", func(in *awsecs.RegisterTaskDefinitionInput) { in.Memory = aws.String("3 GB") }},
		{"Invalid 'cpu' setting for task.", func(in *awsecs.RegisterTaskDefinitionInput) { in.Cpu = aws.String("a lot") }},
		{"At least one of 'memory' or 'memoryReservation' must be specified.", func(in *awsecs.RegisterTaskDefinitionInput) {
			in.RequiresCompatibilities, in.Memory = nil, nil
		}},
		{"'executionRoleArn'", func(in *awsecs.RegisterTaskDefinitionInput) { in.ExecutionRoleArn = nil; withSecretsAndLogs(in) }},
		{"cannot exceed 10 items", func(in *awsecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions = make([]types.ContainerDefinition, 11)
		}},
	}
	for _, c := range cases {
		in := &awsecs.RegisterTaskDefinitionInput{
			Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
			RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, ExecutionRoleArn: aws.String("x"),
			ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("web:1")}},
		}
		c.change(in)
		_, err := w.RegisterTaskDefinition(ctx(), in)
		refused[*types.ClientException](t, "register", c.part, err)
	}
}

func TestTaskDefinitionLists(t *testing.T) {
	w := newWorld(t, nil)
	var arns []string
	for i := range 12 {
		arns = append(arns, w.register("web:1", func(in *awsecs.RegisterTaskDefinitionInput) {
			in.Tags = []types.Tag{{Key: aws.String("n"), Value: aws.String(fmt.Sprint(i))}}
		}))
	}
	w.register("x", func(in *awsecs.RegisterTaskDefinitionInput) { in.Family = aws.String("web2") })
	must(w.DeregisterTaskDefinition(ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("web:12")}))
	if td := must(w.DescribeTaskDefinition(ctx(), &awsecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web"), Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})); td.TaskDefinition.Revision != 11 || *td.Tags[0].Value != "10" {
		t.Errorf("the family means revision %d, want the newest ACTIVE, 11", td.TaskDefinition.Revision)
	}
	if td := must(w.DescribeTaskDefinition(ctx(), &awsecs.DescribeTaskDefinitionInput{TaskDefinition: &arns[11]})); td.TaskDefinition.Status != types.TaskDefinitionStatusInactive || td.Tags != nil {
		t.Errorf("deregistered: %s", td.TaskDefinition.Status)
	}
	for _, sort := range []types.SortOrder{types.SortOrderAsc, types.SortOrderDesc} {
		want := slices.Clone(arns[:11])
		if sort == types.SortOrderDesc {
			slices.Reverse(want)
		}
		var got []string
		in := &awsecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("web"), Sort: sort, MaxResults: aws.Int32(4)}
		for {
			out := must(w.ListTaskDefinitions(ctx(), in))
			got = append(got, out.TaskDefinitionArns...)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", sort, diff)
		}
	}
	if out := must(w.ListTaskDefinitions(ctx(), &awsecs.ListTaskDefinitionsInput{Status: types.TaskDefinitionStatusInactive})); !slices.Equal(out.TaskDefinitionArns, arns[11:]) {
		t.Errorf("INACTIVE: %v", out.TaskDefinitionArns)
	}
	_, err := w.ListTaskDefinitions(ctx(), &awsecs.ListTaskDefinitionsInput{NextToken: aws.String("nonsense")})
	refused[*types.InvalidParameterException](t, "token", "Invalid token.", err)
	_, err = w.ListTaskDefinitions(ctx(), &awsecs.ListTaskDefinitionsInput{MaxResults: aws.Int32(101)})
	refused[*types.InvalidParameterException](t, "page size", "between 1 and 100", err)
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

func TestDeregisteredRevision(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		td := w.register("web:1")
		w.settle(td, 1)
		must(w.DeregisterTaskDefinition(ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &td}))
		w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(2) })
		w.until(5*time.Minute, "existing services go on", func() bool { return w.service().RunningCount == 2 })
		_, err := w.RunTask(ctx(), runInput(td))
		refused[*types.InvalidParameterException](t, "RunTask", "TaskDefinition is inactive", err)
		_, err = w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), TaskDefinition: &td})
		refused[*types.ClientException](t, "UpdateService", "TaskDefinition is inactive", err)
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

func TestStopServiceDeployment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, unhealthy())
		a := w.settle(w.register("web:1"), 1, withLB)
		b := w.roll(w.register("web:bad"))
		pass(30 * time.Second)
		stop := &awsecs.StopServiceDeploymentInput{ServiceDeploymentArn: w.record(*b.Id).ServiceDeploymentArn, StopType: types.StopServiceDeploymentStopTypeRollback}
		must(w.StopServiceDeployment(ctx(), stop))
		must(w.StopServiceDeployment(ctx(), stop))
		w.until(10*time.Minute, "rolled back", func() bool { return w.record(*b.Id).Status == types.ServiceDeploymentStatusRollbackSuccessful })
		if *w.primary().Id != *a.Id {
			t.Errorf("at the end:\n%s", w.story())
		}
		_, err := w.StopServiceDeployment(ctx(), stop)
		refused[*types.ConflictException](t, "after the end", "ROLLBACK_SUCCESSFUL", err)
	})
}

func TestDoubts(t *testing.T) {
	t.Run("stale reads", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, nil, func(c *ecs.Config) { c.Doubts.StaleReadMax = 30 * time.Second })
			a := w.settle(w.register("web:1"), 1)
			b := w.roll(w.register("web:2"))
			if *w.primary().Id != *a.Id {
				t.Fatal("the read after UpdateService is not stale")
			}
			w.until(30*time.Second, "fresh", func() bool { return *w.primary().Id == *b.Id })
		})
	})
	t.Run("record first", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, nil, func(c *ecs.Config) { c.Doubts.SDSuccessBeforeClassic = 38 * time.Second })
			w.settle(w.register("web:1"), 1, withLB)
			b := w.roll(w.register("web:2"))
			w.until(5*time.Minute, "SUCCESSFUL", func() bool { r := w.record(*b.Id); return r.Status == types.ServiceDeploymentStatusSuccessful })
			if p := w.primary(); p.RolloutState != inProgress {
				t.Errorf("classic is %s at once", p.RolloutState)
			}
			if took := w.until(5*time.Minute, "COMPLETED", func() bool { return w.primary().RolloutState == completed }); took < 37*time.Second {
				t.Errorf("COMPLETED %s after SUCCESSFUL, want 38 s or more", took)
			}
		})
	})
	t.Run("breaker stalls on a bad image", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{PullError: "not found"}}}, func(c *ecs.Config) { c.Doubts.BreakerStallOnBadImage = 1 })
			w.settle(w.register("web:1"), 1, withBreaker(true))
			b := w.roll(w.register("web:bad"))
			pass(time.Hour)
			if p := w.primary(); *p.Id != *b.Id || p.RolloutState != inProgress || p.FailedTasks != 2 {
				t.Errorf("after an hour:\n%s", w.story())
			}
		})
	})
}

// One seed, one story: two accounts that are asked the same do the same.
func TestSameSeedSameStory(t *testing.T) {
	tell := func(seed uint64) string {
		story := ""
		bubble(t, func(t *testing.T) {
			w := newWorld(t, unhealthy(), func(c *ecs.Config) { c.Seed = seed })
			w.settle(w.register("web:1"), 3, withLB, withBreaker(true))
			w.roll(w.register("web:bad"))
			pass(20 * time.Minute)
			story = w.story()
		})
		return story
	}
	if a, b := tell(7), tell(7); a != b {
		t.Error(cmp.Diff(a, b))
	}
	if tell(7) == tell(8) {
		t.Error("the seed has no influence")
	}
}
