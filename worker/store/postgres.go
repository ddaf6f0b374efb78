package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rollbackTimeout is what a rollback has: the server rolls back by itself when the connection is closed after it.
const rollbackTimeout = 2 * time.Second

// pgPool is a pool of pgx's, without database/sql between: it pipelines statements.
type pgPool struct {
	*pgxpool.Pool
	refused func(error) // is told each time the server refuses our credentials
}

func (s Source) postgresPool(use session, conns int, refused func(error)) (pool, error) {
	cfg, err := s.postgresConfig(use)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns, cfg.MinConns = int32(conns), 0
	// After a failover, and for load balancers in front of the database, connections must not live for ever.
	cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter, cfg.MaxConnIdleTime = 30*time.Minute, 5*time.Minute, 5*time.Minute
	p, err := pgxpool.NewWithConfig(context.Background(), cfg) // connects when first used
	if err != nil {
		return nil, fmt.Errorf("make the pool: %w", err)
	}
	return &pgPool{p, refused}, nil
}

// seen tells of refused credentials.
func (p *pgPool) seen(err error) error {
	if CredentialsRefused(err) {
		p.refused(err)
	}
	return err
}

func (p *pgPool) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := p.Exec(ctx, query, args...)
	return tag.RowsAffected(), p.seen(err)
}

func (p *pgPool) query(ctx context.Context, query string, args ...any) (rows, error) {
	rs, err := p.Query(ctx, query, args...)
	return pgRows{rs}, p.seen(err)
}

func (p *pgPool) all(ctx context.Context, list []statement) error {
	return p.seen(sendAll(ctx, p.Pool, list))
}

func (p *pgPool) begin(ctx context.Context) (tx, error) {
	t, err := p.Begin(ctx)
	return &pgTx{Tx: t}, p.seen(err)
}

func (p *pgPool) stats() Stats {
	s := p.Stat()
	return Stats{Max: int(s.MaxConns()), InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()),
		Waits: s.EmptyAcquireCount(), WaitSeconds: s.EmptyAcquireWaitTime().Seconds()}
}

func (p *pgPool) close() error { p.Close(); return nil }

type pgTx struct {
	pgx.Tx
	committed bool
}

func (t *pgTx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (t *pgTx) query(ctx context.Context, query string, args ...any) (rows, error) {
	rs, err := t.Query(ctx, query, args...)
	return pgRows{rs}, err
}

func (t *pgTx) all(ctx context.Context, list []statement) error { return sendAll(ctx, t.Tx, list) }

func (t *pgTx) commit(ctx context.Context) error {
	err := t.Commit(ctx)
	t.committed = err == nil
	return err
}

func (t *pgTx) rollback(ctx context.Context) {
	if t.committed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = t.Rollback(ctx) // the server does it anyway when the connection ends
}

func sendAll(ctx context.Context, to interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}, list []statement) error {
	batch := &pgx.Batch{}
	for _, s := range list {
		batch.Queue(s.query, s.args...)
	}
	return to.SendBatch(ctx, batch).Close() // the first error of any of them
}

type pgRows struct{ pgx.Rows }

func (r pgRows) Close() error { r.Rows.Close(); return nil }

// CredentialsRefused tells that the server knows us and does not let us in: the password was changed, as Secrets Manager's
// rotation does. A process cannot mend that, since its environment stays as it was at its start; the next one can.
func CredentialsRefused(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	// invalid_authorization_specification, invalid_password: https://www.postgresql.org/docs/current/errcodes-appendix.html
	return ok && (pg.Code == "28000" || pg.Code == "28P01")
}
