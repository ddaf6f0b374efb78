package rehearsal

import (
	"context"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
)

// stage is the account that is only looked at, with writes that are only pretended.
type stage struct {
	Account
	pretence   plan.Pretence
	unseen     bool   // what would be registered is not looked at any more
	registered bool   // something would be
	content    string // of it
}

// Observe implements reconcile.Account.
func (s *stage) Observe(ctx context.Context, intent *rollout.Intent, look observed.Look) (observed.Service, error) {
	seen, err := s.Account.Observe(ctx, intent, s.pretence.Ask(look))
	if err != nil {
		return seen, err
	}
	return s.pretence.Over(seen, look), nil
}

// Act implements reconcile.Account: nothing is sent but what must be read to know that the real one could be.
func (s *stage) Act(ctx context.Context, _ *rollout.Intent, seen observed.Service, a rollout.Action) (rollout.Outcome, error) {
	if register, ok := a.(rollout.Register); ok {
		content, err := "", error(nil)
		if !s.unseen {
			content, err = s.Preview(ctx, seen, register)
		}
		if err != nil {
			return rollout.Outcome{}, err
		}
		s.registered, s.content = true, content
	}
	return s.pretence.Do(a, seen), nil
}

// ear is the teller of passes that nobody but the rehearsal hears.
type ear struct{ last reconcile.Pass }

// Passed implements reconcile.Teller.
func (e *ear) Passed(p reconcile.Pass) { e.last = p }

// Ended implements reconcile.Teller; the memory keeps the entries.
func (e *ear) Ended(rollout.Entry) {}

// memory is a ledger that is gone with the rehearsal.
type memory struct {
	records map[string]rollout.Record
	locks   map[string]string // migration lock → service
	ended   []rollout.Entry   // of the service that is rehearsed
}

func remember(records ...rollout.Record) *memory {
	m := &memory{records: map[string]rollout.Record{}, locks: map[string]string{}}
	for _, rec := range records {
		m.records[rec.Service] = rec
		if lock := rec.HoldsLock(); lock != "" {
			m.locks[lock] = rec.Service
		}
	}
	return m
}

// Load implements reconcile.Ledger.
func (m *memory) Load(_ context.Context, service string) (rollout.Record, error) {
	return m.records[service], nil
}

// Save implements reconcile.Ledger.
func (m *memory) Save(_ context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	next.Version++
	m.records[next.Service] = next
	m.ended = append(m.ended, history...)
	for lock, holder := range m.locks {
		if holder == next.Service {
			delete(m.locks, lock)
		}
	}
	if lock := next.HoldsLock(); lock != "" {
		m.locks[lock] = next.Service
	}
	return next, nil
}

// LockHolder implements reconcile.Ledger.
func (m *memory) LockHolder(_ context.Context, lock string) (string, error) {
	return m.locks[lock], nil
}
