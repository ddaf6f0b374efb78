package ecs_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// balancer is the smallest load balancer: it asks each target at intervals; one
// pass makes a new target healthy, two failures in a row an unhealthy one.
type balancer struct {
	mu      sync.Mutex
	delay   time.Duration
	every   time.Duration
	changed func(string, ecs.Target, ecs.TargetHealth)
	targets map[string]*watched
	ever    int
	shifts  []shifted
	broken  error // what Shift answers
}

// shifted is one call of Shift.
type shifted struct {
	at      time.Time
	rule    string
	weights map[string]float64
}

type watched struct {
	group  string
	target ecs.Target
	health ecs.TargetHealth
	bad    int
}

func newBalancer() *balancer {
	return &balancer{delay: 30 * time.Second, every: 10 * time.Second, targets: map[string]*watched{}}
}

func (b *balancer) Notify(changed func(string, ecs.Target, ecs.TargetHealth)) { b.changed = changed }

func (b *balancer) Attached(arn string) (bool, error) {
	if strings.Contains(arn, "gone") {
		return false, errors.New("TargetGroupNotFound")
	}
	return !strings.Contains(arn, "loose"), nil
}

func (b *balancer) DeregistrationDelay(string) time.Duration { return b.delay }

func (b *balancer) Register(group string, t ecs.Target) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &watched{group: group, target: t}
	b.targets[t.ID] = w
	b.ever++
	b.check(w)
	return nil
}

func (b *balancer) Deregister(_ string, t ecs.Target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.targets, t.ID)
}

func (b *balancer) Shift(rule string, weights map[string]float64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shifts = append(b.shifts, shifted{time.Now(), rule, weights})
	return b.broken
}

// weight is the share that a rule gives to a group now.
func (b *balancer) weight(rule, group string) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range slices.Backward(b.shifts) {
		if s.rule == rule {
			return s.weights[group]
		}
	}
	return -1
}

func (b *balancer) check(w *watched) {
	time.AfterFunc(b.every, func() {
		answer := w.target.Probe()
		b.mu.Lock()
		if b.targets[w.target.ID] != w {
			b.mu.Unlock()
			return
		}
		b.check(w)
		next := w.health
		switch {
		case answer.Status == 200:
			w.bad, next = 0, ecs.TargetHealth{State: "healthy"}
		case answer.Status == 0 && !answer.Timeout:
			w.bad++
			next = ecs.TargetHealth{State: "unhealthy", Reason: "Target.FailedHealthChecks", Description: "Health checks failed"}
		default:
			w.bad++
			next = ecs.TargetHealth{State: "unhealthy", Reason: "Target.ResponseCodeMismatch", Description: fmt.Sprintf("Health checks failed with these codes: [%d]", answer.Status)}
		}
		tell := next != w.health && (w.bad == 0 || w.bad >= 2)
		if tell {
			w.health = next
		}
		b.mu.Unlock()
		if tell {
			b.changed(w.group, w.target, next)
		}
	})
}

func (b *balancer) registered() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.targets))
}
