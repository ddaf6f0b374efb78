package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// listen reads the queue of events for as long as this controller acts, which is until ctx ends. What it returns waits for the end
// of that. Without a queue it does nothing.
func (a *App) listen(ctx context.Context, account Account, env desired.EnvironmentSpec, r *reconcile.Reconciler, records []rollout.Record) func() {
	l := a.cfg.Events
	if l == nil {
		return func() {}
	}
	services := map[string]events.Known{}
	for _, rec := range records {
		services[rec.Service] = known(rec, observed.Service{})
	}
	l.Begin(services)
	r.Sweep = func(service string) time.Duration { return l.Sweep(service, a.cfg.Pace.Idle) }
	var listening sync.WaitGroup
	listening.Go(func() {
		l.Listen(ctx, events.Office{
			Account: env.Account, Region: env.Region, Clock: a.cfg.Clock, Idle: a.cfg.Pace.Idle, Queue: account, Wake: a.queue.WakeAt, Watching: a.watching,
			Notice: func(p events.Place) { account.Notice(p.Cluster, p.Service) },
		})
	})
	return func() {
		listening.Wait()
		l.End()
	}
}

// watching are the services whose files name the alarm.
func (a *App) watching(alarm string) []string {
	return a.asked.Where(func(spec desired.ServiceSpec) bool {
		checks, err := health.For(spec)
		return err == nil && slices.Contains(health.Facts(checks, rollout.Subject{Before: true}).Alarms, alarm)
	})
}

// known is what a record and a look say of a service, to tell the events that are about it. What events tell of it is its newest
// deployment and how far that is.
func known(rec rollout.Record, seen observed.Service) events.Known {
	k := events.Known{}
	if cluster := status.Observe(seen).Cluster; cluster != "" && seen.Name != "" {
		k.Place = events.Place{Cluster: cluster, Service: seen.Name}
	}
	if d := seen.Primary(); d.ID != "" {
		k.Sign = d.ID + " " + string(d.Rollout)
	}
	if ro := rec.Rollout; ro != nil && ro.Migration != nil {
		k.Mark, k.Task = rollout.TaskMark(ro.Migration.Token), ro.Migration.Task
	}
	return k
}
