package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// Who rolls no more makes room for those that have waited longest, as many as the limit leaves room for; without a limit nobody was
// kept waiting, and nobody is woken.
func TestTurns(t *testing.T) {
	for limit, want := range map[int][]string{0: nil, 1: nil, 2: {"c"}, 3: {"c", "b"}, 9: {"c", "b"}} {
		f := NewFleet()
		now := time.Now()
		f.set("b", member{waiting: true, queued: now})
		f.set("c", member{waiting: true, queued: now.Add(-time.Minute)})
		f.set("d", member{rolling: true})
		f.set("e", member{rolling: true})
		if got := f.turns(limit); got != nil {
			t.Errorf("limit %d: nobody has made room, and it is the turn of %v", limit, got)
		}
		f.set("e", member{})
		if got := f.turns(limit); !slices.Equal(got, want) {
			t.Errorf("limit %d: it is the turn of %v, want %v", limit, got, want)
		}
		if got := f.turns(limit); got != nil {
			t.Errorf("limit %d: once more it is the turn of %v", limit, got)
		}
	}
}

// Who depends on others waits for each that has not settled on what git asks of it now, whoever keeps the word.
func TestWhoDependsWaitsForWhatGitAsksNow(t *testing.T) {
	asks := func(tag string) *rollout.Intent {
		return &rollout.Intent{Service: desired.Service{Spec: desired.ServiceSpec{Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: tag}}}}}}
	}
	now := map[string]*rollout.Intent{"alike": asks("1"), "newer": asks("2"), "unsettled": asks("1"), "unknown": asks("1"), "same": asks("1"), "reported": asks("1")}
	settled := func(service string, intent *rollout.Intent) rollout.Record {
		return rollout.Record{Service: service, State: rollout.StateSettled, Intent: intent}
	}
	rolls := settled("unsettled", now["unsettled"])
	rolls.State = rollout.StateRolling
	reported := settled("reported", now["reported"]) // a changed template, which the environment only reports
	reported.State = rollout.StateWaitingTemplate
	f := NewFleet(reported, settled("alike", asks("1")), settled("newer", asks("1")), settled("same", now["same"]), settled("gone", asks("1")), rolls)
	_, _, waiting := f.others("one", time.Time{}, 0, []string{"alike", "newer", "same", "gone", "unsettled", "unknown", "reported"}, func(service string) *rollout.Intent { return now[service] })
	if want := []string{"newer", "gone", "unsettled", "unknown"}; !slices.Equal(waiting, want) {
		t.Errorf("it waits for %v, want %v", waiting, want)
	}
}

// What git asks of a service whose file is invalid is its last valid word, also after a restart: who depends on it waits for that one.
func TestAnInvalidFileKeepsItsWord(t *testing.T) {
	env := &desired.Environment{Metadata: desired.Metadata{Name: "dev"}}
	word := &desired.Service{Spec: desired.ServiceSpec{Stack: "orders-dev"}}
	broken := &desired.Snapshot{Environment: env, Invalid: map[string][]desired.Error{"orders": {{File: "orders.yaml", Line: 1, Col: 1, Message: "broken"}}}}
	asked := NewAsked()
	asked.Take(&desired.Snapshot{Environment: env, Services: map[string]*desired.Service{"orders": word}})
	asked.Take(broken)
	if now := asked.asks("orders"); now == nil || now.Service.Spec.Stack != "orders-dev" {
		t.Errorf("asks for %+v", now)
	}
	restarted := NewAsked()
	restarted.Begin([]rollout.Record{{Service: "orders", State: rollout.StateSettled, Intent: &rollout.Intent{Service: *word}}})
	restarted.Take(broken)
	if now := restarted.asks("orders"); now == nil || now.Service.Spec.Stack != "orders-dev" {
		t.Errorf("after a restart asks for %+v", now)
	}
	restarted.Take(&desired.Snapshot{Environment: env})
	if now := restarted.asks("orders"); now != nil {
		t.Errorf("its file is gone, and it asks for %+v", now)
	}
}
