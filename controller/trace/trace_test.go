package trace

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

// deploy is a rollout of every stage, 20 s after its commit.
func deploy() rollout.Entry {
	return rollout.Entry{
		Service: "orders", Number: 7, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Ask: "v1:aaaa",
		Commit: desired.Commit{SHA: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d", Author: "Ada", Subject: "orders: 1.4", At: start},
		Images: []string{"app:1.4", "proxy:2"}, Digests: []string{"sha256:11", "sha256:22"},
		Revision: "arn:aws:ecs:eu-central-1:111111111111:task-definition/orders-dev:12", Result: rollout.ResultSucceeded, Message: "every check passed",
		StartedAt: after(20 * time.Second), EndedAt: after(5 * time.Minute), Migration: "succeeded",
		Deployment: "ecs-svc/123", Task: "arn:aws:ecs:eu-central-1:111111111111:task/main/0123", BakeFrom: after(150 * time.Second),
		Spans: []rollout.Span{
			{Stage: rollout.StageRegister, From: after(20 * time.Second), To: after(22 * time.Second)},
			{Stage: rollout.StageMigrate, From: after(22 * time.Second), To: after(60 * time.Second)},
			{Stage: rollout.StageRoll, From: after(60 * time.Second), To: after(140 * time.Second)},
			{Stage: rollout.StageBake, From: after(140 * time.Second), To: after(5 * time.Minute)},
		},
	}
}

// rejected is the same where tasks die in the bake, and the revert after it.
func rejected() (failed, revert rollout.Entry) {
	e := deploy()
	e.Result, e.Message, e.EndedAt = rollout.ResultRejected, "the container app exited with 137 (out of memory)", after(203*time.Second)
	e.Spans[3].To = after(200 * time.Second)
	e.Spans = append(e.Spans, rollout.Span{Stage: rollout.StageEvidence, From: after(200 * time.Second), To: after(203 * time.Second)})
	e.Evidence = &rollout.Evidence{At: after(200 * time.Second), Class: observed.ClassProduct, Check: "steady", Reason: "OutOfMemory", Message: e.Message,
		Tasks: []rollout.TaskEvidence{{Task: "arn:aws:ecs:eu-central-1:111111111111:task/main/4567", StopCode: "EssentialContainerExited", Reason: "Essential container in task exited",
			ExitCodes: map[string]int{"proxy": 0, "app": 137}}}}
	r := rollout.Entry{
		Service: "orders", Number: 8, Kind: rollout.KindRevert, Trigger: rollout.TriggerFailure, Ask: "v1:9999", Commit: desired.Commit{SHA: "99", At: after(-time.Hour)},
		Images: []string{"app:1.3"}, Result: rollout.ResultReverted, Message: "the last good version serves again", StartedAt: after(203 * time.Second), EndedAt: after(260 * time.Second),
		Deployment: "ecs-svc/124", Spans: []rollout.Span{{Stage: rollout.StageRoll, From: after(203 * time.Second), To: after(260 * time.Second)}},
	}
	return e, r
}

// run is a tracer at work until the function that it answers is called.
func run(t *testing.T, r *receiver, log *zap.Logger, history ...rollout.Entry) (*Tracer, func()) {
	t.Helper()
	address, err := Address(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	tracer, err := New(t.Context(), Options{URL: address, Version: "1.2.3", Registry: prometheus.NewRegistry(), Log: log,
		Place: Place{Environment: "dev", Source: "https://git.example.com/shop/desired", Branch: "main", Page: "https://deploy.example.com/"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		tracer.Run(ctx, func(_ context.Context, service string, limit int) ([]rollout.Entry, error) {
			newest := slices.Clone(history)
			slices.Reverse(newest)
			return newest[:min(limit, len(newest))], nil
		})
		close(ended)
	}()
	return tracer, func() { cancel(); <-ended }
}

// What a collector is told of each kind of end, as a person reads it.
func TestGolden(t *testing.T) {
	failed, revert := rejected()
	stalled := deploy()
	stalled.Result, stalled.Message, stalled.EndedAt, stalled.BakeFrom = rollout.ResultStalled, "the deadline has passed", after(140*time.Second), time.Time{}
	stalled.Spans = stalled.Spans[:3]
	stalled.Evidence = &rollout.Evidence{At: after(140 * time.Second), Class: observed.ClassInfrastructure, Check: "steady", Reason: rollout.ReasonDeadline, Message: stalled.Message}
	overtaken := deploy()
	overtaken.Result, overtaken.Message, overtaken.EndedAt, overtaken.Trigger, overtaken.BakeFrom = rollout.ResultSuperseded, "git asks for something newer", after(22*time.Second), rollout.TriggerTemplate, time.Time{}
	overtaken.Spans, overtaken.Migration, overtaken.Task, overtaken.Deployment, overtaken.Revision = overtaken.Spans[:1], "", "", "", ""
	restored := revert
	restored.Kind, restored.Trigger, restored.Result = rollout.KindRestore, rollout.TriggerDrift, rollout.ResultRestored
	for name, entries := range map[string][]rollout.Entry{
		"good": {deploy()}, "rejected": {failed, revert}, "stalled": {stalled}, "superseded": {overtaken}, "restored": {restored},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCollector(t)
			tracer, end := run(t, r, zap.NewNop(), entries...)
			defer end()
			for i, e := range entries {
				tracer.Ended(e)
				r.await(i + 1)
			}
			about := r.requests[0].ResourceSpans[0]
			var resource []string
			for _, line := range attributes(about.Resource.Attributes) {
				if !strings.HasPrefix(line, "telemetry.sdk.") {
					resource = append(resource, line)
				}
			}
			got := fmt.Sprintf("%s\n\n%s", strings.Join(resource, "\n"), written(r.spans()))
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got); with -update it is written anew:\n%s", file, diff)
			}
		})
	}
}

