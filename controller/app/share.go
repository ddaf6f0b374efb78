package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/dynamo"
	"github.com/canteen/deploy/controller/ledger/lease"
	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// Ledger is a ledger as whoever acts needs it.
type Ledger interface {
	reconcile.Ledger
	Records(ctx context.Context, visit func(service string, rec rollout.Record, err error)) error
	KeepEnvironment(ctx context.Context, env *desired.Environment) error
	notify.Ledger
}

// memory is a ledger as everybody may read it.
type memory interface {
	History(ctx context.Context, service string, limit int) ([]rollout.Entry, error)
	HistoryAll(ctx context.Context, limit int) ([]rollout.Entry, error)
	Environment(ctx context.Context) (*desired.Environment, error)
	Close() error
}

// Shared is a ledger that several controllers share, and this one's part in its lease. The file needs none: whoever has it
// open holds it.
type Shared struct {
	Table *dynamo.Table
	Lease *lease.Keeper
}

func remember(cfg Config, says func(service string) *desired.Service) (memory, error) {
	if cfg.Shared != nil {
		return cfg.Shared.Table, nil
	}
	return ledger.OpenWith(cfg.Ledger, ledger.Options{Unsynced: cfg.Unsynced, Says: says})
}

// writes is the ledger while this is the controller that acts.
type writes struct {
	mu     sync.Mutex
	ledger Ledger
}

func (w *writes) begin(l Ledger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger = l
}

func (w *writes) end() { w.begin(nil) }

// now is nil while another controller acts, or none.
func (w *writes) now() Ledger {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger
}

// queueStats leaves out what is due while another controller works on it.
func (a *App) queueStats() queue.Stats {
	if a.writes.now() == nil {
		return queue.Stats{}
	}
	return a.queue.Stats()
}

// share takes part in the lease, and works whenever it holds it. A controller that could not work, because it knows no
// environment or does not reach the account, looks only.
func (a *App) share(ctx, hard context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan struct{}, 1)
	a.cfg.Shared.Lease.Tell(func(v lease.View) {
		a.tellLease(v)
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	var account Account
	var unreached error
	ready := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { a.standBy(ctx, changed) })
	others.Go(func() {
		if account, unreached = a.reach(ctx); account == nil {
			cancel()
			return
		}
		close(ready)
	})
	err := a.cfg.Shared.Lease.Run(ctx, ready, func(lost context.Context, t lease.Tenure) (bool, error) {
		soft, atOnce, end := untilLost(ctx, hard, lost)
		defer end()
		account.Forget()
		return a.office(soft, atOnce, account, fenced{a.cfg.Shared.Table.Fenced(t.Fence), a.cfg.Shared.Lease.Lose})
	})
	cancel()
	others.Wait()
	return errors.Join(err, unreached)
}

// untilLost is ctx and hard, which both end with lost too: ctx first, so that no pass begins where those under way were ended.
func untilLost(ctx, hard, lost context.Context) (soft, atOnce context.Context, end func()) {
	soft, endSoft := context.WithCancelCause(ctx)
	atOnce, endAtOnce := context.WithCancelCause(hard)
	both := func(why error) {
		endSoft(why)
		endAtOnce(why)
	}
	stop := context.AfterFunc(lost, func() { both(context.Cause(lost)) })
	return soft, atOnce, func() {
		stop()
		both(nil)
	}
}

// fenced gives the tenure up as soon as a save shows that another controller holds the lease.
type fenced struct {
	Ledger
	lose func(error)
}

func (f fenced) Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	rec, err := f.Ledger.Save(ctx, next, history)
	if fault.CodeOf(err) == ledger.CodeFenced {
		f.lose(err)
	}
	return rec, err
}

// KeepMark gives the tenure up as Save does.
func (f fenced) KeepMark(ctx context.Context, key string, data []byte) error {
	err := f.Ledger.KeepMark(ctx, key, data)
	if fault.CodeOf(err) == ledger.CodeFenced {
		f.lose(err)
	}
	return err
}

// tellLease hands on what is known of the lease.
func (a *App) tellLease(v lease.View) {
	role := status.RoleStandby
	if v.Held {
		role = status.RoleLeader
	}
	if v.Error == "" {
		a.ready.done(partLease)
	} else {
		a.ready.why(partLease, "the lease cannot be read: "+v.Error)
	}
	a.board.Lead(status.Lease{Role: role, Leader: v.Leader, Fence: v.Fence, Since: v.Since, Error: v.Error})
}

// standBy keeps what is told of the services fresh while another controller acts, by what that one saves.
func (a *App) standBy(ctx context.Context, changed <-chan struct{}) {
	for {
		if a.writes.now() == nil {
			if err := a.glance(ctx); err != nil && ctx.Err() == nil {
				a.cfg.Log.Warn("ledger cannot be read", zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(a.cfg.Pace.Idle):
		}
	}
}

func (a *App) glance(ctx context.Context) error {
	at := time.Now()
	err := a.cfg.Shared.Table.Glance(ctx, func(service string, rec rollout.Record, err error) {
		if err != nil || a.writes.now() != nil {
			return
		}
		old := a.board.Service(service)
		if old != nil && old.Record.Version > rec.Version {
			return // this controller saw more when it acted itself, or the read is of a moment ago
		}
		want, _ := a.asked.Want(service, rec)
		view := status.View{Record: rec, Status: condition.Of(condition.Input{Record: rec, Invalid: want.Invalid})}
		if old != nil {
			view.Observed = old.Observed
		}
		a.board.Publish(view)
	})
	if err != nil {
		return fmt.Errorf("read what the leader has saved: %w", err)
	}
	a.board.ReadFromLedger(at)
	return nil
}
