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
	return pgRows{rs, nil}, p.seen(err)
}

func (p *pgPool) all(ctx context.Context, list []statement) error {
	return p.seen(p.SendBatch(ctx, queued(list)).Close()) // the first error of any of them
}

func (p *pgPool) begin(ctx context.Context) (tx, error) {
	conn, err := p.Acquire(ctx)
	return &pgTx{conn: conn}, p.seen(err)
}

func (p *pgPool) stats() Stats {
	s := p.Stat()
	return Stats{Max: int(s.MaxConns()), InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()),
		Waits: s.EmptyAcquireCount(), WaitSeconds: s.EmptyAcquireWaitTime().Seconds()}
}

func (p *pgPool) close() error { p.Close(); return nil }

// pgTx is a transaction that costs no message of its own: BEGIN travels with the first statement, COMMIT with the last ones.
// An order's rows are locked for the shorter, and a server far away is asked less often.
type pgTx struct {
	conn  *pgxpool.Conn // nil once it is the pool's again
	begun bool
}

// send sends these statements, after BEGIN if they are the first, and returns what answers them.
func (t *pgTx) send(ctx context.Context, batch *pgx.Batch) (pgx.BatchResults, error) {
	if t.begun {
		return t.conn.SendBatch(ctx, batch), nil
	}
	t.begun = true // even if it fails: rollback asks the connection itself
	first := &pgx.Batch{}
	first.Queue("begin")
	first.QueuedQueries = append(first.QueuedQueries, batch.QueuedQueries...)
	answers := t.conn.SendBatch(ctx, first)
	if _, err := answers.Exec(); err != nil {
		return nil, errors.Join(err, answers.Close())
	}
	return answers, nil
}

func (t *pgTx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	answers, err := t.send(ctx, queued([]statement{{query, args}}))
	if err != nil {
		return 0, err
	}
	tag, err := answers.Exec()
	return tag.RowsAffected(), firstOf(err, answers.Close())
}

func (t *pgTx) query(ctx context.Context, query string, args ...any) (rows, error) {
	answers, err := t.send(ctx, queued([]statement{{query, args}}))
	if err != nil {
		return nil, err
	}
	rs, err := answers.Query()
	if err != nil {
		return nil, firstOf(err, answers.Close())
	}
	return pgRows{rs, answers}, nil
}

func (t *pgTx) execThenQuery(ctx context.Context, first, then statement) (int64, rows, error) {
	answers, err := t.send(ctx, queued([]statement{first, then}))
	if err != nil {
		return 0, nil, err
	}
	tag, err := answers.Exec()
	if err != nil {
		return 0, nil, firstOf(err, answers.Close())
	}
	rs, err := answers.Query()
	if err != nil {
		return 0, nil, firstOf(err, answers.Close())
	}
	return tag.RowsAffected(), pgRows{rs, answers}, nil
}

func (t *pgTx) all(ctx context.Context, list []statement) error {
	answers, err := t.send(ctx, queued(list))
	if err != nil {
		return err
	}
	return answers.Close() // the first error of any of them
}

func (t *pgTx) commit(ctx context.Context, last ...statement) error {
	batch := queued(last)
	answer := ""
	batch.Queue("commit").Exec(func(tag pgconn.CommandTag) error { answer = tag.String(); return nil })
	answers, err := t.send(ctx, batch)
	if err != nil {
		return err
	}
	if err := answers.Close(); err != nil {
		return err
	}
	if answer != "COMMIT" { // after a statement that failed the server answers ROLLBACK, which is no error to it
		return fmt.Errorf("%w: the server answered %s", pgx.ErrTxCommitRollback, answer)
	}
	t.release()
	return nil
}

func (t *pgTx) rollback(ctx context.Context) {
	if t.conn == nil {
		return
	}
	defer t.release()
	if c := t.conn.Conn().PgConn(); c.IsClosed() || c.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = t.conn.Exec(ctx, "rollback") // where it fails the pool closes the connection, and the server does it then
}

func (t *pgTx) release() {
	t.conn.Release()
	t.conn = nil
}

func queued(list []statement) *pgx.Batch {
	batch := &pgx.Batch{}
	for _, s := range list {
		batch.Queue(s.query, s.args...)
	}
	return batch
}

// pgRows are rows of a query, and of the batch that it was in, nil if it was in none.
type pgRows struct {
	pgx.Rows
	batch pgx.BatchResults
}

func (r pgRows) Close() error {
	r.Rows.Close()
	if r.batch == nil {
		return nil
	}
	return r.batch.Close()
}

// CredentialsRefused tells that the server knows us and does not let us in: the password was changed, as Secrets Manager's
// rotation does. A process cannot mend that, since its environment stays as it was at its start; the next one can.
func CredentialsRefused(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	// invalid_authorization_specification, invalid_password: https://www.postgresql.org/docs/current/errcodes-appendix.html
	return ok && (pg.Code == "28000" || pg.Code == "28P01")
}
