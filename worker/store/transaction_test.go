package store

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/canteen/deploy/worker/pgtest"
	"github.com/jackc/pgx/v5"
)

// messages counts what is sent: a statement by itself, or several together.
type messages struct{ n atomic.Int64 }

func (m *messages) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	m.n.Add(1)
	return ctx
}

func (m *messages) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (m *messages) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	m.n.Add(1)
	return ctx
}

func (m *messages) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (m *messages) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// BEGIN and COMMIT travel with other statements: an order's rows are locked for two round trips, and placing one takes two, too.
func TestTransactionCostsNoMessageOfItsOwn(t *testing.T) {
	source := Postgres(pgtest.URL(t))
	if _, err := source.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := &messages{}
	source.trace = sent
	s := open(t, source)
	placed, _, err := s.Place(t.Context(), "key", draft(1))
	if err != nil {
		t.Fatal(err)
	}
	if n := sent.n.Swap(0); n != 2 {
		t.Errorf("placing an order took %d messages, want 2", n)
	}
	if applied, err := s.Apply(t.Context(), event(placed, "placed")); err != nil || !applied {
		t.Fatalf("applied %v, error %v", applied, err)
	}
	if n := sent.n.Swap(0); n != 2 {
		t.Errorf("accepting it took %d messages, want 2", n)
	}
	if applied, err := s.Apply(t.Context(), event(placed, "placed")); err != nil || applied {
		t.Fatalf("applied again %v, error %v", applied, err)
	}
	if n := sent.n.Swap(0); n != 2 {
		t.Errorf("a repeat took %d messages, want 2: what was read, and ROLLBACK", n)
	}
}

// To the server COMMIT after a statement that failed is no error, it answers ROLLBACK; to us it is one. Either way the
// connection is whole afterwards.
func TestCommitAfterAFailureIsAnError(t *testing.T) {
	onPostgres(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		for name, last := range map[string][]statement{
			"before": nil,
			"with":   {{`INSERT INTO menu_items (id, price, currency) VALUES ($1, $2, $3)`, []any{"tea", 100, "EUR"}}, {`SELECT 1/0`, nil}},
		} {
			tx, err := s.db.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if name == "before" {
				if _, err := tx.exec(t.Context(), `SELECT 1/0`); err == nil {
					t.Error("1/0 was no error")
				}
			}
			if err := tx.commit(t.Context(), last...); err == nil {
				t.Errorf("%s the commit a statement failed, and it was no error", name)
			}
			tx.rollback(t.Context())
			tx.rollback(t.Context()) // does nothing
		}
		var found bool
		if _, err := one(t.Context(), s.db, []any{&found}, `SELECT EXISTS (SELECT 1 FROM menu_items WHERE id = 'tea')`); err != nil || found {
			t.Errorf("written in a transaction that failed: %v, error %v", found, err)
		}
		if got := s.Stats(); got.InUse != 0 || got.Idle != 1 {
			t.Errorf("connections: %+v, want one, idle", got)
		}
	})
}
