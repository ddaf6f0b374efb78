package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// onBoth runs a test on an empty SQLite file and on an empty PostgreSQL database.
func onBoth(t *testing.T, test func(*testing.T, Source)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, SQLite(filepath.Join(t.TempDir(), "o?r#d%20ers.db"))) // nothing in a path is special to us
	})
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(pgtest.URL(t))) })
}

func onPostgres(t *testing.T, test func(*testing.T, Source)) { test(t, Postgres(pgtest.URL(t))) }

func open(t *testing.T, source Source) *Store {
	t.Helper()
	s, err := Open(source, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func migrated(t *testing.T, source Source) *Store {
	t.Helper()
	if _, err := source.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return open(t, source)
}

func draft(quantity int) order.Draft {
	return order.Draft{School: "north", Date: "2099-12-01",
		Lines: []order.Line{{Item: "lentil-soup", Quantity: quantity}, {Item: "bread", Quantity: 2 * quantity}}}
}

func draftOf(o order.Order) order.Draft {
	d := order.Draft{School: o.School, Date: o.Date}
	for _, l := range o.Lines {
		d.Lines = append(d.Lines, l.Line)
	}
	return d
}

func TestPlaceAndGet(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		before := time.Now().Add(-time.Second)
		placed, created, err := s.Place(t.Context(), "key", draft(3))
		if err != nil || !created {
			t.Fatalf("Place = created %v, error %v", created, err)
		}
		if !order.ValidID(placed.ID) {
			t.Errorf("id %q is not a valid one", placed.ID)
		}
		if placed.CreatedAt.Before(before) || placed.CreatedAt.After(time.Now()) {
			t.Errorf("created at %s, now is %s", placed.CreatedAt, time.Now())
		}
		got, err := s.Get(t.Context(), placed.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(placed, got); diff != "" {
			t.Errorf("Get differs from Place (-placed +got):\n%s", diff)
		}
		again, created, err := s.Place(t.Context(), "key", draft(3))
		if diff := cmp.Diff(placed, again); err != nil || created || diff != "" {
			t.Errorf("repeat: created %v, error %v, diff:\n%s", created, err, diff)
		}
		if _, _, err := s.Place(t.Context(), "key", draft(4)); !errors.Is(err, order.ErrKeyReused) {
			t.Errorf("same key, other draft: %v", err)
		}
		if _, err := s.Get(t.Context(), "NOTHERE"); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("unknown id: %v", err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	})
}

// However many clients, processes (two stores here) and retries meet, a key makes one order.
func TestConcurrentRepeatsMakeOneOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		stores := []*Store{migrated(t, source), open(t, source)}
		const clients, keys = 24, 3
		var mu sync.Mutex
		ids, creations := map[string]map[string]bool{}, map[string]int{}
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				key := fmt.Sprint("key-", i%keys)
				placed, created, err := stores[i%len(stores)].Place(t.Context(), key, draft(1+i%keys))
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if ids[key] == nil {
					ids[key] = map[string]bool{}
				}
				ids[key][placed.ID] = true
				if created {
					creations[key]++
				}
			})
		}
		all.Wait()
		for key, seen := range ids {
			if len(seen) != 1 || creations[key] != 1 {
				t.Errorf("%s: %d orders, created %d times", key, len(seen), creations[key])
			}
		}
		var rows int
		if _, err := one(t.Context(), stores[0].db, []any{&rows}, `SELECT COUNT(*) FROM orders`); err != nil || rows != keys {
			t.Errorf("%d orders in the table (error %v), want %d", rows, err, keys)
		}
	})
}

// Against the simplest store there could be: a map from key to order.
func TestStoreBehavesLikeAMap(t *testing.T) {
	s := migrated(t, SQLite(filepath.Join(t.TempDir(), "orders.db")))
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		model := map[string]order.Order{}
		for step := range rapid.IntRange(1, 12).Draw(r, "steps") {
			key := fmt.Sprintf("%d-%d", run, rapid.IntRange(0, 3).Draw(r, "key"))
			want := draft(rapid.IntRange(1, 3).Draw(r, "quantity"))
			got, created, err := s.Place(context.Background(), key, want)
			known, repeat := model[key]
			switch {
			case !repeat:
				if err != nil || !created || !reflect.DeepEqual(draftOf(got), want) {
					r.Fatalf("step %d: new key: %+v, created %v, error %v", step, got, created, err)
				}
				model[key] = got
			case reflect.DeepEqual(draftOf(known), want):
				if err != nil || created || !reflect.DeepEqual(got, known) {
					r.Fatalf("step %d: repeat: %+v, created %v, error %v, want %+v", step, got, created, err, known)
				}
			case !errors.Is(err, order.ErrKeyReused):
				r.Fatalf("step %d: other draft: error %v", step, err)
			}
		}
		for key, want := range model {
			if got, err := s.Get(context.Background(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
				r.Fatalf("order of %s: %+v, error %v, want %+v", key, got, err, want)
			}
		}
	})
}

// A request that is cut off leaves nothing behind: its key is still free.
func TestCancelledPlaceLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.Place(ctx, "key", draft(1)); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled Place: %v", err)
		}
		if _, created, err := s.Place(t.Context(), "key", draft(2)); err != nil || !created {
			t.Errorf("the key is taken: created %v, error %v", created, err)
		}
	})
}

func TestDatabaseThatStopsAndComesBack(t *testing.T) {
	server := pgtest.Start(t)
	s := migrated(t, Postgres(server.URL))
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if err := s.Ping(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Ping of a stopped server: %v", err)
	}
	if _, _, err := s.Place(t.Context(), "key", draft(1)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Place on a stopped server: %v", err)
	}
	if err := s.CheckSchema(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("CheckSchema of a stopped server: %v", err)
	}
	server.Resume()
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping of a server that came back: %v", err)
	}
	if _, created, err := s.Place(t.Context(), "key", draft(1)); err != nil || !created {
		t.Errorf("Place on a server that came back: created %v, error %v", created, err)
	}
}

func TestSQLiteWriterThatHoldsTheFileTooLong(t *testing.T) {
	source := SQLite(filepath.Join(t.TempDir(), "orders.db"))
	s := migrated(t, source)
	tx, err := open(t, source).db.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := s.Place(ctx, "key", draft(1)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Place beside a long write: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a reader must not wait for a writer: %v", err)
	}
	tx.rollback(t.Context())
	if _, created, err := s.Place(t.Context(), "key", draft(1)); err != nil || !created {
		t.Errorf("afterwards: created %v, error %v", created, err)
	}
}

// A health check must not wait behind requests: a busy task would be killed for it.
func TestPingDoesNotWaitForAConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		for range s.Stats().Max {
			busy, err := s.db.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer busy.rollback(t.Context())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Ping(ctx); err != nil {
			t.Errorf("Ping beside %d busy connections: %v", s.Stats().InUse, err)
		}
	})
}
