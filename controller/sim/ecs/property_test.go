package ecs_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
	"pgregory.net/rapid"
)

// What must hold of every service at every moment, whatever is asked of it and
// whatever its tasks do.
type invariants struct {
	before map[string]ecs.Look
	seen   map[string]bool // deployments
	broken []string
}

func (v *invariants) check(looks []ecs.Look) {
	for _, l := range looks {
		old, known := v.before[l.Service]
		v.before[l.Service] = l
		if known {
			v.compare(old, l)
		}
		if l.Primaries != 1 {
			v.say("I3: %d PRIMARY deployments", l.Primaries)
		}
		if l.Events > 100 || l.EventsDisorder {
			v.say("I6: %d events, out of order: %v", l.Events, l.EventsDisorder)
		}
		for _, d := range l.Deployments {
			v.seen[d] = true
		}
	}
}

func (v *invariants) compare(old, l ecs.Look) {
	healthy := 0
	for _, t := range l.Tasks {
		if t.Healthy {
			healthy++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.Tasks)) {
		t, was := l.Tasks[id], old.Tasks[id]
		if was.Live && was.Healthy && !t.Live && strings.HasPrefix(t.Reason, "Scaling activity") && healthy < l.Min {
			v.say("I1: a healthy task was stopped, %d are left, minimum %d", healthy, l.Min)
		}
		if _, known := old.Tasks[id]; known {
			continue
		}
		if l.Occupied > l.Max {
			v.say("I2: a task was started, %d exist, maximum %d", l.Occupied, l.Max)
		}
		if t.Failed {
			v.say("I4: a failed deployment started a task")
		}
	}
	if l.PrimaryRollback && !old.PrimaryRollback && (l.Revisions != old.Revisions || !v.seen[l.Deployments[0]]) {
		v.say("I5: a rollback made a new deployment or revision")
	}
}

func (v *invariants) say(format string, args ...any) {
	if len(v.broken) < 5 {
		v.broken = append(v.broken, fmt.Sprintf(format, args...))
	}
}

// deed is one thing done to the service after a while.
type deed struct {
	Wait   int // seconds
	Kind   string
	Image  string
	Count  int32
	Low    int32
	High   int32
	Breaks bool
	Backs  bool
}

var images = script.Book{
	{Match: script.Match{Image: ":sick"}, Script: script.Script{HealthStatus: 503}},
	{Match: script.Match{Image: ":hangs"}, Script: script.Script{HealthyFor: 2 * time.Minute, HangsAfter: true}},
	{Match: script.Match{Image: ":crashes"}, Script: script.Script{Exit: &script.Exit{Code: 1}}},
	{Match: script.Match{Image: ":dies"}, Script: script.Script{Exit: &script.Exit{After: 3 * time.Minute, Code: 1}}},
	{Match: script.Match{Image: ":absent"}, Script: script.Script{PullError: "not found"}},
	{Match: script.Match{Image: ":slow"}, Script: script.Script{StartsIn: time.Minute}},
	{Match: script.Match{Image: ":flaps"}, Times: 3, Script: script.Script{HealthStatus: 500}},
}

func deeds(t *rapid.T) []deed {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
		return deed{
			Wait:   rapid.IntRange(0, 300).Draw(t, "wait"),
			Kind:   rapid.SampledFrom([]string{"roll", "roll", "roll", "count", "config", "force", "stop a task", "stop the rollout", "wait"}).Draw(t, "kind"),
			Image:  rapid.SampledFrom([]string{"good", "good", "better", "sick", "hangs", "crashes", "dies", "absent", "slow", "flaps"}).Draw(t, "image"),
			Count:  rapid.Int32Range(0, 5).Draw(t, "count"),
			Low:    rapid.SampledFrom([]int32{0, 50, 67, 100}).Draw(t, "minimum"),
			High:   rapid.SampledFrom([]int32{100, 125, 150, 200}).Draw(t, "maximum"),
			Breaks: rapid.Bool().Draw(t, "breaker"),
			Backs:  rapid.Bool().Draw(t, "rollback"),
		}
	}), 1, 25).Draw(t, "deeds")
}

func (w *world) do(d deed) {
	switch d.Kind {
	case "roll":
		w.roll(w.register("web:" + d.Image))
	case "count":
		w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = &d.Count })
	case "force":
		w.update(func(in *awsecs.UpdateServiceInput) { in.ForceNewDeployment = true })
	case "config":
		w.configure(d.Low, d.High, d.Breaks, d.Backs)
	case "stop a task":
		if ts := w.tasks(types.DesiredStatusRunning); len(ts) > 0 {
			must(w.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("c"), Task: ts[int(d.Count)%len(ts)].TaskArn}))
		}
	case "stop the rollout":
		if current := w.service().CurrentServiceDeployment; current != nil {
			must(w.StopServiceDeployment(ctx(), &awsecs.StopServiceDeploymentInput{ServiceDeploymentArn: current}))
		}
	}
}

func (w *world) configure(low, high int32, breaks, backs bool) {
	w.update(func(in *awsecs.UpdateServiceInput) {
		in.DeploymentConfiguration = &types.DeploymentConfiguration{
			MinimumHealthyPercent: &low, MaximumPercent: &high,
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: breaks, Rollback: backs},
		}
	})
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		balanced := rapid.Bool().Draw(rt, "load balancer")
		outside := rapid.Bool().Draw(rt, "stopping outside maximum")
		story := deeds(rt)
		broken := ""
		bubble(t, func(t *testing.T) {
			w := newWorld(t, images, func(c *ecs.Config) { c.Seed, c.Doubts.StoppingOutsideMax = seed, outside })
			v := &invariants{before: map[string]ecs.Look{}, seen: map[string]bool{}}
			w.OnChange(v.check)
			must(w.CreateService(ctx(), createInput(w.register("web:good"), 2, func(in *awsecs.CreateServiceInput) {
				if balanced {
					withLB(in)
				}
			})))
			for _, d := range story {
				pass(time.Duration(d.Wait) * time.Second)
				w.do(d)
			}
			// Whatever happened: a good revision that has room comes to rest.
			w.configure(100, 200, false, false)
			w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(2) })
			last := w.roll(w.register("web:last"))
			for i := 0; i < 3600 && w.primary().RolloutState != completed; i++ {
				pass(time.Second)
			}
			w.OnChange(func([]ecs.Look) {})
			if s := w.service(); *s.Deployments[0].Id != *last.Id || s.Deployments[0].RolloutState != completed || s.RunningCount != 2 || len(s.Deployments) != 1 {
				v.say("a good revision did not come to rest within an hour:\n%s", w.story())
			}
			if r := w.record(*last.Id); r.Status != types.ServiceDeploymentStatusSuccessful {
				v.say("its record is %s", r.Status)
			}
			broken = strings.Join(v.broken, "\n")
		})
		if broken != "" {
			rt.Fatal(broken)
		}
	})
}
