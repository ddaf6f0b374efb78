package store

import (
	"context"
	"fmt"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/pressly/goose/v3/database"
)

// relayLock is the advisory lock of the one who publishes: any number that nobody else in this database uses.
const relayLock = 0x63616e7465656e // "canteen"

// takeOutTimeout is what there is to take out what send has sent, however much time that took: what stays is sent again.
const takeOutTimeout = time.Second

// Publish hands the oldest events of the outbox, at most limit, to send and takes out those that send returns as done. Of
// several processes on one PostgreSQL one publishes at a time, so that a school's events leave in their order; the others
// return 0, nil at once. A crash after send and before the end repeats the events: at least once. n is how many were
// taken out, also beside an error of send's. It returns within a second after ctx ends, and send.
func (s *Store) Publish(ctx context.Context, limit int, send func(context.Context, []order.Event) (done []bool, err error)) (n int, err error) {
	if s.source.dialect == database.DialectSQLite3 {
		// No transaction around send: it would keep every other writer out. Two processes on one file may send twice.
		return publish(ctx, s.relay, limit, send, func(context.Context) error { return nil })
	}
	t, err := s.relay.begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin publishing: %w", classify(err))
	}
	defer t.rollback(ctx)
	var mine bool
	if _, err := one(ctx, t, []any{&mine}, `SELECT pg_try_advisory_xact_lock($1)`, int64(relayLock)); err != nil {
		return 0, fmt.Errorf("lock the outbox: %w", classify(err))
	}
	if !mine {
		return 0, nil
	}
	return publish(ctx, t, limit, send, func(ctx context.Context) error { return t.commit(ctx) })
}

// publish takes out what has left although others have not, and commits where anything has.
func publish(ctx context.Context, on querier, limit int, send func(context.Context, []order.Event) ([]bool, error), commit func(context.Context) error) (int, error) {
	var ids []any
	var events []order.Event
	err := each(ctx, on, func(scan func(...any) error) error {
		var id int64
		var e order.Event
		err := scan(&id, &e.Type, &e.OrderID, &e.School)
		ids, events = append(ids, id), append(events, e)
		return err
	}, `SELECT id, type, order_id, school FROM outbox ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return 0, fmt.Errorf("read the outbox: %w", classify(err))
	}
	if len(events) == 0 {
		return 0, nil
	}
	done, sendErr := send(ctx, events)
	var gone []any
	for i := range done {
		if done[i] {
			gone = append(gone, ids[i])
		}
	}
	if len(gone) == 0 {
		return 0, sendErr
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOutTimeout)
	defer cancel()
	if _, err := on.exec(ctx, `DELETE FROM outbox WHERE id IN (`+placeholders(1, len(gone))+`)`, gone...); err != nil {
		return 0, fmt.Errorf("take events out of the outbox: %w", classify(err))
	}
	if err := commit(ctx); err != nil {
		return 0, fmt.Errorf("commit the outbox: %w", classify(err))
	}
	return len(gone), sendErr
}

// TakeUp announces orders that an older release placed without an event, at most limit, for days from today on; what is
// past is history. It returns how many it found.
func (s *Store) TakeUp(ctx context.Context, today string, limit int) (int, error) {
	t, err := s.relay.begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin taking orders up: %w", classify(err))
	}
	defer t.rollback(ctx)
	at := now()
	var changes []statement
	err = each(ctx, t, func(scan func(...any) error) error {
		e := order.Event{Type: order.EventPlaced}
		if err := scan(&e.OrderID, &e.School); err != nil {
			return err
		}
		changes = append(changes, announce(e, at), statement{`UPDATE orders SET announced = $2 WHERE id = $1`, []any{e.OrderID, true}})
		return nil
	}, `SELECT id, school FROM orders WHERE NOT announced AND date >= $1 ORDER BY date LIMIT $2 FOR UPDATE SKIP LOCKED`, today, limit)
	if err != nil || len(changes) == 0 {
		return 0, classified("look for orders without an event", err)
	}
	if err := t.commit(ctx, changes...); err != nil {
		return 0, fmt.Errorf("announce orders: %w", classify(err))
	}
	return len(changes) / 2, nil
}

// Backlog tells how many events wait in the outbox, and since when the oldest has; zero if none does.
func (s *Store) Backlog(ctx context.Context) (events int, oldest time.Time, err error) {
	var since *time.Time
	if _, err := one(ctx, s.relay, []any{&events}, `SELECT COUNT(*) FROM outbox`); err != nil {
		return 0, time.Time{}, fmt.Errorf("count the outbox: %w", classify(err))
	}
	if _, err := one(ctx, s.relay, []any{&since}, `SELECT created_at FROM outbox ORDER BY id LIMIT 1`); err != nil {
		return 0, time.Time{}, fmt.Errorf("read the outbox: %w", classify(err))
	}
	if since != nil {
		oldest = since.UTC()
	}
	return events, oldest, nil
}

func classified(deed string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", deed, classify(err))
}
