package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// step is one thing that happens, and what must come of it.
type step struct {
	title  string
	do     func(context.Context) (string, error) // returns what was done, as a sentence
	expect []ending
	phase  condition.Phase
	// untouched demands that the deployment that serves is the one from before.
	untouched bool
}

// ending is how one rollout must end.
type ending struct {
	kind      rollout.Kind
	result    rollout.Result
	check     string // that failed
	migration string
}

// stepFor bounds a step: a controller that hangs must not let the demo hang.
const stepFor = 90 * time.Second

// teller walks through the story.
type teller struct {
	say        func(string, ...any)
	controller *controller
	repo       *repo
	aws        aws.Config
	versions   map[string]*version
	seen       int // the newest rollout's number that was told
}

func (t *teller) steps() []step {
	return []step{
		{title: "A first version, with its migration", do: t.ship("first"), phase: condition.PhaseHealthy,
			expect: []ending{{kind: rollout.KindDeploy, result: rollout.ResultSucceeded, migration: "succeeded"}}},
		{title: "A good version", do: t.ship("better"), phase: condition.PhaseHealthy,
			expect: []ending{{kind: rollout.KindDeploy, result: rollout.ResultSucceeded, migration: "succeeded"}}},
		{title: "A version that crashes on start", do: t.ship("crash"), phase: condition.PhaseReverted,
			expect: []ending{{kind: rollout.KindDeploy, result: rollout.ResultRejected, check: "steady"}, {kind: rollout.KindRevert, result: rollout.ResultReverted}}},
		{title: "A version that is healthy at first, and panics while it is watched", do: t.ship("panic"), phase: condition.PhaseReverted,
			expect: []ending{{kind: rollout.KindDeploy, result: rollout.ResultRejected, check: "logs"}, {kind: rollout.KindRevert, result: rollout.ResultReverted}}},
		{title: "A version whose migration fails", do: t.ship("migration"), phase: condition.PhaseReverted, untouched: true,
			expect: []ending{{kind: rollout.KindDeploy, result: rollout.ResultRejected, check: "migration", migration: "failed"}}},
		{title: "Somebody deploys by hand", do: t.byHand, phase: condition.PhaseReverted,
			expect: []ending{{kind: rollout.KindRestore, result: rollout.ResultRestored}}},
		{title: "A good version heals all", do: t.ship("healing"), phase: condition.PhaseHealthy,
			expect: []ending{{kind: rollout.KindDeploy, result: rollout.ResultSucceeded, migration: "succeeded"}}},
	}
}

// ship does what a developer and the pipeline do: push the image, commit its tag.
func (t *teller) ship(name string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		v := t.versions[name]
		if err := push(ctx, t.aws, v); err != nil {
			return "", err
		}
		sha, err := t.repo.commit(v.subject, bump(v))
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("The pipeline pushed image %s and committed %s: %q.", v.tag, sha, v.subject), nil
	}
}

func (t *teller) byHand(ctx context.Context) (string, error) {
	revision, err := deployByHand(ctx, t.aws)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Somebody registered %s in the console and deployed it. Git knows nothing of it.", revision), nil
}

// tell does one step and waits for what must come of it.
func (t *teller) tell(ctx context.Context, number int, s step) error {
	t.say("")
	t.say("%d. %s", number, s.title)
	before, err := serving(ctx, t.aws)
	if err != nil {
		return fmt.Errorf("step %d: %w", number, err)
	}
	done, err := s.do(ctx)
	if err != nil {
		return fmt.Errorf("step %d: %w", number, err)
	}
	t.say("   %s", done)
	ctx, cancel := context.WithTimeout(ctx, stepFor)
	defer cancel()
	if err := t.await(ctx, s); err != nil {
		return fmt.Errorf("step %d (%s): %w", number, s.title, err)
	}
	after, err := serving(ctx, t.aws)
	if err != nil {
		return fmt.Errorf("step %d: %w", number, err)
	}
	if s.untouched && before != after {
		return fmt.Errorf("step %d (%s): deployment %s serves, want %s untouched", number, s.title, after, before)
	}
	t.say("   ✔ as expected")
	return nil
}

// hear narrates what the controller tells.
func (t *teller) hear(e status.Event) {
	switch e.Kind {
	case status.EventService:
		t.say("   %s %-10s %s", e.Phase.Glyph(), e.Phase, e.Message)
	case status.EventRollout:
		t.say("   ● %s %d %s: %s", e.Rollout, e.Number, e.Result, e.Message)
	}
}

// await waits until the step's rollouts have ended and its phase is reached.
func (t *teller) await(ctx context.Context, s step) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := t.controller.look(ctx)
		if err == nil {
			finished, err := t.compare(now, s.expect)
			if err != nil {
				return err
			}
			if finished && now.Phase == s.phase {
				t.evidence(now)
				t.seen = now.History[0].Number
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: phase %s, want %s (%w)", stepFor, now.Phase, s.phase, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// evidence shows what the controller kept of the rollouts that failed in this step.
func (t *teller) evidence(now server.Service) {
	for _, e := range now.History {
		if e.Number <= t.seen || e.Evidence == nil {
			continue
		}
		for _, task := range e.Evidence.Tasks {
			t.say("     evidence: task %s %s %v", task.Task[:min(8, len(task.Task))], task.Reason, task.ExitCodes)
		}
		switch lines := e.Evidence.Log; {
		case len(lines) == 0:
		case e.Evidence.Check == "logs":
			t.say("     the line: %s", lines[0])
		default:
			t.say("     its last line: %s", lines[len(lines)-1])
		}
	}
}

// compare holds the rollouts that ended since the last step against the expected ones.
func (t *teller) compare(now server.Service, want []ending) (finished bool, err error) {
	ended := slices.DeleteFunc(slices.Clone(now.History), func(e server.Entry) bool { return e.Number <= t.seen })
	slices.Reverse(ended)
	for i, e := range ended {
		if i >= len(want) {
			return false, fmt.Errorf("rollout %d (%s %s) was not expected: %s", e.Number, e.Kind, e.Result, e.Message)
		}
		w := want[i]
		check := ""
		if e.Evidence != nil {
			check = e.Evidence.Check
		}
		if e.Kind != w.kind || e.Result != w.result || check != w.check || w.migration != "" && e.Migration != w.migration {
			return false, fmt.Errorf("rollout %d: %s %s (check %q, migration %q), want %s %s (check %q, migration %q): %s",
				e.Number, e.Kind, e.Result, check, e.Migration, w.kind, w.result, w.check, w.migration, e.Message)
		}
	}
	return len(ended) == len(want), nil
}
