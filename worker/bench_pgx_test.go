package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// placeBare is what the service does for one order, statement by statement, with pgx alone.
func placeBare(pool *pgxpool.Pool) func(i int) error {
	return func(int) error { return placeAs(pool, rand.Text()) }
}

func placeAs(pool *pgxpool.Pool, id string) error {
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	at := time.Now().UTC()
	if _, err := tx.Exec(ctx, `INSERT INTO idempotency_keys (key, order_id, fingerprint, created_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`, id, id, "v1:5214586d8f063da0e75e2078e20eb5e9804861634744b0137fa59c198a4e3a28", at); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT s.time_zone, s.days_before, s.cut_off_minute, m.id, m.price, m.currency, m.stock, m.first_day, m.last_day
		FROM schools s LEFT JOIN menu_items m ON m.id IN ($2) WHERE s.id = $1`, "north", "soup")
	if err != nil {
		return err
	}
	if _, err := pgx.CollectRows(rows, pgx.RowToMap); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO orders (id, school, date, created_at, status, total, currency, announced) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, "north", "2099-12-01", at, "placed", 1050, "EUR", true)
	batch.Queue(`INSERT INTO order_lines (order_id, position, item, quantity, unit_price) VALUES ($1, $2, $3, $4, $5)`, id, 0, "soup", 3, 350)
	batch.Queue(`INSERT INTO outbox (type, order_id, school, created_at) VALUES ($1, $2, $3, $4)`, "order.placed", id, "north", at)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// acceptBare is what the service does for one event of a new order.
func acceptBare(pool *pgxpool.Pool, ids []string) func(i int) error {
	return func(i int) error {
		ctx := context.Background()
		tx, err := pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }()
		rows, err := tx.Query(ctx, `SELECT o.id, o.school, o.date, o.created_at, o.status, o.reason, o.total, o.currency, l.item, l.quantity, l.unit_price, l.reserved, m.id, m.price, m.currency, m.stock, m.first_day, m.last_day
		FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id LEFT JOIN menu_items m ON m.id = l.item
		WHERE o.id = $1 ORDER BY l.position FOR UPDATE OF o`, ids[i-1])
		if err != nil {
			return err
		}
		if got, err := pgx.CollectRows(rows, pgx.RowToMap); err != nil || len(got) != 1 {
			return fmt.Errorf("%d rows: %w", len(got), err)
		}
		batch := &pgx.Batch{}
		batch.Queue(`UPDATE orders SET status = $2, reason = $3, total = $4, currency = $5, announced = $6 WHERE id = $1`, ids[i-1], "accepted", nil, 1050, "EUR", true)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		return tx.Commit(ctx)
	}
}
