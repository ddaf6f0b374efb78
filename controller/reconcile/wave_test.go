package reconcile_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
)

// wave is an account in which each deployment takes its time, and what it saw.
type wave struct {
	mu       sync.Mutex
	services map[string]*observed.Service
	done     map[string]time.Time // when a deployment completes
	hangs    map[string]bool      // looks at it never come back
	rolled   []string             // in order
	ended    int
	most     int // that rolled at once
	rolling  map[string]bool
	queued   map[string]time.Time // since when each has waited
	looks    int
}

func newWave(n int) *wave {
	w := &wave{services: map[string]*observed.Service{}, done: map[string]time.Time{}, hangs: map[string]bool{}, rolling: map[string]bool{}, queued: map[string]time.Time{}}
	for i := range n {
		name := fmt.Sprintf("s%04d", i)
		w.services[name] = shown(name)
	}
	return w
}

func (w *wave) Observe(ctx context.Context, in *rollout.Intent, l observed.Look) (observed.Service, error) {
	name := in.Service.Metadata.Name
	w.mu.Lock()
	hangs := w.hangs[name]
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return observed.Service{}, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	s := *w.services[name]
	s.At = time.Now()
	s.Images = map[string]observed.Image{}
	for c, ref := range l.Containers {
		s.Images[c] = observed.Image{Tag: ref, Digest: ref}
	}
	d := s.Deployments[0]
	if at, ok := w.done[name]; ok && time.Now().Before(at) {
		d.Rollout, d.Running = observed.RolloutInProgress, 1
	} else if ok {
		s.ServiceDeployment = &observed.ServiceDeployment{Status: observed.ServiceDeploymentSuccessful}
	}
	s.Deployments = []observed.Deployment{d}
	return s, nil
}

func (w *wave) Act(_ context.Context, in *rollout.Intent, _ observed.Service, a rollout.Action) (rollout.Outcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := in.Service.Metadata.Name
	s := *w.services[name]
	w.services[name] = &s
	switch a := a.(type) {
	case rollout.Register:
		arn := name + ":1"
		s.Revisions = map[string]observed.Revision{arn: {ARN: arn, Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint}}
		return rollout.Outcome{Revision: arn}, nil
	case rollout.Roll:
		w.rolled = append(w.rolled, name)
		w.rolling[name] = true
		w.most = max(w.most, len(w.rolling))
		s.TaskDefinition = a.Revision
		s.Deployments = []observed.Deployment{{ID: "ecs-svc/2", Primary: true, TaskDefinition: a.Revision, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
		w.done[name] = time.Now().Add(9 * time.Second)
		return rollout.Outcome{Deployment: "ecs-svc/2"}, nil
	case rollout.Tag:
		tags := map[string]string{}
		for k, v := range s.Tags {
			tags[k] = v
		}
		for k, v := range a.Set {
			tags[k] = v
		}
		s.Tags = tags
	}
	return rollout.Outcome{}, nil
}

// Passed implements reconcile.Teller.
func (w *wave) Passed(p reconcile.Pass) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if q := p.Record.Queued; !q.IsZero() && w.queued[p.Service].IsZero() {
		w.queued[p.Service] = q
	}
}

// Ended implements reconcile.Teller.
func (w *wave) Ended(e rollout.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	delete(w.rolling, e.Service)
}

// A thousand services change at once and ten may roll: never more do, each gets its place in the order in which it came, a place that
// becomes free is taken at once, and one whose looks never come back is not waited for.
func TestAThousandAtOnceTenAtATime(t *testing.T) {
	const limit, workers = 10, 8
	services := 1000
	if testing.Short() {
		services = 200
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWave(services)
		file, err := ledger.OpenWith(filepath.Join(t.TempDir(), "l.db"), ledger.Options{Unsynced: true})
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		r := &reconcile.Reconciler{Account: w, Ledger: file, Asked: reconcile.NewAsked(), Fleet: reconcile.NewFleet(), Teller: w,
			Pace: rollout.Pace{Watch: 4 * time.Second, Idle: time.Minute}, Log: zap.NewNop()}
		var all []*desired.Service
		for name := range w.services {
			s := svc(name, dg("1"))
			s.Spec.Verify.Bake = desired.Duration(10 * time.Second)
			all = append(all, s)
		}
		take(r, "1", limit, all...)
		const stuck = "s0100"
		q := queue.New()
		for i := range services {
			q.WakeAt(fmt.Sprintf("s%04d", i), time.Now())
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx, ctx, q, workers); close(ended) }()
		<-time.After(20 * time.Second)
		w.mu.Lock()
		w.hangs[stuck] = true
		w.mu.Unlock()
		start := time.Now()
		for w.over() < services-1 {
			if time.Since(start) > 2*time.Hour {
				t.Fatalf("%d of %d rolled after %s", w.over(), services, time.Since(start))
			}
			<-time.After(10 * time.Second)
		}
		took := time.Since(start)
		cancel()
		<-ended
		if w.most != limit {
			t.Errorf("%d rolled at once, want %d", w.most, limit)
		}
		w.inOrder(t, limit+workers)
		// A deployment of 9 s and a bake of 10 s, seen every 4 s, and some looks between: a place that stays empty until somebody happens to
		// look would cost most of a minute each time.
		if perWave := took / time.Duration(services/limit); perWave > 40*time.Second {
			t.Errorf("a wave took %s", perWave)
		}
		t.Logf("%d services in %s, %d at once, %d looks", services, took, w.most, w.looks)
	})
}

func (w *wave) over() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// inOrder holds that nobody was served before more than slack services that had waited for longer.
func (w *wave) inOrder(t *testing.T, slack int) {
	t.Helper()
	for i, name := range w.rolled {
		later := 0
		for _, other := range w.rolled[i+1:] {
			if !w.queued[other].IsZero() && w.queued[other].Before(w.queued[name]) {
				later++
			}
		}
		if later > slack {
			t.Errorf("%s was served %d. though %d had waited for longer", name, i, later)
			return
		}
	}
}
