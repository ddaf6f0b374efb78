package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/outbox"
	"github.com/canteen/deploy/worker/store"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

func opened(t *testing.T) *store.Store {
	t.Helper()
	source := store.SQLite(filepath.Join(t.TempDir(), "orders.db"))
	if _, err := source.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(source, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func place(t *testing.T, s *store.Store, n int) (ids []string) {
	t.Helper()
	for i := range n {
		o, _, err := s.Place(t.Context(), fmt.Sprint("key-", i), order.Draft{School: "north", Date: "2099-12-01", Lines: []order.Line{{Item: "soup", Quantity: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, o.ID)
	}
	return ids
}

func run(t *testing.T, r *outbox.Relay) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	return func() { cancel(); <-ended }
}

func await(t *testing.T, what string, there func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !there(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}

// Without a queue the service accepts its orders itself, more than one round of them.
func TestDirectAcceptsEveryOrder(t *testing.T) {
	s := opened(t)
	ids := place(t, s, 230)
	r := outbox.New(s, outbox.Direct(s.Apply, zap.NewNop()), zap.NewNop(), prometheus.NewRegistry())
	defer run(t, r)()
	await(t, "an empty outbox", func() bool { n, _, err := s.Backlog(t.Context()); return err == nil && n == 0 })
	for _, id := range ids {
		if o, err := s.Get(t.Context(), id); err != nil || o.Status != order.StatusAccepted {
			t.Fatalf("%s is %s, error %v", id, o.Status, err)
		}
	}
}

// A queue so slow that no round gets all of its events out is given each of them once.
func TestASlowQueueGetsEachEventOnce(t *testing.T) {
	s := opened(t)
	place(t, s, 150)
	var sends atomic.Int64
	slow := func(ctx context.Context, events []order.Event) ([]bool, error) {
		done := make([]bool, len(events))
		for i := range events {
			select {
			case <-ctx.Done():
				return done, ctx.Err()
			case <-time.After(40 * time.Millisecond):
			}
			sends.Add(1)
			done[i] = true
		}
		return done, nil
	}
	defer run(t, outbox.New(s, slow, zap.NewNop(), prometheus.NewRegistry()))()
	await(t, "an empty outbox", func() bool { n, _, err := s.Backlog(t.Context()); return err == nil && n == 0 })
	if n := sends.Load(); n != 150 {
		t.Errorf("150 events were sent %d times", n)
	}
}

// A queue that is away costs nothing but time: the events stay, in their order, and leave once it is back. A stop sends what
// was written until then.
func TestEventsWaitForTheQueueInTheirOrder(t *testing.T) {
	s := opened(t)
	var mu sync.Mutex
	away, sent := true, []string(nil)
	send := func(_ context.Context, events []order.Event) ([]bool, error) {
		mu.Lock()
		defer mu.Unlock()
		done := make([]bool, len(events))
		if away {
			return done, errors.New("no queue")
		}
		for i, e := range events {
			sent, done[i] = append(sent, e.OrderID), true
		}
		return done, nil
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(sent) }
	r := outbox.New(s, send, zap.NewNop(), prometheus.NewRegistry())
	stop := run(t, r)
	ids := place(t, s, 5)
	r.Wake()
	time.Sleep(300 * time.Millisecond)
	if n, _, err := s.Backlog(t.Context()); err != nil || n != 5 || count() != 0 {
		t.Errorf("%d events wait, %d sent, error %v, while the queue is away", n, count(), err)
	}
	mu.Lock()
	away = false
	mu.Unlock()
	await(t, "the events", func() bool { return count() == 5 })
	if fmt.Sprint(sent) != fmt.Sprint(ids) {
		t.Errorf("sent %v, want %v", sent, ids)
	}
	stop()
	late, _, err := s.Place(t.Context(), "late", order.Draft{School: "north", Date: "2099-12-01", Lines: []order.Line{{Item: "soup", Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ended)
	if count() != 6 || sent[5] != late.ID {
		t.Errorf("the last round sent %v", sent[5:])
	}
}
