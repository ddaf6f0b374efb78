package status_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

func board(t testing.TB) (*status.Board, *prometheus.Registry) {
	reg := prometheus.NewPedanticRegistry()
	b := status.New(reg, "dev", status.Build{Version: "v1.2.3", Revision: "abc"}, zaptest.NewLogger(t))
	reg.MustRegister(b)
	return b, reg
}

func view(name string, phase condition.Phase, why string) status.View {
	return status.View{
		Record: rollout.Record{Service: name},
		Status: condition.Status{Phase: phase, Why: why},
	}
}

func names(s status.Snapshot) []string {
	var out []string
	for _, v := range s.Services {
		out = append(out, v.Record.Service)
	}
	return out
}

func TestSnapshotNeverChanges(t *testing.T) {
	b, _ := board(t)
	b.Publish(view("b", condition.PhaseHealthy, "fine"))
	b.Publish(view("a", condition.PhaseHealthy, "fine"))
	before := b.Snapshot()

	b.Publish(view("c", condition.PhaseHealthy, "fine"))
	b.Publish(view("a", condition.PhaseStalled, "stuck"))
	b.Remove("b")

	if diff := cmp.Diff([]string{"a", "b"}, names(before)); diff != "" {
		t.Errorf("the old snapshot changed (-want +got):\n%s", diff)
	}
	if got := before.Service("a").Status.Phase; got != condition.PhaseHealthy {
		t.Errorf("the old snapshot tells phase %s, want Healthy", got)
	}
	after := b.Snapshot()
	if diff := cmp.Diff([]string{"a", "c"}, names(after)); diff != "" {
		t.Errorf("the new snapshot (-want +got):\n%s", diff)
	}
	if got := after.Service("a").Status.Phase; got != condition.PhaseStalled {
		t.Errorf("the new snapshot tells phase %s, want Stalled", got)
	}
	if after.Service("b") != nil {
		t.Error("a removed service is still told")
	}
}

func TestPublishTellsOnlyChanges(t *testing.T) {
	b, _ := board(t)
	v := view("a", condition.PhaseHealthy, "fine")
	b.Publish(v)
	v.Status.NextActionAt = time.Now().Add(time.Minute)
	v.Observed = &status.Observed{Running: 3}
	b.Publish(v)
	v.Status.Phase, v.Status.Why = condition.PhaseRollingOut, "rolls"
	b.Publish(v)

	var got []string
	for _, e := range b.Activity(10) {
		got = append(got, fmt.Sprintf("%s %s→%s %s", e.Service, e.Before, e.Phase, e.Message))
	}
	if diff := cmp.Diff([]string{"a Healthy→RollingOut rolls", "a →Healthy fine"}, got); diff != "" {
		t.Errorf("activity (-want +got):\n%s", diff)
	}
	if got := b.Snapshot().Service("a").Status.NextActionAt; !got.Equal(v.Status.NextActionAt) {
		t.Errorf("next action at %v, want %v", got, v.Status.NextActionAt)
	}
}

func TestIdentityOutlivesABlindLook(t *testing.T) {
	b, _ := board(t)
	v := view("a", condition.PhaseHealthy, "fine")
	v.Observed = new(status.Observe(observed.Service{ARN: "arn:aws:ecs:eu-central-1:123456789012:service/shop/a"}))
	b.Publish(v)
	v.Observed = new(status.Observe(observed.Service{}))
	b.Publish(v)
	o := b.Snapshot().Service("a").Look()
	if o.Cluster != "shop" || o.Region != "eu-central-1" || o.Account != "123456789012" {
		t.Errorf("identity %q %q %q, want that of the look before", o.Cluster, o.Region, o.Account)
	}
}

func TestObserveIsBounded(t *testing.T) {
	var s observed.Service
	for i := range 100 {
		s.Tasks = append(s.Tasks, observed.Task{ARN: fmt.Sprintf("arn:x/task/%03d", i), CreatedAt: time.Unix(int64(i), 0)})
		s.Targets = append(s.Targets, observed.Target{ID: fmt.Sprint(i), State: map[bool]string{true: "unhealthy", false: "healthy"}[i == 99]})
		s.Deployments = append(s.Deployments, observed.Deployment{ID: fmt.Sprint(i)})
	}
	o := status.Observe(s)
	if len(o.Tasks) != 20 || len(o.Targets) != 20 || len(o.Deployments) != 10 {
		t.Errorf("%d tasks, %d targets, %d deployments; want 20, 20, 10", len(o.Tasks), len(o.Targets), len(o.Deployments))
	}
	if o.Tasks[0].ID != "099" {
		t.Errorf("first task %s, want the newest", o.Tasks[0].ID)
	}
	if o.Targets[0].State != "unhealthy" {
		t.Errorf("first target is %s, want the unhealthy one", o.Targets[0].State)
	}
}

