package server

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

func TestDifferences(t *testing.T) {
	asked := map[string]desired.Container{"app": {
		Image: desired.Image{Tag: "2"}, Env: map[string]string{"EMPTY": "", "LEVEL": "debug", "SAME": "1"}, Secrets: map[string]string{"PASSWORD": "secretsmanager:b"},
	}}
	runs := &rollout.Target{Containers: rollout.NamedOf(map[string]rollout.Container{
		"app": {Tag: "1", Digest: "sha256:1", Env: map[string]string{"LEVEL": "info", "SAME": "1"}, Secrets: map[string]string{"PASSWORD": "secretsmanager:a"}},
		"old": {Tag: "9"},
	})}
	want := []difference{
		{Container: "app", What: "image", Asked: "2", Runs: "1", Differs: true},
		{Container: "app", What: "digest", Runs: "sha256:1"},
		{Container: "app", What: "EMPTY", Key: true, Differs: true},
		{Container: "app", What: "LEVEL", Key: true, Asked: "debug", Runs: "info", Differs: true},
		{Container: "app", What: "SAME", Key: true, Asked: "1", Runs: "1"},
		{Container: "app", What: "PASSWORD", Key: true, Asked: "secret from secretsmanager:b", Runs: "secret from secretsmanager:a", Differs: true},
		{Container: "old", What: "image", Runs: "9", Differs: true},
	}
	if diff := cmp.Diff(want, differences(asked, runs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if slices.ContainsFunc(differences(asked, nil), func(d difference) bool { return d.Differs }) {
		t.Error("something differs from nothing")
	}
}

func TestChart(t *testing.T) {
	at := time.Unix(1000, 0)
	e := func(from, to time.Duration, r rollout.Result) Entry {
		return Entry{Entry: rollout.Entry{StartedAt: at.Add(from), EndedAt: at.Add(to), Result: r}}
	}
	c := chartOf([]Entry{
		e(100*time.Second, 101*time.Second, rollout.ResultReverted), e(50*time.Second, 60*time.Second, rollout.ResultRejected), e(0, 20*time.Second, rollout.ResultSuperseded),
	}, at.Add(100*time.Second)) // the newest began at the chart's very end
	type box struct {
		x, y, width, height int
		tone                string
	}
	var got []box
	for _, b := range c.Bars {
		got = append(got, box{b.X, b.Y, b.Width, b.Height, b.Tone})
	}
	want := []box{{891, 120, 9, 5, "good"}, {450, 70, 90, 55, "bad"}, {0, 15, 180, 110, "odd"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(box{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if chartOf(nil, at) != nil {
		t.Error("nothing has a chart")
	}
}
