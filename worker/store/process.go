package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/canteen/deploy/worker/order"
)

// Apply does what an event asks of its order, once: applied is false for an event that came again or late, and for one
// that its order can no longer follow, which are done with. order.ErrTooEarly and order.ErrUnavailable may succeed later;
// order.ErrNotFound is for an event whose order nobody placed here. Concurrent calls for one order wait for each other.
func (s *Store) Apply(ctx context.Context, e order.Event) (applied bool, err error) {
	t, err := s.db.begin(ctx)
	if err != nil {
		return false, fmt.Errorf("begin %s of order %s: %w", e.Type, e.OrderID, classify(err))
	}
	defer t.rollback(ctx)
	work, menu, err := lockOrder(ctx, t, e.OrderID)
	if err != nil {
		return false, fmt.Errorf("read order %s for %s: %w", e.OrderID, e.Type, classify(err))
	}
	if work == nil {
		return false, fmt.Errorf("%s: %w", e.Type, order.ErrNotFound)
	}
	switch order.Advance(work.order.Status, e.Goal()) {
	case order.StepApply:
	case order.StepTooEarly:
		return false, fmt.Errorf("%s of order %s, which is %s: %w", e.Type, e.OrderID, work.order.Status, order.ErrTooEarly)
	default:
		return false, nil
	}
	var changes []statement
	switch e.Goal() {
	case order.StatusAccepted:
		changes, err = accept(ctx, t, work.order, menu)
	case order.StatusCancelled:
		changes = cancel(work)
	default:
		changes = []statement{moveTo(e.OrderID, e.Goal())}
	}
	if err == nil {
		err = t.commit(ctx, changes...)
	}
	if err != nil {
		return false, fmt.Errorf("%s of order %s: %w", e.Type, e.OrderID, classify(err))
	}
	return true, nil
}

func moveTo(id string, to order.Status) statement {
	return statement{`UPDATE orders SET status = $2, announced = $3 WHERE id = $1`, []any{id, to, true}}
}

// locked is an order that nobody else changes before the transaction's end, and what it has reserved by item.
type locked struct {
	order    order.Order
	reserved map[string]int
}

// lockOrder reads an order, nil if there is none, with those of its items that are on the menu, and holds it.
func lockOrder(ctx context.Context, from querier, id string) (*locked, order.Menu, error) {
	var work *locked
	menu := order.Menu{}
	err := each(ctx, from, func(scan func(...any) error) error {
		var r orderRow
		var item menuRow
		var reserved *int
		if err := scan(slices.Concat(r.into(), []any{&reserved}, item.into())...); err != nil {
			return err
		}
		if work == nil {
			work = &locked{order: r.order(), reserved: map[string]int{}}
		}
		work.order.Lines = append(work.order.Lines, r.line()...)
		if reserved != nil && *reserved > 0 {
			work.reserved[*r.item] = *reserved
		}
		item.add(menu)
		return nil
	}, `SELECT `+orderColumns+`, l.reserved, m.id, m.price, m.currency, m.stock, m.first_day, m.last_day
		FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id LEFT JOIN menu_items m ON m.id = l.item
		WHERE o.id = $1 ORDER BY l.position FOR UPDATE OF o`, id)
	return work, menu, err
}

// accept asks the rules and returns the statements of their answer.
func accept(ctx context.Context, t querier, o order.Order, menu order.Menu) ([]statement, error) {
	reserved, err := lockStock(ctx, t, o, menu)
	if err != nil {
		return nil, err
	}
	a := order.Accept(o, menu, reserved)
	var reason, total, currency any
	if a.Reason != "" {
		reason = a.Reason
	}
	if a.Total != nil {
		total, currency = a.Total.Amount, a.Total.Currency
	}
	changes := []statement{{`UPDATE orders SET status = $2, reason = $3, total = $4, currency = $5, announced = $6 WHERE id = $1`,
		[]any{o.ID, a.To, reason, total, currency, true}}}
	for i, line := range a.Lines {
		n := a.Reserve[line.Item]
		if o.Total == nil && line.UnitPrice != nil || n > 0 {
			changes = append(changes, statement{`UPDATE order_lines SET unit_price = $3, reserved = $4 WHERE order_id = $1 AND position = $2`,
				[]any{o.ID, i, line.UnitPrice, n}})
		}
		if n > 0 {
			changes = append(changes, changeStock(line.Item, o.Date, n))
		}
	}
	return changes, nil
}

func changeStock(item, date string, by int) statement {
	return statement{`UPDATE stock SET reserved = reserved + $3 WHERE item = $1 AND date = $2`, []any{item, date, by}}
}

// lockStock reads what is reserved of the day's limited items, and keeps others from reserving them until the transaction
// ends. Everybody locks in the order of the items, so that none waits in a circle.
func lockStock(ctx context.Context, t querier, o order.Order, menu order.Menu) (map[string]int, error) {
	limited := map[string]bool{}
	for _, line := range o.Lines {
		if item, known := menu[line.Item]; known && item.Stock != nil {
			limited[line.Item] = true
		}
	}
	reserved := map[string]int{}
	if len(limited) == 0 {
		return reserved, nil
	}
	items := slices.Sorted(maps.Keys(limited))
	rows, args := make([]statement, len(items)), []any{o.Date}
	for i, item := range items {
		rows[i] = statement{`INSERT INTO stock (item, date, reserved) VALUES ($1, $2, $3) ON CONFLICT (item, date) DO NOTHING`, []any{item, o.Date, 0}}
		args = append(args, item)
	}
	if err := t.all(ctx, rows); err != nil {
		return nil, err
	}
	err := each(ctx, t, func(scan func(...any) error) error {
		var item string
		var n int
		err := scan(&item, &n)
		reserved[item] = n
		return err
	}, `SELECT item, reserved FROM stock WHERE date = $1 AND item IN (`+placeholders(2, len(items))+`) ORDER BY item FOR UPDATE`, args...)
	return reserved, err
}

// cancel returns the statements of an order's cancellation, with the stock that it gives back.
func cancel(work *locked) []statement {
	o := work.order
	changes := []statement{{`UPDATE orders SET status = $2, reason = $3, announced = $4 WHERE id = $1`,
		[]any{o.ID, order.StatusCancelled, order.ReasonAsked, true}}}
	if !order.GivesStockBack(o.Status) || len(work.reserved) == 0 {
		return changes
	}
	for _, item := range slices.Sorted(maps.Keys(work.reserved)) {
		changes = append(changes, changeStock(item, o.Date, -work.reserved[item]))
	}
	return append(changes, statement{`UPDATE order_lines SET reserved = $2 WHERE order_id = $1`, []any{o.ID, 0}})
}
