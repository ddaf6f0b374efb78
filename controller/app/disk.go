package app

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

// quietFor is how long no write may have failed before the ledger is tried again although no pass has anything to save. Passes that
// have come back every few seconds.
const quietFor = 30 * time.Second

// watched is a ledger whose writes are looked at: while one of them does not reach its disk nothing can be begun in the account,
// which must be told to whoever looks.
type watched struct {
	Ledger
	told        func(error) // nil after a write that reached the disk
	environment func() *desired.Environment
	done        <-chan struct{} // closed once nobody works on the ledger any more

	mu     sync.Mutex
	failed bool
	again  *time.Timer
}

// Save implements reconcile.Ledger.
func (w *watched) Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	rec, err := w.Ledger.Save(ctx, next, history)
	w.look(err)
	return rec, err
}

// KeepEnvironment implements Ledger.
func (w *watched) KeepEnvironment(ctx context.Context, env *desired.Environment) error {
	err := w.Ledger.KeepEnvironment(ctx, env)
	w.look(err)
	return err
}

func (w *watched) look(err error) {
	unwritten := fault.CodeOf(err) == ledger.CodeUnwritten
	if err != nil && !unwritten {
		return // it says nothing of the disk
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.again != nil {
		w.again.Stop()
		w.again = nil
	}
	if unwritten {
		w.again = time.AfterFunc(quietFor, w.try)
	}
	if unwritten || w.failed {
		w.told(err)
	}
	w.failed = unwritten
}

// try writes what is there already, so that trouble which is over is not told until somebody next has something to save.
func (w *watched) try() {
	select {
	case <-w.done:
		return
	default:
	}
	if env := w.environment(); env != nil {
		_ = w.KeepEnvironment(context.Background(), env) // told by look
	}
}

// watch makes a watched ledger of the file. A shared ledger has its lease, which tells as much.
func (a *App) watch(ctx context.Context, l Ledger) Ledger {
	if a.cfg.Shared != nil {
		return l
	}
	a.board.LedgerWritten(nil)
	return &watched{Ledger: l, told: a.tellLedger, environment: a.asked.Environment, done: ctx.Done()}
}

// tellLedger tells how the last write to the ledger ended, and the log where that changes.
func (a *App) tellLedger(err error) {
	a.board.LedgerWritten(err)
	if err == nil {
		a.ready.done(partLedger)
		a.cfg.Log.Info("the ledger can be written again", zap.String("ledger", a.cfg.Ledger))
		return
	}
	if a.ready.fails(partLedger, "the ledger cannot be written, and nothing is begun in the account until it can: "+err.Error()) {
		a.cfg.Log.Error("the ledger cannot be written; nothing is begun in the account until it can", zap.String("ledger", a.cfg.Ledger), zap.Error(err))
	}
}
