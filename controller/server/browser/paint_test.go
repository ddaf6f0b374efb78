package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// manyServices is how many services the first page must show quickly.
const manyServices = 2000

// publishMany publishes services with sentences and versions as long as real ones, one in ten in trouble.
func publishMany(b *status.Board) {
	now := time.Now()
	for i := range manyServices {
		tag, since := fmt.Sprintf("%07x", 0xa4c01f7+i), now.Add(-time.Duration(i)*time.Minute)
		target := rollout.Target{
			Ask: "v1:" + tag, Commit: desired.Commit{SHA: fmt.Sprintf("%040x", i+1<<20), Subject: "orders: take the menu's version from the header"},
			Containers: rollout.NamedOf(map[string]rollout.Container{"AppContainer": {Tag: tag}}),
		}
		version := condition.Version{Commit: target.Commit.SHA, Images: target.Images(), Ask: target.Ask}
		v := status.View{
			Record: rollout.Record{Service: fmt.Sprintf("order-processing-%04d", i), State: rollout.StateSettled, Good: &rollout.Good{Target: target, At: since}},
			Status: condition.Status{Phase: condition.PhaseHealthy, Why: "Runs " + tag + " as git asks.", Since: since, NextActionAt: now.Add(time.Minute), Wanted: version, Running: version},
		}
		if i%10 == 0 {
			v.Status.Phase, v.Status.Wanted.Images = condition.PhaseReverted, []string{"AppContainer:c51d9e6"}
			v.Status.Why = "Runs " + tag + ", the last good version; c51d9e6 was rejected: 2 tasks stopped: container AppContainer exited with code 1."
			v.Status.Next = "Push a fix, or raise spec.retry to try it again."
		}
		b.Publish(v)
	}
}

// paint is when a browser had what of a page, in milliseconds after it was asked for, and how many bytes that were.
type paint struct{ First, Answer, Paint, Whole, Bytes, Sent, Rows float64 }

// BenchmarkFirstPaint is how long a browser takes to show an environment of 2,000 services for the first time: until the first words
// are there (goal: 300 ms on a machine that does nothing else), and until all are.
func BenchmarkFirstPaint(b *testing.B) {
	url := site(b, "large", publishMany)
	run := exec.CommandContext(b.Context(), "node", "bench.mjs")
	run.Dir = tools(b)
	run.Env = append(os.Environ(), "PAGE="+url, fmt.Sprintf("TIMES=%d", max(b.N, 5)))
	b.ResetTimer()
	out, err := run.Output()
	if err != nil {
		b.Fatal(err)
	}
	var all []paint
	must(b, json.Unmarshal(out, &all))
	middle := func(of func(paint) float64) float64 {
		slices.SortFunc(all, func(x, y paint) int { return int(of(x) - of(y)) })
		return of(all[len(all)/2])
	}
	b.ReportMetric(0, "ns/op") // of how many pages it is, the browser's own start among them, says nothing
	b.ReportMetric(middle(func(p paint) float64 { return p.First }), "first-byte-ms")
	b.ReportMetric(middle(func(p paint) float64 { return p.Paint }), "first-paint-ms")
	b.ReportMetric(middle(func(p paint) float64 { return p.Answer }), "last-byte-ms")
	b.ReportMetric(middle(func(p paint) float64 { return p.Whole }), "whole-ms")
	b.ReportMetric(middle(func(p paint) float64 { return p.Sent }), "bytes")
	if rows := middle(func(p paint) float64 { return p.Rows }); rows != manyServices {
		b.Errorf("%.0f rows are there, want %d", rows, manyServices)
	}
}