func TestRepo(t *testing.T) {
	b, _ := board(t)
	at := time.Now()
	b.Repo(status.RepoView{Source: "https://robot:hunter2@git.example/shop.git?access_token=hunter2", Head: desired.Commit{SHA: "1234567890"}, FetchedAt: at,
		Invalid: map[string][]desired.Error{"a.yaml": {{File: "a.yaml", Line: 3, Col: 1, Message: "unknown field"}}}})
	b.Repo(status.RepoView{Error: "fetch https://robot:hunter2@git.example/shop.git: timeout"})
	r := b.Snapshot().Repo
	if r.Source != "https://git.example/shop.git" {
		t.Errorf("source %q", r.Source)
	}
	if r.Error != "fetch https://git.example/shop.git: timeout" {
		t.Errorf("error %q", r.Error)
	}
	if r.Head.Short() != "1234567" || !r.FetchedAt.Equal(at) || len(r.Invalid) != 1 {
		t.Errorf("a failed fetch forgot what was known: %+v", r)
	}
	if got := len(b.Activity(10)); got != 2 {
		t.Errorf("%d events, want 2", got)
	}
	b.Repo(status.RepoView{Head: desired.Commit{SHA: "1234567890"}, FetchedAt: at.Add(time.Minute)}) // the same commit: its files were not read again
	if r := b.Snapshot().Repo; len(r.Invalid) != 1 || r.Error != "" {
		t.Errorf("a fetch of the same commit left %+v", r)
	}
	b.Repo(status.RepoView{Source: "git@github.com:shop/deploy.git", FetchedAt: at, Invalid: map[string][]desired.Error{}})
	if got := b.Snapshot().Repo; got.Source != "git@github.com:shop/deploy.git" || got.Error != "" || len(got.Invalid) != 0 {
		t.Errorf("a fetch that succeeded left %+v", got)
	}
}

func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := board(t)
		ctx, cancel := context.WithCancel(t.Context())
		events := b.Subscribe(ctx)
		b.Publish(view("a", condition.PhaseHealthy, "fine"))
		if e := <-events; e.Service != "a" || e.ID == "" {
			t.Errorf("event %+v, want one of a with an id", e)
		}
		cancel()
		synctest.Wait()
		if e, open := <-events; open {
			t.Errorf("event %+v after the end, want a closed channel", e)
		}
		b.Remove("a") // nobody listens: must neither block nor panic
	})
}

func TestSlowSubscriberIsDroppedAndTold(t *testing.T) {
	b, _ := board(t)
	slow := b.Subscribe(t.Context())
	for i := range 400 {
		b.Publish(view("a", condition.PhaseHealthy, fmt.Sprint(i)))
	}
	var got []status.Event
	for e := range slow {
		got = append(got, e)
	}
	if last := got[len(got)-1]; last.Kind != status.EventDropped || last.ID != "" {
		t.Errorf("last event %+v, want one of kind dropped without id", last)
	}
	for i, e := range got[:len(got)-1] {
		if e.Message != fmt.Sprint(i) {
			t.Fatalf("event %d tells %q: something was left out in between", i, e.Message)
		}
	}
}

func TestResume(t *testing.T) {
	b, _ := board(t)
	for i := range status.ActivityMax + 10 {
		b.Publish(view("a", condition.PhaseHealthy, fmt.Sprint(i)))
	}
	all := b.Activity(status.ActivityMax + 10) // newest first
	if len(all) != status.ActivityMax {
		t.Fatalf("%d events are remembered, want %d", len(all), status.ActivityMax)
	}
	oldest := all[len(all)-1]
	epoch, _, _ := strings.Cut(oldest.ID, "-")
	tests := []struct {
		name, id string
		missed   int
		known    bool
	}{
		{"newest", all[0].ID, 0, true},
		{"three behind", all[3].ID, 3, true},
		{"oldest", oldest.ID, status.ActivityMax - 1, true},
		{"the one before the oldest: nothing after it is forgotten", epoch + "-10", status.ActivityMax, true},
		{"too old", epoch + "-9", 0, false},
		{"of the future", epoch + "-99999", 0, false},
		{"another process", "0-5", 0, false},
		{"nonsense", "x", 0, false},
		{"none", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			missed, known, _ := b.Resume(t.Context(), tt.id)
			if len(missed) != tt.missed || known != tt.known {
				t.Errorf("%d missed, known %v; want %d, %v", len(missed), known, tt.missed, tt.known)
			}
			for i := 1; i < len(missed); i++ {
				if want := fmt.Sprint(mustNumber(t, missed[i-1].Message) + 1); missed[i].Message != want {
					t.Fatalf("after %s comes %s", missed[i-1].Message, missed[i].Message)
				}
			}
		})
	}
}

func mustNumber(t *testing.T, s string) (n int) {
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Publishing, subscribing, scraping and removing at once must neither race nor lose the last word.
func TestConcurrentUse(t *testing.T) {
	b, reg := board(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("s%d", i%7)
				b.Publish(view(name, condition.PhaseHealthy, fmt.Sprint(w, i)))
				b.Finished(rollout.Entry{Service: name, Number: i, Result: rollout.ResultSucceeded, Trigger: rollout.TriggerGit})
				if i%50 == 49 {
					b.Remove(name)
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for range b.Subscribe(ctx) {
			}
		})
	}
	wg.Go(func() {
		defer cancel()
		for range 20 {
			if _, err := reg.Gather(); err != nil {
				t.Errorf("gather: %v", err)
			}
			for _, v := range b.Snapshot().Services {
				_ = v.Status.Why
			}
		}
	})
	wg.Wait()
	b.Publish(view("s0", condition.PhaseStalled, "last word"))
	if got := b.Snapshot().Service("s0").Status.Why; got != "last word" {
		t.Errorf("told %q, want the last word", got)
	}
}
