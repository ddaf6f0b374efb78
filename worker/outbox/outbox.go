// Package outbox brings the events that the store wrote beside its orders to whoever handles them, at least once each and
// in the order in which they were written.
package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// roundMax is how many events one round takes; it bounds how long others wait for the outbox.
	roundMax = 100
	// roundTimeout bounds a round, the queue's answers included. It stays below the database's patience with an idle
	// transaction (10 s).
	roundTimeout = 3 * time.Second
	// lastTimeout bounds what a round may still take when the service stops: what it leaves, another process finds.
	lastTimeout = time.Second
	// poll is how often the outbox is looked at when nobody wakes the relay: events of other processes, and of those that
	// died.
	poll = time.Second
	// lookEvery is how often the backlog is measured and orders of older releases are looked for.
	lookEvery = 5 * time.Second
)

// Store is what the relay needs of the store.
type Store interface {
	Publish(ctx context.Context, limit int, send func(context.Context, []order.Event) (done []bool, err error)) (int, error)
	TakeUp(ctx context.Context, today string, limit int) (int, error)
	Backlog(ctx context.Context) (events int, oldest time.Time, err error)
}

// Relay publishes. Make one with New.
type Relay struct {
	store   Store
	send    func(context.Context, []order.Event) ([]bool, error)
	log     *zap.Logger
	woken   chan struct{}
	metrics metrics
}

type metrics struct {
	published, failures, takenUp prometheus.Counter
	waiting, oldest              prometheus.Gauge
}

// New makes a relay that hands events to send, and registers its metrics. send returns for each event whether it is done
// with; one that is not comes again, and must do no harm when it does.
func New(store Store, send func(context.Context, []order.Event) (done []bool, err error), log *zap.Logger, registry prometheus.Registerer) *Relay {
	r := &Relay{store: store, send: send, log: log, woken: make(chan struct{}, 1), metrics: metrics{
		published: prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_outbox_published_total", Help: "Events that left the outbox through this process."}),
		failures:  prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_outbox_failures_total", Help: "Rounds of the outbox that failed; the events stay and come again."}),
		takenUp:   prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_taken_up_total", Help: "Orders of an older release that were given their event."}),
		waiting:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "orders_outbox_events", Help: "Events that wait in the outbox."}),
		oldest:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "orders_outbox_oldest_seconds", Help: "How long the oldest event has waited; 0 if none waits."}),
	}}
	registry.MustRegister(r.metrics.published, r.metrics.failures, r.metrics.takenUp, r.metrics.waiting, r.metrics.oldest)
	return r
}

// Wake lets the relay look at once. It never waits.
func (r *Relay) Wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends, then once more what was written until then, and returns within 2 s after it.
func (r *Relay) Run(ctx context.Context) {
	failing := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond), backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	var looked time.Time
	for {
		last := ctx.Err() != nil
		if !last && time.Since(looked) >= lookEvery {
			looked = time.Now()
			r.look(ctx)
		}
		n, err := r.round(ctx)
		wait := poll
		if n > 0 {
			failing.Reset() // slow, or one school's, but it goes on
		}
		switch {
		case err != nil:
			wait = failing.NextBackOff()
			r.metrics.failures.Inc()
			r.log.Warn("events stay in the outbox", zap.Error(err), zap.Duration("again_in", wait))
		case n == roundMax && !last:
			wait = 0
			failing.Reset()
		default:
			failing.Reset()
		}
		if last {
			return
		}
		r.pause(ctx, wait, err == nil)
	}
}

func (r *Relay) round(ctx context.Context) (int, error) {
	last, ctx := ctx, context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	stop := context.AfterFunc(last, func() { time.AfterFunc(lastTimeout, cancel) })
	defer stop()
	n, err := r.store.Publish(ctx, roundMax, r.send)
	r.metrics.published.Add(float64(n))
	return n, err
}

// pause waits; a call of Wake ends it early where that may help.
func (r *Relay) pause(ctx context.Context, wait time.Duration, wakeable bool) {
	if wait == 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	woken := r.woken
	if !wakeable {
		woken = nil // a queue that does not answer is not asked more often because more orders come
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-woken:
	}
}

// look measures the backlog and takes up orders that an older release left without an event: it runs beside this one
// during a rollout. A day begins somewhere on earth up to fourteen hours before it does in UTC, and ends twelve after.
func (r *Relay) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	today := time.Now().UTC().Add(-12 * time.Hour).Format(time.DateOnly)
	taken, err := r.store.TakeUp(ctx, today, roundMax)
	r.metrics.takenUp.Add(float64(taken))
	n, oldest, errBacklog := r.store.Backlog(ctx)
	if err = errors.Join(err, errBacklog); err != nil {
		r.log.Warn("the outbox cannot be looked at", zap.Error(err))
		return
	}
	r.metrics.waiting.Set(float64(n))
	r.metrics.oldest.Set(0)
	if !oldest.IsZero() {
		r.metrics.oldest.Set(time.Since(oldest).Seconds())
	}
}

// Direct returns a send for a service without a queue: it applies each event itself. An event that can never be applied is
// done with, so that it keeps no other one waiting.
func Direct(apply func(context.Context, order.Event) (bool, error), log *zap.Logger) func(context.Context, []order.Event) ([]bool, error) {
	return func(ctx context.Context, events []order.Event) ([]bool, error) {
		done := make([]bool, len(events))
		for i, e := range events {
			applied, err := apply(ctx, e)
			switch {
			case errors.Is(err, order.ErrNotFound):
				log.Error("event dropped", zap.String("order_id", e.OrderID), zap.String("event", e.Type), zap.Error(err))
			case err != nil:
				return done, err
			case applied:
				log.Info("event applied", zap.String("order_id", e.OrderID), zap.String("event", e.Type))
			}
			done[i] = true
		}
		return done, nil
	}
}
