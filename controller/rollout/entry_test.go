package rollout

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/observed"
)

// The history keeps what a person asks about a rollout that is over: which deployment, which task, and what the checks said last.
func TestAnEntryKeepsWhatChecksSaid(t *testing.T) {
	at := time.Unix(1000, 0)
	readings := []observed.Reading{{Check: "targets", Verdict: observed.Fail, Value: "1 healthy", Threshold: "2 healthy"}}
	r := Record{Service: "orders", Rollout: &Rollout{
		Number: 7, Stage: StageBake, StageAt: at, BakeFrom: at.Add(time.Second), Readings: readings,
		Deployment: &Deployment{ID: "ecs-svc/1"}, Migration: &Migration{Task: "arn:task/1"},
	}}
	e := r.entry(at.Add(time.Minute), ResultRejected, "no")
	if e.Deployment != "ecs-svc/1" || e.Task != "arn:task/1" || !e.BakeFrom.Equal(at.Add(time.Second)) || cmp.Diff(readings, e.Readings) != "" {
		t.Errorf("the entry is %+v", e)
	}
	r.Rollout.Readings[0].Value = "2 healthy"
	if e.Readings[0].Value != "1 healthy" {
		t.Error("the entry changes with the record")
	}
	r.Rollout.Deployment, r.Rollout.Migration = nil, nil
	if e := r.entry(at, ResultSuperseded, "no"); e.Deployment+e.Task != "" {
		t.Errorf("the entry of what was never asked for is %+v", e)
	}
}

// What is kept of a failure fits an item of the ledger's table, whatever the account shows: what cannot be saved is never put back.
func TestEvidenceIsBounded(t *testing.T) {
	seen := observed.Service{Targets: []observed.Target{{ID: "10.0.0.1", Port: 80, State: "healthy"}}}
	for i := range 5000 { // a target group has 1,000 targets by default, a service five groups
		seen.Targets = append(seen.Targets, observed.Target{ID: fmt.Sprintf("10.12.%d.%d", i/250, i%250), Port: 8080, State: "unhealthy",
			Reason: "Target.ResponseCodeMismatch", Description: "Health checks failed with these codes: [503]"})
	}
	e := collect(Evidence{}, Input{Seen: seen})
	if n := len(e.Targets); n != evidenceTargetsMax+1 || e.Targets[n-1] != "and 4990 more" {
		t.Errorf("%d lines, the last one %q", n, e.Targets[n-1])
	}
	if data, err := json.Marshal(e); err != nil || len(data) > 100<<10 {
		t.Errorf("%d KB, %v", len(data)>>10, err)
	}
	seen.Targets = seen.Targets[:2]
	if e := collect(Evidence{}, Input{Seen: seen}); len(e.Targets) != 1 || e.Targets[0] != "10.12.0.0:8080 unhealthy Target.ResponseCodeMismatch Health checks failed with these codes: [503]" {
		t.Errorf("%q", e.Targets)
	}
}
