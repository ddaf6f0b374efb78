package ecs_test

import (
	"testing"
	"time"

	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
	"github.com/google/go-cmp/cmp"
)

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
