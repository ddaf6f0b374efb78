package ecs_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

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
