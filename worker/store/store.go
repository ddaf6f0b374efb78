// Package store keeps orders in PostgreSQL or, on one machine, in a SQLite file, and owns the schema's migrations.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/pressly/goose/v3/database"
)

// Store is safe for concurrent use, by several processes at once too.
type Store struct {
	source Source
	db     *sql.DB
	// health is a connection of its own: a health check that waits behind busy requests would have the load balancer
	// kill the very tasks that are needed most.
	health *sql.DB
}

// Open prepares the database for serving. It sends nothing yet: CheckSchema tells whether the database is there and
// fit.
func Open(source Source) (*Store, error) {
	use := session{name: "worker serve", params: map[string]string{
		// Below the time that a request has. A task that lost its network must not hold row locks either.
		"statement_timeout":                   "4s",
		"lock_timeout":                        "4s",
		"idle_in_transaction_session_timeout": "10s",
	}}
	conns := connsMax
	if source.dialect == database.DialectSQLite3 {
		// SQLite has one writer at a time and no queue for it: those who wait try again and again, and the unlucky give up.
		// One connection makes the pool the queue, at least within a process.
		conns = 1
	}
	db, err := source.open(use, conns)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", source, err)
	}
	health, err := source.open(use, 1)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", source, err), db.Close())
	}
	return &Store{source: source, db: db, health: health}, nil
}

// Close ends all connections, after the queries in flight.
func (s *Store) Close() error { return errors.Join(s.db.Close(), s.health.Close()) }

// DB is the pool that serves orders, for its statistics.
func (s *Store) DB() *sql.DB { return s.db }

// Ping returns nil if the database reads a page of the orders within ctx.
func (s *Store) Ping(ctx context.Context) error {
	var found bool
	if err := s.health.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM orders)`).Scan(&found); err != nil {
		return fmt.Errorf("ask %s: %w", s.source, classify(err))
	}
	return nil
}

// Place stores a valid draft under an idempotency key, once: the second and every later call with this key, at the
// same time or years later, in this process or another, returns the first one's order and created = false. The same
// key with another draft is order.ErrKeyReused. After order.ErrUnavailable the order may or may not exist; the same
// call again tells.
func (s *Store) Place(ctx context.Context, key string, draft order.Draft) (placed order.Order, created bool, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return order.Order{}, false, fmt.Errorf("begin placing an order: %w", classify(err))
	}
	defer func() {
		// Rolling back after a commit is a no-op; after an error the server does it anyway.
		_ = tx.Rollback()
	}()
	// PostgreSQL stores microseconds: what Place returns must be what Get returns.
	placed = order.Order{ID: rand.Text(), Draft: draft, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	// A concurrent request with this key waits here until this transaction ends, then finds the key taken.
	taken, err := tx.ExecContext(ctx, `INSERT INTO idempotency_keys (key, order_id, fingerprint, created_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		key, placed.ID, draft.Fingerprint(), placed.CreatedAt)
	if err != nil {
		return order.Order{}, false, fmt.Errorf("take an idempotency key: %w", classify(err))
	}
	if n, err := taken.RowsAffected(); err != nil {
		return order.Order{}, false, fmt.Errorf("take an idempotency key: %w", classify(err))
	} else if n == 0 {
		placed, err = replay(ctx, tx, key, draft)
		return placed, false, err
	}
	if err := insert(ctx, tx, placed); err != nil {
		return order.Order{}, false, fmt.Errorf("write order %s: %w", placed.ID, classify(err))
	}
	if err := tx.Commit(); err != nil {
		return order.Order{}, false, fmt.Errorf("commit order %s: %w", placed.ID, classify(err))
	}
	return placed, true, nil
}

func insert(ctx context.Context, tx *sql.Tx, placed order.Order) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO orders (id, school, date, created_at) VALUES ($1, $2, $3, $4)`,
		placed.ID, placed.School, placed.Date, placed.CreatedAt); err != nil {
		return err
	}
	// One statement for all lines: a round trip for each would hold the transaction open for as long.
	var values strings.Builder
	args := []any{placed.ID}
	for i, line := range placed.Lines {
		if i > 0 {
			values.WriteString(", ")
		}
		fmt.Fprintf(&values, "($1, $%d, $%d, $%d)", len(args)+1, len(args)+2, len(args)+3)
		args = append(args, i, line.Item, line.Quantity)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO order_lines (order_id, position, item, quantity) VALUES `+values.String(), args...)
	return err
}

// replay returns the order that the key belongs to, if it is what the draft asks for.
func replay(ctx context.Context, tx *sql.Tx, key string, draft order.Draft) (order.Order, error) {
	var id, fingerprint string
	err := tx.QueryRowContext(ctx, `SELECT order_id, fingerprint FROM idempotency_keys WHERE key = $1`, key).Scan(&id, &fingerprint)
	if err != nil {
		return order.Order{}, fmt.Errorf("look up an idempotency key: %w", classify(err))
	}
	if fingerprint != draft.Fingerprint() {
		return order.Order{}, order.ErrKeyReused
	}
	return get(ctx, tx, id)
}

// Get returns one order, or order.ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (order.Order, error) { return get(ctx, s.db, id) }

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// get reads an order and its lines in one statement, hence at one instant.
func get(ctx context.Context, from querier, id string) (_ order.Order, err error) {
	rows, err := from.QueryContext(ctx, `SELECT o.school, o.date, o.created_at, l.item, l.quantity
		FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id WHERE o.id = $1 ORDER BY l.position`, id)
	if err != nil {
		return order.Order{}, fmt.Errorf("read order %s: %w", id, classify(err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found := order.Order{ID: id, Draft: order.Draft{Lines: []order.Line{}}}
	for rows.Next() {
		var day time.Time
		var item sql.NullString // null: an order from before the lines were stored
		var quantity sql.NullInt64
		if err := rows.Scan(&found.School, &day, &found.CreatedAt, &item, &quantity); err != nil {
			return order.Order{}, fmt.Errorf("read order %s: %w", id, err)
		}
		found.Date = day.Format(time.DateOnly)
		if item.Valid {
			found.Lines = append(found.Lines, order.Line{Item: item.String, Quantity: int(quantity.Int64)})
		}
	}
	if err := rows.Err(); err != nil {
		return order.Order{}, fmt.Errorf("read order %s: %w", id, classify(err))
	}
	if found.CreatedAt.IsZero() {
		return order.Order{}, order.ErrNotFound
	}
	found.CreatedAt = found.CreatedAt.UTC()
	return found, nil
}
