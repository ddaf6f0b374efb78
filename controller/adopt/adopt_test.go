package adopt

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/strategy"
)

const (
	repository = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/orders"
	digest     = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
)

// running is a service that can be adopted.
func running(c Container) Running {
	return Running{Account: "000000000000", Region: "eu-central-1", Cluster: "shop", Service: "orders", Active: true, Controller: "ECS", Desired: 2, Running: 2, Minimum: 100, Maximum: 200,
		Revision: "orders:7", Containers: []Container{c}, Stack: "orders-deploy", Outputs: map[string]string{"RepoUri": repository, "TaskTemplate": "orders-template"}, Family: "orders-template",
		Template: []Container{{Name: c.Name, Env: map[string]string{"REGION": "eu"}, Secrets: map[string]string{}}}}
}

// Whatever the variables hold, the file is read as just that, and says nothing of what the template has.
func TestFileSaysWhatRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := rapid.MapOfN(rapid.StringMatching(`[A-Z][A-Z_]{3,8}X`), rapid.String(), 0, 4).Draw(t, "env")
		c := Container{Name: rapid.StringMatching(`[A-Za-z0-9_-]{1,12}`).Draw(t, "container"), Image: repository + "@" + digest, Digests: []string{digest}, Tags: []string{"release", "1a2b3c4"},
			Env: map[string]string{"REGION": "eu"}, Secrets: map[string]string{"DB": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:db-AbCdEf:password::"}}
		maps.Copy(c.Env, env)
		r := running(c)
		if why := r.Refusal() + r.Trouble(); why != "" {
			t.Fatal(why)
		}
		file := r.File("orders")
		got := desired.Load(fstest.MapFS{"orders.yaml": {Data: file, Mode: 0o644}, desired.EnvironmentFile: {Data: r.Environment("dev"), Mode: 0o644}}, desired.Kinds{Strategies: strategy.Kinds()})
		if len(got.Errors) > 0 {
			for k, v := range env {
				if desired.LooksSecret(k, v) {
					return // that is what the parser is for
				}
			}
			t.Fatalf("%v\n%s", got.Errors, file)
		}
		want := desired.Container{Image: desired.Image{Tag: "1a2b3c4", Digest: digest}, Env: env, Secrets: c.Secrets}
		if len(env) == 0 {
			want.Env = nil
		}
		if diff := cmp.Diff(want, got.Services["orders"].Spec.Containers[c.Name]); diff != "" {
			t.Fatalf("%s\n%s", diff, file)
		}
	})
}

func TestTags(t *testing.T) {
	for _, tt := range []struct {
		image string
		tags  []string
		want  string
		known bool
	}{
		{repository + ":v7", []string{"1a2b3c4"}, "v7", true},
		{repository + ":v7@" + digest, nil, "v7", true},
		{repository + "@" + digest, []string{"release", "1a2b3c4"}, "1a2b3c4", true},
		{repository + "@" + digest, []string{"release"}, "release", true},
		{repository + "@" + digest, nil, "111111111111", false},
		{"localhost:5000/orders@" + digest, nil, "111111111111", false},
	} {
		got, known := (Container{Image: tt.image, Tags: tt.tags, Digests: []string{digest}}).tag()
		if got != tt.want || known != tt.known {
			t.Errorf("%s with %v: %s %t, want %s %t", tt.image, tt.tags, got, known, tt.want, tt.known)
		}
	}
}

func TestWhatCannotBeAdopted(t *testing.T) {
	c := Container{Name: "app", Image: repository + ":1a2b3c4", Digests: []string{digest}}
	for says, change := range map[string]func(*Running){
		"DRAINING":                    func(r *Running) { r.Active, r.Status = false, "DRAINING" },
		"is EXTERNAL":                 func(r *Running) { r.Controller = "EXTERNAL" },
		"are BLUE_GREEN":              func(r *Running) { r.Strategy = "BLUE_GREEN" },
		"DAEMON":                      func(r *Running) { r.Scheduling = "DAEMON" },
		"is under way":                func(r *Running) { r.Rolling = true },
		"0 of 2 tasks run":            func(r *Running) { r.Running = 0 },
		"a family of its own":         func(r *Running) { r.Family = "orders" },
		"app: other:1":                func(r *Running) { r.Containers[0].Image = "other:1" },
		"no known images":             func(r *Running) { r.Containers[0].Digests = nil },
		"2 images in container app":   func(r *Running) { r.Containers[0].Digests = []string{digest, "sha256:2"} },
		"has no container app":        func(r *Running) { r.Template = nil },
		"whatever, it can be adopted": func(*Running) {},
	} {
		r := running(c)
		change(&r)
		if got := r.Refusal() + r.Trouble(); !strings.Contains(got, says) && got != "" || got == "" != strings.HasPrefix(says, "whatever") {
			t.Errorf("%q, want %q", got, says)
		}
	}
}

func TestStackTemplate(t *testing.T) {
	r := running(Container{Name: "app", Image: repository + ":1a2b3c4", Digests: []string{digest}})
	r.Subnets, r.SecurityGroups = []string{"subnet-1", "subnet-2"}, []string{"sg-1"}
	r.Content = `{"Family":"orders","Cpu":"256","PidMode":"","TaskRoleArn":null,"ContainerDefinitions":[{"Name":"app","Image":"x","Essential":false,"Links":[],
		"Environment":[{"Name":"EMPTY","Value":""}],"LogConfiguration":{"LogDriver":"awslogs","Options":{"Iam":"kept"}}}],
		"Volumes":[{"Name":"v","EfsVolumeConfiguration":{"FileSystemId":"fs-1","AuthorizationConfig":{"Iam":"ENABLED"}}}]}`
	body, err := r.StackTemplate(repository)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Resources map[string]struct {
			Type       string
			Properties map[string]any
		}
		Outputs map[string]struct{ Value any }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Family": "orders-template", "Cpu": "256",
		"ContainerDefinitions": []any{map[string]any{"Name": "app", "Image": "x", "Essential": false, "Environment": []any{map[string]any{"Name": "EMPTY", "Value": ""}},
			"LogConfiguration": map[string]any{"LogDriver": "awslogs", "Options": map[string]any{"Iam": "kept"}}}},
		"Volumes": []any{map[string]any{"Name": "v", "EFSVolumeConfiguration": map[string]any{"FilesystemId": "fs-1", "AuthorizationConfig": map[string]any{"IAM": "ENABLED"}}}}}
	if diff := cmp.Diff(want, got.Resources["TaskTemplate"].Properties); diff != "" {
		t.Error(diff)
	}
	if got.Outputs["AppSubnetIds"].Value != "subnet-1,subnet-2" || got.Outputs["RepoUri"].Value != repository {
		t.Errorf("outputs: %v", got.Outputs)
	}
	r.Content = `{"ProxyConfiguration":{"ContainerName":"envoy"}}`
	if _, err := r.StackTemplate(repository); err == nil || !strings.Contains(err.Error(), "ProxyConfiguration") {
		t.Errorf("what is not carried over: %v", err)
	}
}