// A controller that tells the same rollout again tells the same spans; another rollout, service, environment or beginning has another id.
func TestIDsAreOfTheRollout(t *testing.T) {
	r := newCollector(t)
	for range 2 {
		tracer, end := run(t, r, zap.NewNop())
		tracer.Ended(deploy())
		end() // what waits is told at the end
	}
	spans := r.spans()
	n := len(spans) / 2
	for i := range n {
		if string(spans[i].SpanId) != string(spans[n+i].SpanId) || string(spans[i].TraceId) != string(spans[n+i].TraceId) {
			t.Errorf("span %d is %x of %x, and then %x of %x", i, spans[i].SpanId, spans[i].TraceId, spans[n+i].SpanId, spans[n+i].TraceId)
		}
	}
	if n != 7 {
		t.Errorf("%d spans, want 7", n)
	}
	seen := map[string]bool{}
	number, service, anew := deploy(), deploy(), deploy()
	number.Number, service.Service, anew.StartedAt = 8, "order", anew.StartedAt.Add(time.Second)
	for _, e := range []rollout.Entry{deploy(), number, service, anew} {
		for _, environment := range []string{"dev", "prod"} {
			seen[TraceID(environment, e).String()] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("8 rollouts have %d ids", len(seen))
	}
}

// What anybody writes is carried as text, without secrets and not too long.
func TestHostileTexts(t *testing.T) {
	r := newCollector(t)
	tracer, end := run(t, r, zap.NewNop())
	defer end()
	e := deploy()
	e.Commit.Subject = "\xff\xfe password=hunter2-and-more " + strings.Repeat("é", textMax)
	e.Commit.Author = "\xc3"
	e.Images = []string{"app:\xff1"}
	e.Commit.At = after(-400 * 24 * time.Hour)
	tracer.Ended(e)
	spans := r.await(1)
	got := written(spans)
	if strings.Contains(got, "hunter2") || !strings.Contains(got, "deploy.images = [app:1]") || strings.Contains(got, "deploy.commit.author") || len(got) > 2*textMax {
		t.Error(got)
	}
	if strings.Contains(got, "wait") || !strings.HasPrefix(strings.SplitN(got, "\n", 3)[1], "deploy orders  0s to 4m40s") {
		t.Errorf("a commit of last year was waited for:\n%s", got)
	}
}

// The variables of the SDK are read: headers, compression and what describes the controller.
func TestVariables(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-the-collector")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_SERVICE_NAME", "ours")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=platform")
	r := newCollector(t)
	tracer, end := run(t, r, zap.NewNop())
	defer end()
	tracer.Ended(deploy())
	r.await(1)
	about := strings.Join(attributes(r.requests[0].ResourceSpans[0].Resource.Attributes), "\n")
	if h := r.headers[0]; h.Get("Authorization") != "Bearer of-the-collector" || h.Get("Content-Encoding") != "gzip" {
		t.Error(h)
	}
	if !strings.Contains(about, "service.name = ours") || !strings.Contains(about, "team = platform") {
		t.Error(about)
	}
}

