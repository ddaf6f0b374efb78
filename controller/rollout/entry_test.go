package rollout

import (
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
