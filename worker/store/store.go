// Package store keeps orders, menu, stock and outbox in PostgreSQL or, on one machine, in a SQLite file, and owns the
// schema's migrations. What may happen to an order it asks package order.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pressly/goose/v3/database"
)

// Options are what a Store may be told beside its Source.
type Options struct {
	// PoolMax bounds the connections that serve orders; 0 is PoolDefault. Health checks and the outbox have one more each.
	PoolMax int
	// Refused is told once, from any goroutine, if the server refuses our credentials. See CredentialsRefused.
	Refused func(error)
}

// Store is safe for concurrent use, by several processes at once too.
type Store struct {
	source Source
	db     pool
	// health and relay are connections of their own: a health check that waits behind busy requests would have the load
	// balancer kill the very tasks that are needed most, and the outbox holds its connection while it talks to the queue.
	health, relay pool
}

// Open prepares the database for serving. It sends nothing yet: CheckSchema tells whether the database is there and
// fit.
func Open(source Source, o Options) (*Store, error) {
	use := session{name: "worker serve", params: map[string]string{
		// Below the time that a request has. A task that lost its network must not hold row locks either.
		"statement_timeout":                   "4s",
		"lock_timeout":                        "4s",
		"idle_in_transaction_session_timeout": "10s",
	}}
	conns := o.PoolMax
	if conns == 0 {
		conns = PoolDefault
	}
	if source.dialect == database.DialectSQLite3 {
		// SQLite has one writer at a time and no queue for it: those who wait try again and again, and the unlucky give up.
		// One connection makes the pool the queue, at least within a process.
		conns = 1
	}
	var once sync.Once
	refused := func(err error) {
		if o.Refused != nil {
			once.Do(func() { o.Refused(err) })
		}
	}
	s := &Store{source: source}
	for _, p := range []struct {
		pool  *pool
		conns int
	}{{&s.db, conns}, {&s.health, 1}, {&s.relay, 1}} {
		if p.pool == &s.relay && source.dialect == database.DialectSQLite3 {
			s.relay = s.db // one writer, see above
			continue
		}
		opened, err := source.open(use, p.conns, refused)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", source, err), s.Close())
		}
		*p.pool = opened
	}
	return s, nil
}

// Close ends all connections, after the queries in flight.
func (s *Store) Close() error {
	var errs []error
	for i, p := range []pool{s.db, s.health, s.relay} {
		if p != nil && (i != 2 || s.relay != s.db) {
			errs = append(errs, p.close())
		}
	}
	return errors.Join(errs...)
}

// Stats tells of the connections that serve orders.
func (s *Store) Stats() Stats { return s.db.stats() }

// Ping returns nil if the database reads a page of the orders within ctx.
func (s *Store) Ping(ctx context.Context) error {
	var found bool
	if _, err := one(ctx, s.health, []any{&found}, `SELECT EXISTS (SELECT 1 FROM orders)`); err != nil {
		return fmt.Errorf("ask %s: %w", s.source, classify(err))
	}
	return nil
}

// now is the time as the database keeps it: PostgreSQL stores microseconds, and what Place returns must be what Get returns.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
