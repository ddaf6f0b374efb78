package reconcile

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
)

// passFor bounds one pass: a call that hangs delays its own service and nobody else.
const passFor = 2 * time.Minute

// Run runs passes with so many workers until ctx ends, and returns when the passes under way are over. They are let
// finish: hard, where it is cancelled, ends them too.
func (r *Reconciler) Run(ctx, hard context.Context, q *queue.Queue, workers int) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				service, err := q.Get(ctx)
				if err != nil {
					return
				}
				next := r.guarded(hard, service)
				// The queue counts by a clock that does not jump: a wait goes on for as long as it was meant to.
				q.WakeAt(service, time.Now().Add(next.Sub(r.now())))
				q.Done(service)
				if env := r.Asked.Environment(); env != nil {
					for _, next := range r.Fleet.turns(env.Spec.MaxConcurrentRollouts) {
						q.WakeAt(next, time.Now())
					}
				}
			}
		})
	}
	all.Wait()
}

// guarded runs one pass and survives a panic in it: a broken rule about one service must not stop the others.
func (r *Reconciler) guarded(ctx context.Context, service string) (next time.Time) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error("pass panicked", zap.String("service", service), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			r.Teller.Passed(Pass{Service: service, Err: fmt.Errorf("panic: %v", p), Panicked: true})
			r.Fleet.lapse(service)
			next = r.now().Add(rollout.Backoff(6))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, passFor)
	defer cancel()
	next, err := r.Reconcile(ctx, service)
	switch {
	case err == nil:
	case fault.Is(err, fault.Conflict):
		r.Log.Debug("pass lost a race", zap.String("service", service), zap.Error(err))
	default:
		r.Fleet.lapse(service)
		r.Log.Warn("pass failed", zap.String("service", service), zap.String("kind", string(fault.KindOf(err))), zap.Error(err), zap.Time("next", next))
	}
	return next
}