// A collector that breaks off is told later; one that refuses is not told again.
func TestAwayAndRefused(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := newCollector(t)
	r.answers = []int{0, 0}
	tracer, end := run(t, r, zap.New(core))
	defer end()
	tracer.Ended(deploy())
	r.await(1)
	r.mu.Lock()
	r.answers = []int{http.StatusBadRequest}
	r.mu.Unlock()
	tracer.Ended(deploy())
	for testutil.ToFloat64(tracer.metrics.dropped) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	tracer.Ended(deploy())
	r.await(2)
	for testutil.ToFloat64(tracer.metrics.sent) < 2 { // the collector has it before it is known here
		time.Sleep(10 * time.Millisecond)
	}
	var told []string
	for _, l := range logs.All() {
		told = append(told, l.Message)
	}
	if diff := cmp.Diff([]string{"the collector cannot be reached; traces are told later", "the collector can be reached again", "traces are dropped"}, told); diff != "" {
		t.Error(diff)
	}
	if sent, dropped := testutil.ToFloat64(tracer.metrics.sent), testutil.ToFloat64(tracer.metrics.dropped); sent != 2 || dropped != 1 {
		t.Errorf("%v told and %v dropped, want 2 and 1", sent, dropped)
	}
}

// Ended never waits: with a collector that does not answer, what does not fit is dropped and counted, and so is, within the time that
// the end of the process may take, what waits then.
func TestACollectorThatHangs(t *testing.T) {
	hold := make(chan struct{})
	r := newCollector(t)
	r.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold })
	defer close(hold)
	tracer, end := run(t, r, zap.NewNop())
	const all = queueMax + batchMax + 100
	began := time.Now()
	for range all {
		tracer.Ended(deploy())
	}
	if took := time.Since(began); took > 10*time.Second { // a request takes as long, and there would be hundreds
		t.Errorf("it took %s", took)
	}
	if n := testutil.ToFloat64(tracer.metrics.dropped); n < 1 {
		t.Error("none was dropped")
	}
	began = time.Now()
	end()
	if took := time.Since(began); took > flushFor+10*time.Second {
		t.Errorf("the end took %s", took)
	}
	if n := testutil.ToFloat64(tracer.metrics.dropped); n != all {
		t.Errorf("%v of %d are counted", n, all)
	}
}

func TestAddress(t *testing.T) {
	for collector, want := range map[string]string{
		"http://localhost:4318": "http://localhost:4318/v1/traces", "https://otel.example.com/in/": "https://otel.example.com/in/v1/traces",
		"https://otel.example.com/v1/traces": "https://otel.example.com/v1/traces",
		"localhost:4318":                     "", "https://me:secret@otel.example.com": "", "https://otel.example.com/?key=1": "", "": "",
	} {
		if got, err := Address(collector); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", collector, got, err)
		}
	}
}
