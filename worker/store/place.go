package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/canteen/deploy/worker/order"
)

// Place stores a valid draft under an idempotency key, once, together with the event that tells of it: the second and
// every later call with this key, at the same time or years later, in this process or another, returns the first one's
// order, as it is now, and created = false. The same key with another draft is order.ErrKeyReused; a draft that school
// or menu do not allow is an *order.Refusal, and its key stays free. After order.ErrUnavailable the order may or may not
// exist; the same call again tells.
func (s *Store) Place(ctx context.Context, key string, draft order.Draft) (placed order.Order, created bool, err error) {
	t, err := s.db.begin(ctx)
	if err != nil {
		return order.Order{}, false, fmt.Errorf("begin placing an order: %w", classify(err))
	}
	defer t.rollback(ctx)
	placed = order.Order{ID: rand.Text(), School: draft.School, Date: draft.Date, Status: order.StatusPlaced, CreatedAt: now()}
	// A concurrent request with this key waits here until this transaction ends, then finds the key taken. The menu, which a
	// repeated request does without, comes with the key: asked for by itself it would cost each new order a round trip.
	taken, offer, err := t.execThenQuery(ctx, statement{`INSERT INTO idempotency_keys (key, order_id, fingerprint, created_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		[]any{key, placed.ID, draft.Fingerprint(), placed.CreatedAt}}, catalogue(draft))
	if err != nil {
		return order.Order{}, false, fmt.Errorf("take an idempotency key: %w", classify(err))
	}
	school, menu, err := readCatalogue(offer, draft.School)
	if err != nil {
		return order.Order{}, false, fmt.Errorf("read the menu: %w", classify(err))
	}
	if taken == 0 {
		placed, err = replay(ctx, t, key, draft)
		return placed, false, err
	}
	lines, total, broken := draft.Price(school, menu, placed.CreatedAt)
	if len(broken) > 0 {
		return order.Order{}, false, &order.Refusal{Violations: broken}
	}
	placed.Lines, placed.Total = lines, &total
	if err := t.commit(ctx, inserts(placed)...); err != nil {
		return order.Order{}, false, fmt.Errorf("write order %s: %w", placed.ID, classify(err))
	}
	return placed, true, nil
}

// inserts are the statements of a new order, its event among them.
func inserts(o order.Order) []statement {
	// One statement for all lines: each would cost the server a plan.
	var values strings.Builder
	args := []any{o.ID}
	for i, line := range o.Lines {
		if i > 0 {
			values.WriteString(", ")
		}
		n := len(args)
		fmt.Fprintf(&values, "($1, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4)
		args = append(args, i, line.Item, line.Quantity, *line.UnitPrice)
	}
	return []statement{
		{`INSERT INTO orders (id, school, date, created_at, status, total, currency, announced) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			[]any{o.ID, o.School, o.Date, o.CreatedAt, o.Status, o.Total.Amount, o.Total.Currency, true}},
		{`INSERT INTO order_lines (order_id, position, item, quantity, unit_price) VALUES ` + values.String(), args},
		announce(order.Event{Type: order.EventPlaced, OrderID: o.ID, School: o.School}, o.CreatedAt),
	}
}

// announce puts an event into the outbox.
func announce(e order.Event, at time.Time) statement {
	return statement{`INSERT INTO outbox (type, order_id, school, created_at) VALUES ($1, $2, $3, $4)`,
		[]any{e.Type, e.OrderID, e.School, at}}
}

// replay returns the order that the key belongs to, if it is what the draft asks for.
func replay(ctx context.Context, from querier, key string, draft order.Draft) (order.Order, error) {
	var id, fingerprint string
	_, err := one(ctx, from, []any{&id, &fingerprint}, `SELECT order_id, fingerprint FROM idempotency_keys WHERE key = $1`, key)
	if err != nil {
		return order.Order{}, fmt.Errorf("look up an idempotency key: %w", classify(err))
	}
	if fingerprint != draft.Fingerprint() {
		return order.Order{}, order.ErrKeyReused
	}
	return get(ctx, from, id)
}

// catalogue asks for what the draft needs to know.
func catalogue(d order.Draft) statement {
	args := []any{d.School}
	for _, line := range d.Lines {
		args = append(args, line.Item)
	}
	return statement{`SELECT s.time_zone, s.days_before, s.cut_off_minute, m.id, m.price, m.currency, m.stock, m.first_day, m.last_day
		FROM schools s LEFT JOIN menu_items m ON m.id IN (` + placeholders(2, len(d.Lines)) + `) WHERE s.id = $1`, args}
}

// readCatalogue reads its answer: the school, nil if there is none, and those of the draft's items that exist.
func readCatalogue(from rows, id string) (*order.School, order.Menu, error) {
	var school *order.School
	menu := order.Menu{}
	err := eachOf(from, func(scan func(...any) error) error {
		var zone string
		var days, minute int
		var item menuRow
		if err := scan(append([]any{&zone, &days, &minute}, item.into()...)...); err != nil {
			return err
		}
		if school == nil {
			at, err := location(zone)
			if err != nil {
				return fmt.Errorf("time zone of school %s: %w", id, err)
			}
			school = &order.School{ID: id, Zone: at, DaysBefore: days, CutOff: time.Duration(minute) * time.Minute}
		}
		item.add(menu)
		return nil
	})
	return school, menu, err
}

// locations keeps time zones that were read: reading one takes as long as a statement. There are some hundred in all.
var locations sync.Map

func location(name string) (*time.Location, error) {
	if known, ok := locations.Load(name); ok {
		return known.(*time.Location), nil
	}
	at, err := time.LoadLocation(name)
	if err == nil {
		locations.Store(name, at)
	}
	return at, err
}

// menuRow is an item of the menu, all null where a left join found none.
type menuRow struct {
	id, currency *string
	price        *int64
	stock        *int
	first, last  *time.Time
}

func (m *menuRow) into() []any {
	return []any{&m.id, &m.price, &m.currency, &m.stock, &m.first, &m.last}
}

func (m *menuRow) add(to order.Menu) {
	if m.id == nil {
		return
	}
	day := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format(time.DateOnly)
	}
	to[*m.id] = order.Item{Price: order.Money{Amount: *m.price, Currency: *m.currency}, Stock: m.stock, First: day(m.first), Last: day(m.last)}
}

// placeholders is "$first, …" for n arguments.
func placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", first+i)
	}
	return b.String()
}
