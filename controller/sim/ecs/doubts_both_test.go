package ecs_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

// doubted is one switch of Doubts: what is seen with it off and with it on.
type doubted struct {
	turn      func(*ecs.Doubts)
	book      script.Book
	see       func(*world) string
	plain, on string
}

// elsewhere are the switches that a test of their own turns both ways.
var elsewhere = map[string]string{
	"StoppingOutsideMax": "TestInvariants", "FailedShownAfter": "TestBreakerRollsBack", "SDSuccessBeforeClassic": "TestDoubts",
	"BreakerStallOnBadImage": "TestDoubts", "StaleReadMax": "TestDoubts", "SDRecordLagMax": "TestBreakerRollsBack", "TaskRecordLagMax": "TestTaskRecordLag",
	"PlacementUncounted": "TestStagedDoubts", "FirstDeploymentBakes": "TestStagedDoubts", "LiveTargetGroupShown": "TestStagedDoubts",
}

func exits(after time.Duration) script.Book {
	return script.Book{{Match: script.Match{Image: ":bad"}, Script: script.Script{Exit: &script.Exit{After: after, Code: 1}}}}
}

// verdict rolls a bad image out and says how its record stands after an hour.
func verdict(w *world) string {
	w.settle(w.register("web:1"), 1, withBreaker(true))
	b := w.roll(w.register("web:bad"))
	pass(time.Hour)
	return string(w.record(*b.Id).Status)
}

// rolledBack rolls a bad image out until it is rolled back.
func rolledBack(w *world) (before, after types.Deployment) {
	before = w.settle(w.register("web:1"), 1, withLB, withBreaker(true))
	b := w.roll(w.register("web:bad"))
	w.until(time.Hour, "rolled back", func() bool { r := w.record(*b.Id); return r != nil && r.FinishedAt != nil })
	return before, w.primary()
}

func doubtedPoints() map[string]doubted {
	return map[string]doubted{
		"NewCreatedAtOnRollback": {turn: func(d *ecs.Doubts) { d.NewCreatedAtOnRollback = true }, book: unhealthy(), see: func(w *world) string {
			before, after := rolledBack(w)
			return fmt.Sprint(*before.Id == *after.Id, " ", before.CreatedAt.Equal(*after.CreatedAt))
		}, plain: "true true", on: "true false"},
		"SupersededFailed": {turn: func(d *ecs.Doubts) { d.SupersededFailed = true }, see: func(w *world) string {
			w.settle(w.register("web:1"), 2)
			b := w.roll(w.register("web:2"))
			pass(15 * time.Second)
			w.roll(w.register("web:3"))
			return string(w.deployment(*b.Id).RolloutState)
		}, plain: "IN_PROGRESS", on: "FAILED"},
		"EarlyExitsIgnored": {turn: func(d *ecs.Doubts) { d.EarlyExitsIgnored = true }, book: exits(12 * time.Second), see: verdict,
			plain: "ROLLBACK_SUCCESSFUL", on: "IN_PROGRESS"},
		"EarlyExit": {turn: func(d *ecs.Doubts) { d.EarlyExit = time.Minute }, book: exits(45 * time.Second), see: verdict,
			plain: "IN_PROGRESS", on: "ROLLBACK_SUCCESSFUL"},
		"CurrentServiceDeploymentKept": {turn: func(d *ecs.Doubts) { d.CurrentServiceDeploymentKept = true }, see: func(w *world) string {
			w.settle(w.register("web:1"), 1)
			return fmt.Sprint(w.service().CurrentServiceDeployment != nil)
		}, plain: "false", on: "true"},
		"StartedByStoppedRefused": {turn: func(d *ecs.Doubts) { d.StartedByStoppedRefused = true }, see: func(w *world) string {
			_, err := w.ListTasks(ctx(), &awsecs.ListTasksInput{Cluster: aws.String("c"), StartedBy: aws.String("me"), DesiredStatus: types.DesiredStatusStopped})
			return fmt.Sprint(err == nil)
		}, plain: "true", on: "false"},
		"InactiveUsableFor": {turn: func(d *ecs.Doubts) { d.InactiveUsableFor = 10 * time.Minute }, see: func(w *world) string {
			td := w.register("web:1")
			must(w.DeregisterTaskDefinition(ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &td}))
			run := func() bool {
				_, err := w.RunTask(ctx(), &awsecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: &td, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnets()})
				return err == nil
			}
			soon := run()
			pass(11 * time.Minute)
			return fmt.Sprint(soon, " ", run())
		}, plain: "false false", on: "true false"},
		"DrainingDeploymentsShown": {turn: func(d *ecs.Doubts) { d.DrainingDeploymentsShown = true }, see: func(w *world) string {
			a := w.settle(w.register("web:1"), 1)
			b := w.roll(w.register("web:2"))
			return *w.deployment(*b.Id).Status + " " + *w.deployment(*a.Id).Status
		}, plain: "PRIMARY ACTIVE", on: "PRIMARY DRAINING"},
		"OneTaskWording": {turn: func(d *ecs.Doubts) { d.OneTaskWording = true }, book: unhealthy(), see: func(w *world) string {
			rolledBack(w)
			for _, ev := range w.events {
				if ev.Name == "SERVICE_DEPLOYMENT_FAILED" {
					return ev.Reason
				}
			}
			return "nothing"
		}, plain: "ECS deployment circuit breaker: tasks failed to start.", on: "ECS deployment circuit breaker: task failed to start."},
		"MaintenanceIsTermination": {turn: func(d *ecs.Doubts) { d.MaintenanceIsTermination = true }, see: func(w *world) string {
			w.settle(w.register("web:1"), 1)
			if err := w.Retire(*w.tasks(types.DesiredStatusRunning)[0].TaskArn); err != nil {
				return err.Error()
			}
			return string(w.tasks(types.DesiredStatusStopped)[0].StopCode)
		}, plain: "ServiceSchedulerInitiated", on: "TerminationNotice"},
		// Half of one task is none: a breaker without a threshold never fires.
		"UnboundedPercentFloored": {turn: func(d *ecs.Doubts) { d.UnboundedPercentFloored = true }, book: unhealthy(), see: func(w *world) string {
			w.settle(w.register("web:1"), 1, withLB, withBreaker(true), withThreshold(types.ThresholdTypeUnboundedPercent, 50))
			b := w.roll(w.register("web:bad"))
			pass(time.Hour)
			return fmt.Sprint(w.record(*b.Id).DeploymentCircuitBreaker.Threshold, " ", w.record(*b.Id).Status)
		}, plain: "1 ROLLBACK_SUCCESSFUL", on: "0 IN_PROGRESS"},
	}
}

// Every switch of Doubts is seen both ways.
func TestDoubtsBothWays(t *testing.T) {
	points := doubtedPoints()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ecs.Doubts]()) {
		d, here := points[f.Name]
		if !here {
			if elsewhere[f.Name] == "" {
				t.Errorf("no test turns %s both ways", f.Name)
			}
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			for way, want := range map[string]string{"plain": d.plain, "turned": d.on} {
				bubble(t, func(t *testing.T) {
					w := newWorld(t, d.book, func(c *ecs.Config) {
						if way == "turned" {
							d.turn(&c.Doubts)
						}
					})
					if got := d.see(w); !strings.EqualFold(got, want) {
						t.Errorf("%s: got %s, want %s", way, got, want)
					}
				})
			}
		})
	}
}
