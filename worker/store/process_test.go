package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/order"
)

func place(t *testing.T, s *Store, key string, lines ...order.Line) order.Order {
	t.Helper()
	placed, created, err := s.Place(t.Context(), key, order.Draft{School: "north", Date: "2099-12-01", Lines: lines})
	if err != nil || !created {
		t.Fatalf("place %s: created %v, error %v", key, created, err)
	}
	return placed
}

func event(o order.Order, kind string) order.Event {
	return order.Event{Type: "order." + kind, OrderID: o.ID, School: o.School}
}

func apply(t *testing.T, s *Store, e order.Event, want bool) order.Order {
	t.Helper()
	applied, err := s.Apply(t.Context(), e)
	if err != nil || applied != want {
		t.Errorf("%s: applied %v, error %v, want %v", e.Type, applied, err, want)
	}
	o, err := s.Get(t.Context(), e.OrderID)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// reserved is what the day's stock says and what the orders' lines say: they must agree.
func reserved(t *testing.T, s *Store, item string) (stock, lines int) {
	t.Helper()
	_, err := one(t.Context(), s.db, []any{&stock}, `SELECT COALESCE(SUM(reserved), 0) FROM stock WHERE item = $1`, item)
	_, errLines := one(t.Context(), s.db, []any{&lines}, `SELECT COALESCE(SUM(reserved), 0) FROM order_lines WHERE item = $1`, item)
	if err := errors.Join(err, errLines); err != nil {
		t.Fatal(err)
	}
	return stock, lines
}

func TestWayOfAnOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		o := place(t, s, "key", order.Line{Item: "fish", Quantity: 1500}, order.Line{Item: "bread", Quantity: 2})
		if o.Status != order.StatusPlaced || o.Total.Amount != 1500*520+2*45 || o.Total.Currency != "EUR" {
			t.Fatalf("placed %+v", o)
		}
		if _, err := s.Apply(t.Context(), event(o, "ready")); !errors.Is(err, order.ErrTooEarly) {
			t.Errorf("ready before it is prepared: %v", err)
		}
		for _, step := range []struct {
			event   string
			applied bool
			status  order.Status
		}{
			{"placed", true, order.StatusAccepted}, {"placed", false, order.StatusAccepted}, {"preparing", true, order.StatusPreparing},
			{"placed", false, order.StatusPreparing}, {"ready", true, order.StatusReady}, {"ready", false, order.StatusReady},
			{"collected", true, order.StatusCollected}, {"cancelled", false, order.StatusCollected}, {"preparing", false, order.StatusCollected},
		} {
			if got := apply(t, s, event(o, step.event), step.applied); got.Status != step.status {
				t.Errorf("after %s: %s, want %s", step.event, got.Status, step.status)
			}
		}
		if stock, lines := reserved(t, s, "fish"); stock != 1500 || lines != 1500 {
			t.Errorf("reserved %d in stock, %d in lines, want 1500", stock, lines)
		}
		if _, err := s.Apply(t.Context(), order.Event{Type: order.EventPlaced, OrderID: strings.Repeat("A", 26)}); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("event of no order: %v", err)
		}
	})
}

func TestCancelledOrderGivesItsStockBackUntilItIsCooked(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		fish := order.Line{Item: "fish", Quantity: 1200}
		first, second := place(t, s, "1", fish), place(t, s, "2", fish)
		apply(t, s, event(first, "placed"), true)
		if o := apply(t, s, event(second, "placed"), true); o.Status != order.StatusCancelled || o.Reason != order.ReasonSoldOut {
			t.Errorf("of 2000 fish the second 1200: %s %q", o.Status, o.Reason)
		}
		if o := apply(t, s, event(first, "cancelled"), true); o.Status != order.StatusCancelled || o.Reason != order.ReasonAsked {
			t.Errorf("cancelled: %s %q", o.Status, o.Reason)
		}
		apply(t, s, event(first, "cancelled"), false)
		if stock, lines := reserved(t, s, "fish"); stock != 0 || lines != 0 {
			t.Errorf("reserved %d in stock, %d in lines, want none", stock, lines)
		}
		third := place(t, s, "3", fish)
		apply(t, s, event(third, "placed"), true)
		apply(t, s, event(third, "preparing"), true)
		apply(t, s, event(third, "cancelled"), true)
		if stock, _ := reserved(t, s, "fish"); stock != 1200 {
			t.Errorf("reserved %d, want 1200: they are in the pan", stock)
		}
	})
}

