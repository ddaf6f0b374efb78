package store

import (
	"context"
	"fmt"
	"time"

	"github.com/canteen/deploy/worker/order"
)

// orderColumns and scanOrder belong together: an order beside one of its lines.
const orderColumns = `o.id, o.school, o.date, o.created_at, o.status, o.reason, o.total, o.currency, l.item, l.quantity, l.unit_price`

// orderRow collects the rows of an order.
type orderRow struct {
	id, school, status     string
	reason, currency, item *string
	day, createdAt         time.Time
	total, unitPrice       *int64
	quantity               *int
}

func (r *orderRow) into() []any {
	return []any{&r.id, &r.school, &r.day, &r.createdAt, &r.status, &r.reason, &r.total, &r.currency, &r.item, &r.quantity, &r.unitPrice}
}

func (r *orderRow) order() order.Order {
	o := order.Order{ID: r.id, School: r.school, Date: r.day.Format(time.DateOnly), Lines: []order.PricedLine{},
		Status: order.Status(r.status), CreatedAt: r.createdAt.UTC()}
	if r.reason != nil {
		o.Reason = order.Reason(*r.reason)
	}
	if r.total != nil && r.currency != nil {
		o.Total = &order.Money{Amount: *r.total, Currency: *r.currency}
	}
	return o
}

// line is nil for an order from before the lines were stored.
func (r *orderRow) line() []order.PricedLine {
	if r.item == nil || r.quantity == nil {
		return nil
	}
	return []order.PricedLine{{Line: order.Line{Item: *r.item, Quantity: *r.quantity}, UnitPrice: r.unitPrice}}
}

// Get returns one order, or order.ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (order.Order, error) { return get(ctx, s.db, id) }

// get reads an order and its lines in one statement, hence at one instant.
func get(ctx context.Context, from querier, id string) (order.Order, error) {
	found, err := orders(ctx, from, `SELECT `+orderColumns+`
		FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id WHERE o.id = $1 ORDER BY l.position`, id)
	if err != nil {
		return order.Order{}, fmt.Errorf("read order %s: %w", id, classify(err))
	}
	if len(found) == 0 {
		return order.Order{}, order.ErrNotFound
	}
	return found[0], nil
}

// List returns a school's orders of one day, by id, beginning after the id after ("" for the first), at most limit; more
// tells whether others follow. An order that is placed meanwhile may be on a page that was read before; none is on two.
func (s *Store) List(ctx context.Context, school, date, after string, limit int) (page []order.Order, more bool, err error) {
	page, err = orders(ctx, s.db, `SELECT `+orderColumns+`
		FROM (SELECT * FROM orders WHERE school = $1 AND date = $2 AND id > $3 ORDER BY id LIMIT $4) o
		LEFT JOIN order_lines l ON l.order_id = o.id ORDER BY o.id, l.position`, school, date, after, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("list orders: %w", classify(err))
	}
	if len(page) > limit {
		return page[:limit], true, nil
	}
	return page, false, nil
}

// orders reads orders with their lines; the rows of one order come one after another.
func orders(ctx context.Context, from querier, query string, args ...any) ([]order.Order, error) {
	all := []order.Order{}
	err := each(ctx, from, func(scan func(...any) error) error {
		var r orderRow
		if err := scan(r.into()...); err != nil {
			return err
		}
		if len(all) == 0 || all[len(all)-1].ID != r.id {
			all = append(all, r.order())
		}
		last := &all[len(all)-1]
		last.Lines = append(last.Lines, r.line()...)
		return nil
	}, query, args...)
	return all, err
}
