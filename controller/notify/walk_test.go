package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// life is a service's record and history as rollouts come and go.
type life struct {
	now     time.Time
	rec     rollout.Record
	entries []rollout.Entry
	invalid string
	since   time.Time // of that
}

func newLife(service string) *life {
	return &life{now: start, rec: rollout.Record{
		Schema: rollout.Schema, Service: service, Version: 1, State: rollout.StateSettled, Since: start, Why: "Runs what git asks.",
		Intent: &rollout.Intent{Service: desired.Service{Metadata: desired.Metadata{Name: service, Labels: map[string]string{"team": "shop"}}}},
	}}
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var testSettings = Settings{BlockedAfter: 15 * time.Minute, OutageAfter: 2 * time.Minute, OutageServices: 5}

func (l *life) input() Input {
	return Input{Environment: "dev", Page: "https://deploy.example.com", Record: l.rec, Entries: l.entries, Invalid: &l.invalid, InvalidAt: l.since, Settings: testSettings}
}

func (l *life) tick() { l.now = l.now.Add(time.Minute); l.rec.Version++ }

func (l *life) state(s rollout.State) {
	if l.rec.State != s {
		l.rec.State, l.rec.Since = s, l.now
	}
}

func (l *life) begin(kind rollout.Kind, ask string) {
	l.tick()
	l.rec.Generation++
	target := rollout.Target{Ask: ask, Commit: desired.Commit{SHA: "1a2b3c4d5e", Subject: "raise the limit", Author: "Ada"},
		Containers: rollout.NamedOf(map[string]rollout.Container{"app": {Tag: ask}})}
	trigger := rollout.TriggerGit
	switch kind {
	case rollout.KindRevert, rollout.KindUndo:
		trigger = rollout.TriggerFailure
	case rollout.KindRestore:
		trigger = rollout.TriggerDrift
	default:
		l.rec.Stalled = nil
		if b := l.rec.Blocked; b != nil && b.Ask != ask {
			l.rec.Blocked = nil
		}
	}
	l.rec.Rollout = &rollout.Rollout{Number: l.rec.Generation, Kind: kind, Trigger: trigger, Target: target, StartedAt: l.now, Stage: rollout.StageRoll}
	l.state(rollout.StateRolling)
}

// end ends what is in flight; a failed deploy that touched the service is followed by a revert at once.
func (l *life) end(result rollout.Result, reason string) {
	l.tick()
	ro := l.rec.Rollout
	e := rollout.Entry{Service: l.rec.Service, Number: ro.Number, Kind: ro.Kind, Trigger: ro.Trigger, Ask: ro.Target.Ask, Commit: ro.Target.Commit,
		Images: ro.Target.Images(), Result: result, Message: "what happened", StartedAt: ro.StartedAt, EndedAt: l.now}
	if reason != "" {
		e.Message = "task died with " + reason
		e.Evidence = &rollout.Evidence{At: l.now, Class: observed.ClassProduct, Check: "steady", Reason: reason, Message: e.Message}
	}
	l.entries = append(l.entries, e)
	l.rec.Rollout = nil
	stall := func() {
		l.rec.Stalled = &rollout.Stall{Reason: reason, Message: e.Message, At: l.now, Rollout: ro.Number}
	}
	switch result {
	case rollout.ResultSucceeded:
		l.rec.Blocked, l.rec.Stalled = nil, nil
		l.state(rollout.StateSettled)
	case rollout.ResultStalled:
		stall()
	case rollout.ResultBlocked:
		l.rec.Blocked = &rollout.Hold{Ask: ro.Target.Ask, Reason: reason, Message: e.Message}
	case rollout.ResultRevertFailed:
		stall()
		l.state(rollout.StateStalled)
	case rollout.ResultReverted:
		switch {
		case l.rec.Stalled != nil:
			l.state(rollout.StateStalled)
		case l.rec.Blocked != nil:
			l.state(rollout.StateBlocked)
		default:
			l.state(rollout.StateReverted)
		}
	case rollout.ResultRestored, rollout.ResultSuperseded:
		l.state(rollout.StateSettled)
	}
	if ro.Kind == rollout.KindDeploy && slices.Contains([]rollout.Result{rollout.ResultRejected, rollout.ResultStalled, rollout.ResultBlocked}, result) {
		now := l.now
		l.begin(rollout.KindRevert, "last-good")
		l.rec.Rollout.StartedAt = now
		l.state(rollout.StateReverting)
	}
}

// move is one random thing that happens to the service.
func (l *life) move(t *rapid.T) {
	if ro := l.rec.Rollout; ro != nil {
		switch {
		case ro.Kind == rollout.KindDeploy:
			result := rapid.SampledFrom([]rollout.Result{rollout.ResultSucceeded, rollout.ResultRejected, rollout.ResultStalled, rollout.ResultBlocked, rollout.ResultSuperseded}).Draw(t, "result")
			reason := ""
			switch result {
			case rollout.ResultRejected:
				reason = "Crashed"
			case rollout.ResultStalled:
				reason = rollout.ReasonDeadline
			case rollout.ResultBlocked:
				reason = rapid.SampledFrom([]string{"ImageNotPullable", "SecretUnavailable"}).Draw(t, "reason")
			}
			l.end(result, reason)
		case ro.Kind == rollout.KindRevert:
			if rapid.IntRange(0, 4).Draw(t, "luck") == 0 {
				l.end(rollout.ResultRevertFailed, rollout.ReasonRevertFailed)
			} else {
				l.end(rollout.ResultReverted, "")
			}
		default:
			l.end(rollout.ResultRestored, "")
		}
		return
	}
	switch rapid.IntRange(0, 6).Draw(t, "move") {
	case 0:
		l.begin(rollout.KindRestore, "last-good")
	case 1:
		l.tick()
		l.since = l.now
		l.invalid = rapid.SampledFrom([]string{"", "desired/dev/orders.yaml:3:1: spec.stack is missing; it is required"}).Draw(t, "invalid")
	case 2:
		l.tick()
		l.rec.Trouble = &rollout.Trouble{Since: l.now, Kind: "blocked", Code: "AccessDenied", Message: "not allowed"}
	case 3:
		l.tick()
		l.rec.Trouble = nil
	default:
		l.begin(rollout.KindDeploy, fmt.Sprint("v", rapid.IntRange(1, 3).Draw(t, "ask")))
	}
}

// tell tells everything that is due, as a receiver that is always well is told.
func tell(in Input, m Mark) (Mark, []Message) {
	var out []Message
	for {
		plan := Plan(in, m)
		if len(plan) == 0 {
			return m, out
		}
		if plan[0].Message != nil {
			out = append(out, *plan[0].Message)
		}
		m = m.After(plan[0], fmt.Sprint("post ", len(out)))
	}
}

// Whatever happens to a service, and however far a receiver was told: what is left after the first item of a plan is the rest of the
// plan, in the order of the rollouts, and nothing is left when all of it was told. A controller that is killed before a mark is kept
// tells that one message again under its key, and ends with the same messages as one that was never killed.
func TestPlanLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLife("orders")
		var mark Mark
		heard := map[string]int{} // by key: how many times it came
		var order []string
		var killed bool
		for range rapid.IntRange(1, 25).Draw(t, "moves") {
			l.move(t)
			if rapid.Bool().Draw(t, "the receiver is away") {
				continue
			}
			in := l.input()
			for {
				plan := Plan(in, mark)
				if len(plan) == 0 {
					break
				}
				next := mark.After(plan[0], "post")
				if rest := Plan(in, next); len(rest) != len(plan)-1 || len(rest) > 0 && keyOf(rest[0]) != keyOf(plan[1]) {
					t.Fatalf("after %s the plan is %v, and was %v", keyOf(plan[0]), keysOf(rest), keysOf(plan))
				}
				if msg := plan[0].Message; msg != nil {
					heard[msg.Key]++
					if killed = rapid.IntRange(0, 3).Draw(t, "killed before the mark") == 0; killed {
						break // the mark is the one before, and the service goes on
					}
					order = append(order, msg.Key)
				}
				data, err := encodeMark(next)
				if err != nil {
					t.Fatal(err)
				}
				if mark, err = decodeMark(data); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(order)))); n != len(order) {
			t.Errorf("a message was told twice in effect: %v", order)
		}
		mark, _ = tell(l.input(), mark)
		ends := 0
		for _, e := range l.entries {
			ends = max(ends, e.Number)
		}
		if mark.Number < ends || len(Plan(l.input(), mark)) != 0 {
			t.Errorf("told up to %d of %d", mark.Number, ends)
		}
		last := -1
		for _, key := range order { // dev/orders/3-…/begun
			var n int
			if _, err := fmt.Sscanf(strings.TrimPrefix(key, "dev/orders/"), "%d-", &n); err == nil {
				if n < last {
					t.Errorf("rollout %d is told after %d: %v", n, last, order)
				}
				last = n
			}
		}
	})
}

// Every rollout that fails or is verified is told by its end, but for further tries of what is blocked already.
func TestEveryEndIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLife("orders")
		for range rapid.IntRange(1, 25).Draw(t, "moves") {
			l.move(t)
		}
		_, messages := tell(l.input(), Mark{})
		heard := map[string]bool{}
		for _, m := range messages {
			heard[m.Key] = true
		}
		for _, e := range l.entries {
			if e.Result == rollout.ResultBlocked || e.Result == rollout.ResultReverted {
				continue
			}
			if key := rolloutKey("dev", "orders", e, eventOf(e, true)); !heard[key] {
				t.Errorf("%s was never told; told: %v", key, messages)
			}
		}
	})
}

func keyOf(d Due) string {
	if d.Message == nil {
		return "passed over"
	}
	return d.Message.Key
}

func keysOf(plan []Due) (out []string) {
	for _, d := range plan {
		out = append(out, keyOf(d))
	}
	return out
}
