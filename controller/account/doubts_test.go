package account_test

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

// TestFactsUnderDoubt goes the way of a good version, of one that crashes and back, with each point that AWS's documents
// leave open turned the other way: the facts that decide are found all the same.
func TestFactsUnderDoubt(t *testing.T) {
	together := ecs.Doubts{
		StoppingOutsideMax: true, NewCreatedAtOnRollback: true, SupersededFailed: true, FailedShownAfter: 106 * time.Second,
		SDSuccessBeforeClassic: 38 * time.Second, BreakerStallOnBadImage: 1, EarlyExitsIgnored: true, EarlyExit: time.Minute,
		StaleReadMax: 30 * time.Second, SDRecordLagMax: 15 * time.Second, TaskRecordLagMax: 15 * time.Second,
		CurrentServiceDeploymentKept: true, PlacementUncounted: true, FirstDeploymentBakes: true, LiveTargetGroupShown: true,
		StartedByStoppedRefused: true, InactiveUsableFor: 10 * time.Minute, UnboundedPercentFloored: true,
	}
	tests := map[string]sim.Config{
		"as the documents read":          {},
		"superseded is FAILED":           {Doubts: ecs.Doubts{SupersededFailed: true}},
		"early exits are no failures":    {Doubts: ecs.Doubts{EarlyExitsIgnored: true}},
		"SUCCESSFUL before COMPLETED":    {Doubts: ecs.Doubts{SDSuccessBeforeClassic: 38 * time.Second}},
		"stale reads":                    {Doubts: ecs.Doubts{StaleReadMax: 30 * time.Second}},
		"late service deployments":       {Doubts: ecs.Doubts{SDRecordLagMax: 15 * time.Second}},
		"late tasks":                     {Doubts: ecs.Doubts{TaskRecordLagMax: 15 * time.Second}},
		"the ended deployment is shown":  {Doubts: ecs.Doubts{CurrentServiceDeploymentKept: true}},
		"the live target group is first": {Doubts: ecs.Doubts{LiveTargetGroupShown: true}},
		"startedBy refused with STOPPED": {Doubts: ecs.Doubts{StartedByStoppedRefused: true}},
		"the table's limits for ELB":     {WideELBLimits: true},
		"stops limited apart":            {StopsLimitedApart: true},
		"checks time out after 5 s":      {ShortCheckTimeout: true},
		"all at once":                    {Doubts: together, WideELBLimits: true, StopsLimitedApart: true, ShortCheckTimeout: true},
	}
	for name, config := range tests {
		t.Run(name, func(t *testing.T) {
			book := append(script.Book{{Match: script.Match{Image: digest("bad")}, Script: script.Script{Exit: &script.Exit{After: 2 * time.Second, Code: 3}}}}, logs()...)
			config.Seed, config.Book = 21, book
			bubble(t, config, func(w *world) {
				good := w.mustAct(w.register("v2")).Revision
				w.migratesOnce(good)
				w.rolls(good)
				w.crashes(w.mustAct(w.register("bad")).Revision)
				w.rolls(good)
			})
		})
	}
}

// migratesOnce sends one request twice, as after a lost answer, and follows its task to the end.
func (w *world) migratesOnce(revision string) {
	w.Helper()
	ask := rollout.RunMigration{Revision: revision, Container: container, Command: []string{"/worker", "migrate"}, Token: "token-1"}
	began := time.Now()
	first, again := w.mustAct(ask).Task, w.mustAct(ask).Task
	if first == "" || again != first {
		w.Fatalf("the same request made task %q and then %q", first, again)
	}
	s := w.until(5*time.Minute, observed.Look{Migration: first, MigrationSince: began}, func(s observed.Service) bool { return s.Migration != nil && s.Migration.Stopped() })
	if c, ok := s.Migration.Container(container); !ok || !c.Exited || c.ExitCode != 0 {
		w.Errorf("migration %+v, want an exit with 0", s.Migration)
	}
}

// rolls follows a good rollout until both of ECS's accounts of it say that it is done.
func (w *world) rolls(revision string) {
	w.Helper()
	began := time.Now()
	id := w.mustAct(roll(revision)).Deployment
	look := observed.Look{
		Deployment: id, ServiceDeployment: true, Tasks: true, Targets: true, Alarms: []string{alarm, "absent"},
		Logs: &observed.LogLook{Revision: revision, Since: began, Patterns: []string{"listening", "panic"}, Tail: 5},
	}
	s := w.until(10*time.Minute, look, func(s observed.Service) bool {
		if d := s.ServiceDeployment; d != nil && d.Deployment != id {
			w.Fatalf("the record is of %s, want %s", d.Deployment, id)
		}
		p := s.Primary()
		return p.ID == id && p.Rollout == observed.RolloutCompleted && len(s.Deployments) == 1 &&
			s.ServiceDeployment != nil && s.ServiceDeployment.Status == observed.ServiceDeploymentSuccessful
	})
	w.checkRolled(s, id, revision)
}

// crashes follows a rollout until two of its tasks are seen to have ended by themselves.
func (w *world) crashes(revision string) {
	w.Helper()
	id := w.mustAct(roll(revision)).Deployment
	w.until(10*time.Minute, observed.Look{Deployment: id, ServiceDeployment: true, Tasks: true}, func(s observed.Service) bool {
		crashed := 0
		for _, task := range s.Tasks {
			if c, ok := task.Container(container); ok && task.Deployment == id && task.Stopped() && c.Exited && c.ExitCode == 3 {
				crashed++
			}
		}
		return crashed >= 2
	})
}