// Every event twice, at once, from two processes: each order is accepted once, and of the day's stock as many are taken as
// there are. Orders name the items in different sequence, which would deadlock if they were locked so.
func TestConcurrentEventsTakeStockOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		stores := []*Store{migrated(t, source), open(t, source)}
		limit := `UPDATE menu_items SET stock = 100 WHERE id IN ('fish', 'soup')`
		if _, err := stores[0].db.exec(t.Context(), limit); err != nil {
			t.Fatal(err)
		}
		const n = 30
		var placed []order.Order
		for i := range n {
			lines := []order.Line{{Item: "fish", Quantity: 5}, {Item: "soup", Quantity: 5}}
			if i%2 == 1 {
				slices.Reverse(lines)
			}
			placed = append(placed, place(t, stores[0], fmt.Sprint("key-", i), lines...))
		}
		var mu sync.Mutex
		applied := 0
		var all sync.WaitGroup
		for i := range 2 * n {
			all.Go(func() {
				ok, err := stores[i%2].Apply(t.Context(), event(placed[i/2], "placed"))
				if err != nil {
					t.Errorf("event %d: %v", i, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					applied++
				}
			})
		}
		all.Wait()
		accepted := 0
		for _, o := range placed {
			if now, err := stores[0].Get(t.Context(), o.ID); err != nil {
				t.Error(err)
			} else if now.Status == order.StatusAccepted {
				accepted++
			}
		}
		stock, lines := reserved(t, stores[0], "fish")
		if applied != n || accepted != 20 || stock != 100 || lines != 100 {
			t.Errorf("%d applied, %d accepted, reserved %d and %d; want %d, 20, 100", applied, accepted, stock, lines, n)
		}
	})
}

