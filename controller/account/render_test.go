package account

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

func env(pairs ...string) []types.KeyValuePair {
	var out []types.KeyValuePair
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.KeyValuePair{Name: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return out
}

func secret(pairs ...string) []types.Secret {
	var out []types.Secret
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Secret{Name: aws.String(pairs[i]), ValueFrom: aws.String(pairs[i+1])})
	}
	return out
}

func sampleTemplate() *types.TaskDefinition {
	return &types.TaskDefinition{
		TaskDefinitionArn: aws.String("arn:aws:ecs:eu-central-1:000000000000:task-definition/template:7"),
		Family:            aws.String("template"), Revision: 7, Status: types.TaskDefinitionStatusActive,
		Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions: []types.ContainerDefinition{
			{Name: aws.String("sidecar"), Image: aws.String("envoy:1"), Environment: env("MODE", "proxy")},
			{Name: aws.String("app"), Image: aws.String("placeholder"), Environment: env("KEEP", "1", "LOG_LEVEL", "warn", "WAS_ENV", "x"),
				Secrets: secret("WAS_SECRET", "arn:old", "KEPT", "arn:kept"), DockerLabels: map[string]string{"team": "ordering"}},
		},
	}
}

func TestRender(t *testing.T) {
	in, err := Render(sampleTemplate(), "orders", map[string]rollout.Container{"app": {
		Image: "repo@sha256:1", Env: map[string]string{"LOG_LEVEL": "info", "WAS_SECRET": "plain"},
		Secrets: map[string]string{"WAS_ENV": "secretsmanager:db"},
	}}, map[string]string{"secretsmanager:db": "arn:db-AbCdEf"})
	if err != nil {
		t.Fatal(err)
	}
	want := inputOf(sampleTemplate())
	want.Family = aws.String("orders")
	app := &want.ContainerDefinitions[1]
	app.Image = aws.String("repo@sha256:1")
	app.Environment = env("KEEP", "1", "LOG_LEVEL", "info", "WAS_SECRET", "plain")
	app.Secrets = secret("KEPT", "arn:kept", "WAS_ENV", "arn:db-AbCdEf")
	if diff := cmp.Diff(want, in, cmpopts.IgnoreUnexported(ecs.RegisterTaskDefinitionInput{}, types.ContainerDefinition{}, types.KeyValuePair{}, types.Secret{})); diff != "" {
		t.Error(diff)
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := map[string]struct {
		containers map[string]rollout.Container
		kind       fault.Kind
		text       string
	}{
		"a container that the template lacks": {map[string]rollout.Container{"web": {Image: "x"}}, fault.Terminal, "no container web; it has sidecar, app"},
		"an unresolved secret":                {map[string]rollout.Container{"app": {Secrets: map[string]string{"P": "ssm:p"}}}, fault.Blocked, "ssm:p is not resolved"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Render(sampleTemplate(), "orders", tt.containers, nil)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want kind %s and %q", err, tt.kind, tt.text)
			}
		})
	}
}

func TestRenderLeavesTheTemplateAlone(t *testing.T) {
	template := sampleTemplate()
	if _, err := Render(template, "orders", map[string]rollout.Container{"app": {Image: "new", Env: map[string]string{"A": "b"}}}, nil); err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(sampleTemplate())
	after, _ := json.Marshal(template)
	if string(before) != string(after) {
		t.Errorf("the template became %s", after)
	}
}

