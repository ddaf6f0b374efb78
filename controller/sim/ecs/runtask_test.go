package ecs_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/script"
)

func runInput(td string, change ...func(*awsecs.RunTaskInput)) *awsecs.RunTaskInput {
	in := &awsecs.RunTaskInput{
		Cluster: aws.String("c"), TaskDefinition: aws.String(td), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnets(),
		ClientToken: aws.String("token"), StartedBy: aws.String("deploy/web"),
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: aws.String("app"), Command: []string{"/worker", "migrate"},
			Environment: []types.KeyValuePair{{Name: aws.String("MODE"), Value: aws.String("once")}},
		}}},
	}
	for _, f := range change {
		f(in)
	}
	return in
}

func (w *world) task(arn string) *types.Task {
	out := must(w.DescribeTasks(ctx(), &awsecs.DescribeTasksInput{Cluster: aws.String("c"), Tasks: []string{arn}, Include: []types.TaskField{types.TaskFieldTags}}))
	if len(out.Tasks) == 0 {
		if *out.Failures[0].Reason != "MISSING" {
			w.Fatalf("failure: %+v", out.Failures[0])
		}
		return nil
	}
	return &out.Tasks[0]
}

func migration(code int32) script.Book {
	return script.Book{{
		Match: script.Match{Image: "web", Command: []string{"/worker", "migrate"}},
		Script: script.Script{
			Logs: []script.Line{{After: 2 * time.Second, Text: "applied 3"}, {After: 20 * time.Second, Text: "done"}},
			Exit: &script.Exit{After: 20 * time.Second, Code: code},
		},
	}}
}

func withSecretsAndLogs(in *awsecs.RegisterTaskDefinitionInput) {
	c := &in.ContainerDefinitions[0]
	c.Secrets = []types.Secret{{Name: aws.String("DB"), ValueFrom: aws.String("arn:db")}}
	c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
		"awslogs-group": "/web", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "ecs",
	}}
}

// What a task was asked to have in place of its definition's is what it shows; the definition stays as it is.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
func TestOneOffTaskOfAnotherRole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, migration(0))
		const role = "arn:aws:iam::000000000000:role/migration"
		td := w.register("web:1")
		arn := *must(w.RunTask(ctx(), runInput(td, func(in *awsecs.RunTaskInput) { in.Overrides.TaskRoleArn = aws.String(role) }))).Tasks[0].TaskArn
		if k := w.task(arn); aws.ToString(k.Overrides.TaskRoleArn) != role || k.Overrides.ExecutionRoleArn != nil || len(k.Overrides.ContainerOverrides) != 1 {
			t.Errorf("overrides are %+v", k.Overrides)
		}
		if _, err := w.RunTask(ctx(), runInput(td, func(in *awsecs.RunTaskInput) {
			in.ClientToken, in.Overrides.Cpu = aws.String("other"), aws.String("512")
		})); err == nil {
			t.Error("an override that the account does not follow was accepted")
		}
	})
}

func TestOneOffTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, migration(0))
		arn := *must(w.RunTask(ctx(), runInput(w.register("web:1", withSecretsAndLogs)))).Tasks[0].TaskArn
		var path []string
		w.until(5*time.Minute, "STOPPED", func() bool {
			k := w.task(arn)
			if len(path) == 0 || path[len(path)-1] != *k.LastStatus {
				path = append(path, *k.LastStatus)
			}
			return *k.LastStatus == "STOPPED"
		})
		for _, step := range []string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEPROVISIONING", "STOPPED"} {
			if !slices.Contains(path, step) {
				t.Errorf("never %s: %v", step, path)
			}
		}
		k := w.task(arn)
		if k.StopCode != types.TaskStopCodeEssentialContainerExited || *k.Containers[0].ExitCode != 0 || *k.Group != "family:web" || *k.StartedBy != "deploy/web" || len(k.Tags) != 1 {
			t.Errorf("stopped task: %+v", k)
		}
		for _, pair := range [][2]*time.Time{{k.CreatedAt, k.PullStartedAt}, {k.PullStartedAt, k.PullStoppedAt}, {k.PullStoppedAt, k.StartedAt}, {k.StartedAt, k.ExecutionStoppedAt}, {k.ExecutionStoppedAt, k.StoppedAt}} {
			if pair[0] == nil || pair[1] == nil || !pair[0].Before(*pair[1]) {
				t.Errorf("times out of order: %v %v", pair[0], pair[1])
			}
		}
		want := []string{"/web ecs/app/" + tail(arn) + " applied 3", "/web ecs/app/" + tail(arn) + " done"}
		if !slices.Equal(w.logs.lines, want) {
			t.Errorf("log %q, want %q", w.logs.lines, want)
		}
		pass(time.Hour - 2*time.Second)
		if w.task(arn) == nil {
			t.Error("a stopped task vanished within the hour")
		}
		pass(3 * time.Second)
		if w.task(arn) != nil {
			t.Error("a stopped task is still there after an hour")
		}
	})
}

func TestClientToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, migration(0))
		td := w.register("web:1")
		arn := *must(w.RunTask(ctx(), runInput(td))).Tasks[0].TaskArn
		if again := *must(w.RunTask(ctx(), runInput(td))).Tasks[0].TaskArn; again != arn {
			t.Errorf("the same request started %s beside %s", again, arn)
		}
		_, err := w.RunTask(ctx(), runInput(td, func(in *awsecs.RunTaskInput) { in.StartedBy = aws.String("other") }))
		var conflict *types.ConflictException
		if !errors.As(err, &conflict) || !slices.Equal(conflict.ResourceIds, []string{arn}) {
			t.Errorf("other members: %v", err)
		}
		w.until(5*time.Minute, "STOPPED", func() bool { return *w.task(arn).LastStatus == "STOPPED" })
		if k := must(w.RunTask(ctx(), runInput(td))).Tasks[0]; *k.TaskArn != arn || *k.LastStatus != "STOPPED" || k.Containers != nil || k.StopCode != "" {
			t.Errorf("after the stop: %+v", k)
		}
		pass(time.Hour)
		if later := *must(w.RunTask(ctx(), runInput(td))).Tasks[0].TaskArn; later == arn {
			t.Error("the token still protects an hour after the task stopped")
		}
		w.runner.Set(nil)
		long := runInput(td, func(in *awsecs.RunTaskInput) { in.ClientToken = aws.String("long"); in.Overrides = nil })
		arn = *must(w.RunTask(ctx(), long)).Tasks[0].TaskArn
		pass(24*time.Hour - time.Minute)
		if again := *must(w.RunTask(ctx(), long)).Tasks[0].TaskArn; again != arn {
			t.Error("the token of a running task did not hold for 24 h")
		}
		pass(2 * time.Minute)
		if again := *must(w.RunTask(ctx(), long)).Tasks[0].TaskArn; again == arn {
			t.Error("the token of a running task still holds after 24 h")
		}
	})
}

func TestTaskFailures(t *testing.T) {
	cases := []struct {
		name, reason string
		book         script.Book
		change       func(*awsecs.RegisterTaskDefinitionInput)
	}{
		{"secret absent", "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the specified secret.", nil,
			func(in *awsecs.RegisterTaskDefinitionInput) {
				in.ContainerDefinitions[0].Secrets = []types.Secret{{Name: aws.String("X"), ValueFrom: aws.String("arn:none")}}
			}},
		{"log group absent", "The specified log group does not exist", nil, func(in *awsecs.RegisterTaskDefinitionInput) {
			withSecretsAndLogs(in)
			in.ContainerDefinitions[0].LogConfiguration.Options["awslogs-group"] = "/none"
		}},
		{"image absent", "CannotPullContainerError: not found", script.Book{{Script: script.Script{PullError: "not found"}}}, func(*awsecs.RegisterTaskDefinitionInput) {}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, c.book)
				arn := *must(w.RunTask(ctx(), runInput(w.register("web:1", c.change)))).Tasks[0].TaskArn
				w.until(5*time.Minute, "STOPPED", func() bool { return *w.task(arn).LastStatus == "STOPPED" })
				k := w.task(arn)
				if k.StopCode != types.TaskStopCodeTaskFailedToStart || !strings.Contains(*k.StoppedReason, c.reason) || k.Containers[0].ExitCode != nil || k.StartedAt != nil {
					t.Errorf("%s %q exit %v", k.StopCode, *k.StoppedReason, k.Containers[0].ExitCode)
				}
			})
		})
	}
}

// A stop may overtake a task in every state; it always ends STOPPED, with its tags
// gone, and exactly one process at most was stopped.
func TestStopTaskAtAnyTime(t *testing.T) {
	for at := range 12 {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, script.Book{{Script: script.Script{OnStop: script.Exit{After: time.Minute}}}})
			arn := *must(w.RunTask(ctx(), runInput(w.register("web:1")))).Tasks[0].TaskArn
			pass(time.Duration(at) * 4 * time.Second)
			before := *w.task(arn).LastStatus
			must(w.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("c"), Task: &arn, Reason: aws.String("enough")}))
			w.until(5*time.Minute, "STOPPED", func() bool { return *w.task(arn).LastStatus == "STOPPED" })
			k := w.task(arn)
			if k.StopCode != types.TaskStopCodeUserInitiated || *k.StoppedReason != "enough" || len(k.Tags) != 0 {
				t.Errorf("stopped in %s: %s %q tags %v", before, k.StopCode, *k.StoppedReason, k.Tags)
			}
			if code := k.Containers[0].ExitCode; before == "RUNNING" && (code == nil || *code != 137) {
				t.Errorf("stopTimeout passed, exit code %v, want 137", code)
			}
			if _, err := w.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("c"), Task: &arn}); err != nil {
				t.Errorf("second stop: %v", err)
			}
		})
	}
}

// An essential sidecar that ends takes the others with it; their codes are told
// by name.
func TestEssentialSidecar(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, script.Book{
			{Match: script.Match{Container: "proxy"}, Script: script.Script{Exit: &script.Exit{After: 30 * time.Second}}},
			{Match: script.Match{Container: "app"}, Script: script.Script{OnStop: script.Exit{After: 5 * time.Second, Code: 143}}},
		})
		td := w.register("web:1", func(in *awsecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions = append(in.ContainerDefinitions, types.ContainerDefinition{Name: aws.String("proxy"), Image: aws.String("proxy:1")})
		})
		arn := *must(w.RunTask(ctx(), runInput(td))).Tasks[0].TaskArn
		w.until(5*time.Minute, "STOPPED", func() bool { return *w.task(arn).LastStatus == "STOPPED" })
		k := w.task(arn)
		for _, c := range k.Containers {
			if want := map[string]int32{"app": 143, "proxy": 0}[*c.Name]; c.ExitCode == nil || *c.ExitCode != want {
				t.Errorf("exit code of %s: %v, want %d", *c.Name, c.ExitCode, want)
			}
		}
	})
}
