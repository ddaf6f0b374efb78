package store

import (
	"context"
	"database/sql"
	"strings"
)

// litePool is SQLite behind database/sql.
type litePool struct{ *sql.DB }

func (p *litePool) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return liteExec(ctx, p.DB, query, args)
}

func (p *litePool) query(ctx context.Context, query string, args ...any) (rows, error) {
	return p.QueryContext(ctx, withoutLocks(query), args...)
}

func (p *litePool) all(ctx context.Context, list []statement) error { return liteAll(ctx, p.DB, list) }

func (p *litePool) begin(ctx context.Context) (tx, error) {
	t, err := p.BeginTx(ctx, nil)
	return liteTx{t}, err
}

func (p *litePool) stats() Stats {
	s := p.Stats()
	return Stats{Max: s.MaxOpenConnections, InUse: s.InUse, Idle: s.Idle, Waits: s.WaitCount, WaitSeconds: s.WaitDuration.Seconds()}
}

func (p *litePool) close() error { return p.Close() }

type liteTx struct{ *sql.Tx }

func (t liteTx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return liteExec(ctx, t.Tx, query, args)
}

func (t liteTx) query(ctx context.Context, query string, args ...any) (rows, error) {
	return t.QueryContext(ctx, withoutLocks(query), args...)
}

func (t liteTx) execThenQuery(ctx context.Context, first, then statement) (int64, rows, error) {
	changed, err := t.exec(ctx, first.query, first.args...)
	if err != nil {
		return 0, nil, err
	}
	rs, err := t.query(ctx, then.query, then.args...)
	return changed, rs, err
}

func (t liteTx) all(ctx context.Context, list []statement) error { return liteAll(ctx, t.Tx, list) }

func (t liteTx) commit(ctx context.Context, last ...statement) error {
	if err := t.all(ctx, last); err != nil {
		return err
	}
	return t.Commit()
}

func (t liteTx) rollback(context.Context) { _ = t.Rollback() } // a no-op after a commit

type liteExecer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func liteExec(ctx context.Context, on liteExecer, query string, args []any) (int64, error) {
	result, err := on.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func liteAll(ctx context.Context, on liteExecer, list []statement) error {
	for _, s := range list {
		if _, err := on.ExecContext(ctx, s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// withoutLocks leaves a query's row locks away: SQLite has none and needs none, as a transaction of ours is the only writer
// from its beginning (_txlock=immediate).
func withoutLocks(query string) string {
	before, _, _ := strings.Cut(query, " FOR UPDATE")
	return before
}
