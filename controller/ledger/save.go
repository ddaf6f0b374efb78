package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// Save stores a record, appends the finished rollouts to the service's history and moves its migration lock, all or
// nothing, and returns the record as it was stored: one version on. It is on disk when Save returns without an error. What a record
// points to must not be changed from then on: it may be what Load answers.
//
// next.Version must be the stored record's, 0 where there is none; otherwise somebody else saved meanwhile, and the error
// is fault.Conflict with CodeVersion. The lock that next.HoldsLock names is taken, and any other that the service held is
// released; where another service holds it the error is fault.Conflict with CodeLockHeld. Nothing is saved then.
func (f *File) Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	if err := ctx.Err(); err != nil {
		return rollout.Record{}, f.unsaved(next, err)
	}
	if err := Check(next); err != nil {
		return rollout.Record{}, f.unsaved(next, err)
	}
	stored := next
	stored.Version++
	data, err := json.Marshal(stored)
	if err != nil {
		return rollout.Record{}, f.unsaved(next, err)
	}
	err = f.write(func(tx *bbolt.Tx) error {
		before, err := f.version(tx, next.Service)
		if err != nil {
			return err
		}
		if before != next.Version {
			return Overtaken(next.Version, before)
		}
		return sealing(tx, func(s *seal) error {
			if err := moveLock(tx, s, next.Service, next.HoldsLock()); err != nil {
				return err
			}
			if err := remember(tx, next.Service, history); err != nil {
				return err
			}
			records := tx.Bucket(recordsBucket)
			if records.Get([]byte(next.Service)) == nil {
				s.turn("record", next.Service)
			}
			if err := records.Put([]byte(next.Service), data); err != nil {
				return err
			}
			f.memo.wrote(stored) // before another write can begin
			return nil
		})
	})
	if err != nil {
		return rollout.Record{}, f.unsaved(next, err)
	}
	return stored, nil
}

// write is one transaction. An error of its body comes back as it is; any other one is of CodeUnwritten.
func (f *File) write(body func(*bbolt.Tx) error) error {
	if broken := f.broken.Load(); broken != nil {
		return *broken
	}
	var wrong error
	id := 0
	err := guarded(f.path, func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			id = tx.ID()
			wrong = body(tx)
			return wrong
		})
	})
	if err != nil && wrong == nil && fault.Is(err, fault.Terminal) {
		f.broken.Store(&err)
	}
	if err != nil && !fault.Is(err, fault.Conflict) { // a conflict is told before anything is written
		f.memo.doubt(id)
	}
	if err == nil || wrong != nil || errors.Is(err, bolterrors.ErrDatabaseNotOpen) || fault.Is(err, fault.Terminal) {
		return err
	}
	return fault.New(fault.Unknown, CodeUnwritten, err)
}

func (f *File) unsaved(rec rollout.Record, err error) error {
	return fmt.Errorf("save the record of %s in %s: %w", rec.Service, f.path, err)
}

// moveLock makes lock, "" for none, the only one that the service holds.
func moveLock(tx *bbolt.Tx, s *seal, service, lock string) error {
	locks := tx.Bucket(locksBucket)
	if lock != "" {
		if holder := string(locks.Get([]byte(lock))); holder != "" && holder != service {
			return LockHeld(lock, holder)
		}
	}
	// The table is asked what the service holds, and not its record before: another controller's idea of HoldsLock may
	// have been another one. It is short, since only running migrations are in it.
	var free [][]byte
	held := false
	err := locks.ForEach(func(name, holder []byte) error {
		switch {
		case string(holder) != service:
		case string(name) == lock:
			held = true
		default:
			free = append(free, bytes.Clone(name)) // a key is not the caller's once its bucket is written to
		}
		return nil
	})
	for _, name := range free {
		s.turn("lock", string(name), service)
		err = errors.Join(err, locks.Delete(name))
	}
	if lock != "" && !held {
		s.turn("lock", lock, service)
		err = errors.Join(err, locks.Put([]byte(lock), []byte(service)))
	}
	return err
}