func TestCanonicalTable(t *testing.T) {
	base := func(change func(*ecs.RegisterTaskDefinitionInput, *types.ContainerDefinition)) *ecs.RegisterTaskDefinitionInput {
		in := &ecs.RegisterTaskDefinitionInput{
			Family: aws.String("f"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
			ContainerDefinitions: []types.ContainerDefinition{{
				Name: aws.String("app"), Image: aws.String("i"),
				PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(80)}, {ContainerPort: aws.Int32(81)}},
				Environment:  env("A", "1", "B", "2"),
				HealthCheck:  &types.HealthCheck{Command: []string{"CMD", "x"}},
			}},
		}
		if change != nil {
			change(in, &in.ContainerDefinitions[0])
		}
		return in
	}
	want := canonicalOf(t, base(nil))
	same := map[string]func(*ecs.RegisterTaskDefinitionInput, *types.ContainerDefinition){
		"family and tags are not content": func(in *ecs.RegisterTaskDefinitionInput, _ *types.ContainerDefinition) {
			in.Family, in.Tags = aws.String("g"), []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
		},
		"units": func(in *ecs.RegisterTaskDefinitionInput, _ *types.ContainerDefinition) {
			in.Cpu, in.Memory = aws.String(".25 vCPU"), aws.String("0.5 GB")
		},
		"defaults of the task": func(in *ecs.RegisterTaskDefinitionInput, _ *types.ContainerDefinition) {
			in.Volumes, in.PlacementConstraints = []types.Volume{}, []types.TaskDefinitionPlacementConstraint{}
			in.RuntimePlatform = &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureX8664, OperatingSystemFamily: types.OSFamilyLinux}
			in.EnableFaultInjection = aws.Bool(false)
		},
		"defaults of a container": func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.Essential, c.VersionConsistency = aws.Bool(true), types.VersionConsistencyEnabled
			c.MountPoints, c.VolumesFrom, c.SystemControls, c.Secrets = []types.MountPoint{}, []types.VolumeFrom{}, []types.SystemControl{}, []types.Secret{}
			c.ReadonlyRootFilesystem = aws.Bool(false)
		},
		"health check's defaults": func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.HealthCheck.Interval, c.HealthCheck.Timeout, c.HealthCheck.Retries, c.HealthCheck.StartPeriod = aws.Int32(30), aws.Int32(5), aws.Int32(3), aws.Int32(0)
		},
		"ports": func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.PortMappings = []types.PortMapping{
				{ContainerPort: aws.Int32(81), HostPort: aws.Int32(81), Protocol: types.TransportProtocolTcp},
				{ContainerPort: aws.Int32(80), HostPort: aws.Int32(80)},
			}
		},
		"order and repetition of env": func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.Environment = env("B", "0", "B", "2", "A", "1")
		},
	}
	for name, change := range same {
		t.Run("same: "+name, func(t *testing.T) {
			if got := canonicalOf(t, base(change)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	other := map[string]func(*ecs.RegisterTaskDefinitionInput, *types.ContainerDefinition){
		"image":         func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) { c.Image = aws.String("j") },
		"not essential": func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) { c.Essential = aws.Bool(false) },
		"env":           func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) { c.Environment = env("A", "1") },
		"memory": func(in *ecs.RegisterTaskDefinitionInput, _ *types.ContainerDefinition) {
			in.Memory = aws.String("1 GB")
		},
		"architecture": func(in *ecs.RegisterTaskDefinitionInput, _ *types.ContainerDefinition) {
			in.RuntimePlatform = &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureArm64}
		},
		"protocol": func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.PortMappings[0].Protocol = types.TransportProtocolUdp
		},
		"role": func(in *ecs.RegisterTaskDefinitionInput, _ *types.ContainerDefinition) {
			in.TaskRoleArn = aws.String("r")
		},
	}
	for name, change := range other {
		t.Run("other: "+name, func(t *testing.T) {
			if got := canonicalOf(t, base(change)); got == want {
				t.Errorf("the content did not change: %s", got)
			}
		})
	}
}

type fatal interface {
	Helper()
	Fatal(...any)
}