func outboxOf(t *testing.T, s *Store) (events []string) {
	t.Helper()
	err := each(t.Context(), s.db, func(scan func(...any) error) error {
		var e order.Event
		err := scan(&e.Type, &e.OrderID)
		events = append(events, e.ID())
		return err
	}, `SELECT type, order_id FROM outbox ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestOrderAndEventAreWrittenTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		a, b := place(t, s, "a", order.Line{Item: "soup", Quantity: 1}), place(t, s, "b", order.Line{Item: "soup", Quantity: 1})
		if _, _, err := s.Place(t.Context(), "c", order.Draft{School: "nowhere", Date: "2099-12-01", Lines: []order.Line{{Item: "soup", Quantity: 1}}}); err == nil {
			t.Fatal("an order of no school was placed")
		}
		want := []string{event(a, "placed").ID(), event(b, "placed").ID()}
		if got := outboxOf(t, s); !slices.Equal(got, want) {
			t.Fatalf("outbox %v, want %v", got, want)
		}
		// The second cannot be sent: the first leaves, it stays.
		broken := errors.New("the queue is away")
		n, err := s.Publish(t.Context(), 10, func(_ context.Context, events []order.Event) ([]bool, error) {
			if len(events) != 2 || events[0] != event(a, "placed") {
				t.Errorf("to send: %v", events)
			}
			return []bool{true, false}, broken
		})
		if n != 1 || !errors.Is(err, broken) {
			t.Errorf("published %d, error %v", n, err)
		}
		if got := outboxOf(t, s); !slices.Equal(got, want[1:]) {
			t.Errorf("outbox %v, want %v", got, want[1:])
		}
		if events, oldest, err := s.Backlog(t.Context()); err != nil || events != 1 || !oldest.Equal(b.CreatedAt) {
			t.Errorf("backlog of %d since %s, error %v; want 1 since %s", events, oldest, err, b.CreatedAt)
		}
		all := func(_ context.Context, events []order.Event) ([]bool, error) {
			return []bool{true, true}[:len(events)], nil
		}
		if n, err := s.Publish(t.Context(), 10, all); n != 1 || err != nil {
			t.Errorf("published %d, error %v", n, err)
		}
		if n, err := s.Publish(t.Context(), 10, all); n != 0 || err != nil {
			t.Errorf("published %d of nothing, error %v", n, err)
		}
	})
}

// A queue that is slow takes up all the time there is: what it has by then is taken out all the same, or it would be sent for ever.
func TestWhatASlowQueueHasIsTakenOut(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		for _, key := range []string{"a", "b", "c"} {
			place(t, s, key, order.Line{Item: "soup", Quantity: 1})
		}
		left := outboxOf(t, s)[2:]
		ctx, cancel := context.WithCancel(t.Context())
		n, err := s.Publish(ctx, 10, func(ctx context.Context, _ []order.Event) ([]bool, error) {
			cancel()
			return []bool{true, true, false}, ctx.Err()
		})
		if n != 2 || !errors.Is(err, context.Canceled) {
			t.Errorf("published %d, error %v; want 2 and what send said", n, err)
		}
		if got := outboxOf(t, s); !slices.Equal(got, left) {
			t.Errorf("outbox %v, want %v", got, left)
		}
	})
}

// While one process publishes, the other ones find nothing to do: two at once would mix up a school's events.
func TestOneProcessPublishesAtATime(t *testing.T) {
	onPostgres(t, func(t *testing.T, source Source) {
		s, other := migrated(t, source), open(t, source)
		place(t, s, "a", order.Line{Item: "soup", Quantity: 1})
		never := func(context.Context, []order.Event) ([]bool, error) {
			t.Error("two publish at once")
			return nil, nil
		}
		_, err := s.Publish(t.Context(), 10, func(ctx context.Context, _ []order.Event) ([]bool, error) {
			if n, err := other.Publish(ctx, 10, never); n != 0 || err != nil {
				t.Errorf("the other one: %d, %v", n, err)
			}
			return []bool{false}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := other.Publish(t.Context(), 10, func(context.Context, []order.Event) ([]bool, error) { return []bool{true}, nil }); n != 1 || err != nil {
			t.Errorf("afterwards: %d, %v", n, err)
		}
	})
}

// An order of the release before, which runs beside this one during a rollout, gets its event, its prices and its stock; one
// for a day that is over is left alone.
func TestOrdersOfAnOlderReleaseAreTakenUp(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		write := func(id, date, item string) {
			t.Helper()
			if _, err := s.db.exec(t.Context(), `INSERT INTO orders (id, school, date, created_at) VALUES ($1, $2, $3, $4)`, id, "north", date, time.Now().UTC()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.db.exec(t.Context(), `INSERT INTO order_lines (order_id, position, item, quantity) VALUES ($1, 0, $2, 3)`, id, item); err != nil {
				t.Fatal(err)
			}
		}
		write("GOOD", "2099-12-01", "fish")
		write("BAD", "2099-12-02", "cake")
		write("OVER", "2020-12-01", "fish")
		mine := place(t, s, "key", order.Line{Item: "soup", Quantity: 1})
		for round, want := range []int{2, 0} {
			if n, err := s.TakeUp(t.Context(), "2026-01-01", 10); n != want || err != nil {
				t.Errorf("round %d: %d taken up, error %v, want %d", round, n, err, want)
			}
		}
		want := []string{event(mine, "placed").ID(), "GOOD.order.placed", "BAD.order.placed"}
		if got := outboxOf(t, s); !slices.Equal(got, want) {
			t.Fatalf("outbox %v, want %v", got, want)
		}
		good := apply(t, s, order.Event{Type: order.EventPlaced, OrderID: "GOOD"}, true)
		if good.Status != order.StatusAccepted || good.Total == nil || good.Total.Amount != 3*520 || *good.Lines[0].UnitPrice != 520 {
			t.Errorf("%+v", good)
		}
		if stock, lines := reserved(t, s, "fish"); stock != 3 || lines != 3 {
			t.Errorf("reserved %d in stock, %d in lines, want 3", stock, lines)
		}
		if bad := apply(t, s, order.Event{Type: order.EventPlaced, OrderID: "BAD"}, true); bad.Status != order.StatusCancelled || bad.Reason != order.ReasonNotOnMenu {
			t.Errorf("%+v", bad)
		}
	})
}
