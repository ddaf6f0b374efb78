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
	now := map[string]*rollout.Intent{"alike": asks("1"), "newer": asks("2"), "unsettled": asks("1"), "unknown": asks("1"), "same": asks("1")}
	settled := func(service string, intent *rollout.Intent) rollout.Record {
		return rollout.Record{Service: service, State: rollout.StateSettled, Intent: intent}
	}
	rolls := settled("unsettled", now["unsettled"])
	rolls.State = rollout.StateRolling
	f := NewFleet(settled("alike", asks("1")), settled("newer", asks("1")), settled("same", now["same"]), settled("gone", asks("1")), rolls)
	_, _, waiting := f.others("one", time.Time{}, 0, []string{"alike", "newer", "same", "gone", "unsettled", "unknown"}, func(service string) *rollout.Intent { return now[service] })
	if want := []string{"newer", "gone", "unsettled", "unknown"}; !slices.Equal(waiting, want) {
		t.Errorf("it waits for %v, want %v", waiting, want)
	}
}
