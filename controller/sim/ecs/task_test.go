package ecs_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

func TestContainerHealth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{ContainerHealth: []script.Health{{After: 50 * time.Second, Status: types.HealthStatusUnhealthy}}}}})
		checked := func(in *awsecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].HealthCheck = &types.HealthCheck{Command: []string{"CMD", "/check"}}
		}
		w.settle(w.register("web:good", checked), 1, withBreaker(false))
		if k := w.tasks(types.DesiredStatusRunning)[0]; k.HealthStatus != types.HealthStatusHealthy {
			t.Errorf("healthStatus %s", k.HealthStatus)
		}
		w.roll(w.register("web:bad", checked))
		w.until(30*time.Minute, "FAILED", func() bool { return w.primary().RolloutState == failed })
		if !w.said("failed container health checks.") {
			t.Errorf("no event:\n%s", w.story())
		}
		if k := w.tasks(types.DesiredStatusStopped)[0]; *k.StoppedReason != "Task failed container health checks" {
			t.Errorf("stoppedReason %q", *k.StoppedReason)
		}
	})
}

func TestListTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		td := w.register("web:1")
		w.settle(td, 2)
		must(w.RunTask(ctx(), runInput(td)))
		list := func(in awsecs.ListTasksInput) int {
			in.Cluster = aws.String("c")
			return len(must(w.ListTasks(ctx(), &in)).TaskArns)
		}
		for _, c := range []struct {
			name string
			in   awsecs.ListTasksInput
			want int
		}{
			{"all", awsecs.ListTasksInput{}, 3},
			{"service", awsecs.ListTasksInput{ServiceName: aws.String("web")}, 2},
			{"family", awsecs.ListTasksInput{Family: aws.String("web")}, 3},
			{"startedBy", awsecs.ListTasksInput{StartedBy: aws.String("deploy/web")}, 1},
			{"pending never matches", awsecs.ListTasksInput{DesiredStatus: types.DesiredStatusPending}, 0},
			{"stopped", awsecs.ListTasksInput{DesiredStatus: types.DesiredStatusStopped}, 0},
		} {
			if got := list(c.in); got != c.want {
				t.Errorf("%s: %d tasks, want %d", c.name, got, c.want)
			}
		}
		_, err := w.ListTasks(ctx(), &awsecs.ListTasksInput{Cluster: aws.String("c"), StartedBy: aws.String("x"), Family: aws.String("web")})
		var bad *types.InvalidParameterException
		if !errors.As(err, &bad) || *bad.Message != "cannot specify startedBy with other arguments" {
			t.Errorf("startedBy and family: %v", err)
		}
	})
}

// A service task that somebody stops is replaced; Fargate taking one away too.
func TestServiceTaskReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 2)
		for _, take := range []func(arn string) error{
			func(arn string) error {
				_, err := w.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("c"), Task: &arn})
				return err
			},
			func(arn string) error {
				return w.Interrupt(arn, types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted.")
			},
		} {
			arn := *w.tasks(types.DesiredStatusRunning)[0].TaskArn
			if err := take(arn); err != nil {
				t.Fatal(err)
			}
			w.until(5*time.Minute, "replaced", func() bool { s := w.service(); return s.RunningCount == 2 && *w.task(arn).LastStatus == "STOPPED" })
		}
		if p := w.primary(); *p.Id != *a.Id || p.RolloutState != completed {
			t.Errorf("a replacement made a deployment:\n%s", w.story())
		}
	})
}

func TestRefusePlacement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		td := w.register("web:1")
		w.settle(td, 1)
		w.RefusePlacement("Capacity is unavailable at this time. Please try again later or in a different availability zone.")
		if out := must(w.RunTask(ctx(), runInput(td))); len(out.Tasks) != 0 || len(out.Failures) != 1 {
			t.Errorf("RunTask: %+v", out)
		}
		b := w.roll(w.register("web:2"))
		pass(5 * time.Minute)
		if !w.said("was unable to place a task. Reason: Capacity is unavailable at this time.") || w.primary().PendingCount != 0 {
			t.Errorf("no placement event:\n%s", w.story())
		}
		w.RefusePlacement("")
		w.until(10*time.Minute, "COMPLETED", func() bool { p := w.primary(); return *p.Id == *b.Id && p.RolloutState == completed })
	})
}

func TestTaskRecordLag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *ecs.Config) { c.Doubts.TaskRecordLagMax = 20 * time.Second; c.Seed = 3 })
		arn := *must(w.RunTask(ctx(), runInput(w.register("web:1")))).Tasks[0].TaskArn
		if w.task(arn) != nil {
			t.Fatal("the task is described at once although records lag")
		}
		w.until(20*time.Second, "described", func() bool { return w.task(arn) != nil })
	})
}

// asked keeps what images were asked for.
type asked struct {
	ecs.Images
	mu   sync.Mutex
	refs []string
}

func (a *asked) Resolve(ref string) (string, ecs.ImageSpec, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refs = append(a.refs, ref)
	return a.Images.Resolve(ref)
}

// The first task of a deployment resolves the tag; later ones ask for the digest,
// and an image that is gone by then hits a service at rest without any rollout.
func TestImagePinned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		images := &asked{}
		w := newWorld(t, nil, func(c *ecs.Config) { images.Images, c.Images = c.Images, images })
		a := w.settle(w.register("web:1"), 1, withBreaker(true))
		w.runner.Set(script.Book{{Match: script.Match{Image: ":1"}, Script: script.Script{PullError: "web@sha256: not found"}}})
		must(w.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("c"), Task: w.tasks(types.DesiredStatusRunning)[0].TaskArn}))
		pass(time.Hour)
		images.mu.Lock()
		defer images.mu.Unlock()
		if images.refs[0] != "web:1" || !strings.HasPrefix(images.refs[1], "web@sha256:") {
			t.Errorf("asked for %q", images.refs[:2])
		}
		if p := w.primary(); *p.Id != *a.Id || p.RolloutState != completed || p.RunningCount != 0 || p.FailedTasks != 0 {
			t.Errorf("an hour later:\n%s", w.story())
		}
		if !w.said("is unable to consistently start tasks successfully.") {
			t.Errorf("no event of the start throttle:\n%s", w.story())
		}
		if n := len(images.refs); n > 12 {
			t.Errorf("%d starts in an hour: nothing throttles them", n)
		}
	})
}