func canonicalOf(t fatal, in *ecs.RegisterTaskDefinitionInput) string {
	t.Helper()
	b, err := Canonical(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// drawInput draws a request with the members that the canonical form has rules for.
func drawInput(t *rapid.T) *ecs.RegisterTaskDefinitionInput {
	word := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9_]{0,5}`)
	in := &ecs.RegisterTaskDefinitionInput{
		Family:                  aws.String("drawn"),
		ExecutionRoleArn:        aws.String("arn:aws:iam::000000000000:role/execution"),
		NetworkMode:             types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		Cpu:                     aws.String(rapid.SampledFrom([]string{"256", ".25 vCPU", "0.25 vcpu"}).Draw(t, "cpu")),
		Memory:                  aws.String(rapid.SampledFrom([]string{"512", "1 GB", "1024", "2GB"}).Draw(t, "memory")),
	}
	names := rapid.SliceOfNDistinct(word, 1, 4, rapid.ID[string]).Draw(t, "containers")
	for _, n := range names {
		c := types.ContainerDefinition{Name: aws.String(n), Image: aws.String("image-of-" + n)}
		taken := rapid.SliceOfNDistinct(word, 0, 6, rapid.ID[string]).Draw(t, "names")
		for i, k := range taken {
			if i%2 == 0 {
				c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String(k), Value: aws.String(rapid.String().Draw(t, "value"))})
			} else {
				c.Secrets = append(c.Secrets, types.Secret{Name: aws.String(k), ValueFrom: aws.String("arn:aws:ssm:eu-central-1:000000000000:parameter/" + k)})
			}
		}
		for _, port := range rapid.SliceOfNDistinct(rapid.Int32Range(1, 60000), 0, 3, rapid.ID[int32]).Draw(t, "ports") {
			c.PortMappings = append(c.PortMappings, types.PortMapping{ContainerPort: aws.Int32(port)})
		}
		if rapid.Bool().Draw(t, "health") {
			c.HealthCheck = &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}}
		}
		if rapid.Bool().Draw(t, "essential") {
			c.Essential = aws.Bool(true)
		}
		in.ContainerDefinitions = append(in.ContainerDefinitions, c)
	}
	in.ContainerDefinitions[0].Essential = aws.Bool(true)
	return in
}

func TestCanonicalDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		want := canonicalOf(t, in)
		in.ContainerDefinitions = rapid.Permutation(in.ContainerDefinitions).Draw(t, "order")
		for i := range in.ContainerDefinitions {
			c := &in.ContainerDefinitions[i]
			c.Environment = rapid.Permutation(c.Environment).Draw(t, "env")
			c.Secrets = rapid.Permutation(c.Secrets).Draw(t, "secrets")
			c.PortMappings = rapid.Permutation(c.PortMappings).Draw(t, "mappings")
		}
		if got := canonicalOf(t, in); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func TestRenderTwiceIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		template := &types.TaskDefinition{ContainerDefinitions: in.ContainerDefinitions, NetworkMode: in.NetworkMode, Cpu: in.Cpu, Memory: in.Memory}
		declared := map[string]rollout.Container{}
		for _, c := range in.ContainerDefinitions {
			declared[aws.ToString(c.Name)] = rollout.Container{
				Image: "repo@sha256:1",
				Env:   rapid.MapOfN(rapid.StringMatching(`[A-Z]{1,4}`), rapid.String(), 0, 8).Draw(t, "env"),
			}
		}
		var all []string
		for range 2 {
			out, err := Render(template, "orders", declared, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(b))
		}
		if all[0] != all[1] {
			t.Fatalf("first  %s\nsecond %s", all[0], all[1])
		}
	})
}

func TestNotStarted(t *testing.T) {
	for reason, kind := range map[string]fault.Kind{"RESOURCE:CPU": fault.Unavailable, "EMPTY CAPACITY PROVIDER": fault.Unavailable, "ATTRIBUTE": fault.Blocked} {
		err := notStarted(rollout.RunMigration{Revision: "r"}, []types.Failure{{Reason: aws.String(reason)}})
		if fault.KindOf(err) != kind {
			t.Errorf("%s: kind %q, want %q", reason, fault.KindOf(err), kind)
		}
	}
	if err := notStarted(rollout.RunMigration{}, nil); fault.KindOf(err) != fault.Unknown || err == nil {
		t.Error("an answer without task and failure must be an error")
	}
}

func TestParseImage(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tests := map[string]struct {
		want registry
		ok   bool
	}{
		"000000000000.dkr.ecr.eu-central-1.amazonaws.com/team/app":             {registry{"000000000000", "eu-central-1", "team/app", "", ""}, true},
		"000000000000.dkr.ecr.eu-central-1.amazonaws.com/app:v1":               {registry{"000000000000", "eu-central-1", "app", "v1", ""}, true},
		"000000000000.dkr.ecr.eu-central-1.amazonaws.com/app@" + digest:        {registry{"000000000000", "eu-central-1", "app", "", digest}, true},
		"000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn/app:v1@" + digest:    {registry{"000000000000", "cn-north-1", "app", "v1", digest}, true},
		"public.ecr.aws/nginx/nginx:1":                                         {registry{}, false},
		"envoyproxy/envoy:v1":                                                  {registry{}, false},
		"000000000000.dkr.ecr.eu-central-1.amazonaws.com.evil.example/app:v1":  {registry{}, false},
		"000000000000.dkr.ecr.eu-central-1.amazonaws.com/app@sha256:not-a-sum": {registry{}, false},
	}
	for image, tt := range tests {
		if got, ok := parseImage(image); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %+v %t, want %+v %t", image, got, ok, tt.want, tt.ok)
		}
	}
}
