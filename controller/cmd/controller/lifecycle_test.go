package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
)

// TestEndsAnywhereAndGoesOn: one controller has a service in its migration, one in its roll and one in its bake when it ends. The
// next one brings all of them to the same end as if nothing had been, and does nothing twice.
func TestEndsAnywhereAndGoesOn(t *testing.T) {
	for name, end := range map[string]func(*program){"SIGTERM": (*program).stop, "SIGKILL": (*program).kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			migrating, rolling, baking := simple("migrating"), simple("rolling"), simple("baking")
			migrating.Images[0].Migrates = 6 * time.Second
			rolling.Images[0].StartsIn, rolling.Balanced = 4*time.Second, true // its target is looked at every 5 s
			w := newWorld(t, sim.Config{}, migrating, rolling, baking)
			w.ask("1a11111", "migrating", "rolling", "baking")
			first := w.start()
			first.await("one service in each stage", func() error {
				return errors.Join(first.atStage("migrating", rollout.StageMigrate), first.atStage("rolling", rollout.StageRoll), first.atStage("baking", rollout.StageBake))
			})
			end(first)
			next := w.start()
			next.awaitPhase(condition.PhaseHealthy, "migrating", "rolling", "baking")
			for _, name := range []string{"migrating", "rolling", "baking"} {
				w.wasRolledOnce(next, name)
			}
		})
	}
}

// atStage returns nil once the service's rollout is at the stage and what the stage waits for has been asked of the account.
func (p *program) atStage(name string, stage rollout.Stage) error {
	s, err := p.look(name)
	switch {
	case err != nil:
		return err
	case s.Rollout == nil || s.Rollout.Stage != stage:
		return fmt.Errorf("%s is %s (%s), not at stage %s", name, s.Phase, s.Why, stage)
	case stage == rollout.StageMigrate && s.Rollout.Migration == "", stage == rollout.StageRoll && s.Rollout.Deployment == "":
		return fmt.Errorf("%s is only about to %s", name, stage)
	}
	return nil
}

// wasRolledOnce wants one successful rollout of the service, with one migration, one revision and one deployment.
func (w *world) wasRolledOnce(p *program, name string) {
	w.t.Helper()
	s, err := p.look(name)
	w.must(err)
	if len(s.History) != 1 || s.History[0].Result != rollout.ResultSucceeded || s.History[0].Migration != "succeeded" {
		w.t.Errorf("%s: history %+v, want one success with its migration", name, s.History)
	}
	if n := w.migrations(name); n != 1 {
		w.t.Errorf("%s: %d migrations were started, want 1", name, n)
	}
	if n := w.revisions(name); n != 1 {
		w.t.Errorf("%s: %d revisions were registered, want 1", name, n)
	}
	// The first is the service's own, from when the infrastructure made it.
	if n := w.deployments(name); n != 2 {
		w.t.Errorf("%s: %d service deployments, want one besides the first", name, n)
	}
}

func (w *world) revisions(family string) int {
	w.t.Helper()
	out, err := w.account.ECS.ListTaskDefinitions(w.t.Context(), &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family})
	w.must(err)
	return len(out.TaskDefinitionArns)
}

func (w *world) deployments(name string) int {
	w.t.Helper()
	out, err := w.account.ECS.ListServiceDeployments(w.t.Context(), &ecs.ListServiceDeploymentsInput{Cluster: aws.String(cluster), Service: &name})
	w.must(err)
	return len(out.ServiceDeployments)
}
