package story

import (
	"context"
	"errors"

	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/rollout"
)

// ledger is the real ledger behind the gate.
type ledger struct {
	app.Ledger
	gate   *gate
	shared bool // saves are requests, which the gate sees itself
	saved  func(rollout.Record, []rollout.Entry)
}

// Save implements reconcile.Ledger.
func (l ledger) Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	if l.gate.closed() {
		return rollout.Record{}, errKilled{}
	}
	if l.shared {
		rec, err := l.Ledger.Save(ctx, next, history)
		if err == nil {
			l.saved(rec, history)
			l.gate.afterSave(rec)
		}
		return rec, err
	}
	k, _ := l.gate.meter.step(true, "")
	if k != nil && !k.After {
		l.gate.close()
		return rollout.Record{}, errKilled{}
	}
	rec, err := l.Ledger.Save(ctx, next, history)
	if err == nil {
		l.saved(rec, history)
	}
	if k != nil {
		l.gate.close()
		return rollout.Record{}, errors.Join(err, errKilled{})
	}
	return rec, err
}

// KeepMark implements app.Ledger.
func (l ledger) KeepMark(ctx context.Context, key string, data []byte) error {
	if l.gate.closed() {
		return errKilled{}
	}
	if l.shared {
		return l.Ledger.KeepMark(ctx, key, data)
	}
	k, over := l.gate.meter.step(false, "KeepMark")
	if k != nil && !k.After {
		l.gate.close()
		return errKilled{}
	}
	err := l.Ledger.KeepMark(ctx, key, data)
	over()
	if k != nil {
		l.gate.close()
		return errKilled{}
	}
	return err
}
