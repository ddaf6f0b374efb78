package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

func TestUpIsIdempotent(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		needed, err := source.Needed()
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, source)
		err = s.CheckSchema(t.Context())
		if old, ok := errors.AsType[*SchemaError](err); !ok || old.Have != 0 || old.Need != needed {
			t.Fatalf("empty database: %v", err)
		}
		if !strings.Contains(err.Error(), "worker migrate") {
			t.Errorf("%q does not say what to do", err)
		}
		first, err := source.Up(t.Context())
		if err != nil || int64(len(first)) != needed {
			t.Fatalf("first Up: %d applied, error %v", len(first), err)
		}
		if again, err := source.Up(t.Context()); err != nil || len(again) != 0 {
			t.Errorf("second Up: applied %v, error %v", again, err)
		}
		if err := s.CheckSchema(t.Context()); err != nil {
			t.Errorf("after Up: %v", err)
		}
	})
}

// Looking must not change anything: a role that may only read has to be able to serve.
func TestStatusCreatesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		for range 2 {
			all, err := source.Status(t.Context())
			if err != nil || len(all) == 0 {
				t.Fatalf("Status = %v, error %v", all, err)
			}
			for _, m := range all {
				if m.Applied {
					t.Errorf("%s applied in an empty database", m.Name)
				}
			}
		}
		if source.path != "" {
			if left, _ := filepath.Glob(filepath.Dir(source.path) + "/*"); len(left) > 0 {
				t.Errorf("Status left %v", left)
			}
		}
	})
}

func TestConcurrentUpAppliesEachMigrationOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		var mu sync.Mutex
		applied := map[int64]int{}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				done, err := source.Up(t.Context())
				if err != nil {
					t.Errorf("Up beside others: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, m := range done {
					applied[m.Version]++
				}
			})
		}
		all.Wait()
		if diff := cmp.Diff(map[int64]int{1: 1, 2: 1, 3: 1, 4: 1}, applied); diff != "" {
			t.Errorf("times applied (-want +got):\n%s", diff)
		}
	})
}

// upTo brings a database to what an older release left.
func upTo(t *testing.T, source Source, version int64) {
	t.Helper()
	db, err := source.openForMigration()
	if err != nil {
		t.Fatal(err)
	}
	folder, err := source.folder()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(source.dialect, db, folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOlderSchemaIsRefusedThenExpanded(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		upTo(t, source, 1)
		s := open(t, source)
		err := s.CheckSchema(t.Context())
		if diff := cmp.Diff(&SchemaError{Have: 1, Need: 4}, err); diff != "" {
			t.Fatalf("version 1 (-want +got):\n%s", diff)
		}
		const byOldRelease = `INSERT INTO orders (id, school, date, created_at) VALUES ($1, 'north', '2026-12-01', $2)`
		at := time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC)
		if _, err := s.db.exec(t.Context(), byOldRelease, "OLD1", at); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.exec(t.Context(), byOldRelease, "OLD2", at); err != nil {
			t.Errorf("the old release cannot write beside the new schema: %v", err)
		}
		want := order.Order{ID: "OLD1", CreatedAt: at, School: "north", Date: "2026-12-01", Lines: []order.PricedLine{}, Status: order.StatusPlaced}
		got, err := s.Get(t.Context(), "OLD1")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("an order of the old release: error %v, (-want +got):\n%s", err, diff)
		}
	})
}

// A program that was rolled back meets the schema of its successor.
func TestNewerSchemaServes(t *testing.T) {
	onBoth(t, func(t *testing.T, source Source) {
		s := migrated(t, source)
		if _, err := s.db.exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)`); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckSchema(t.Context()); err != nil {
			t.Errorf("CheckSchema: %v", err)
		}
		if applied, err := source.Up(t.Context()); err != nil || len(applied) != 0 {
			t.Errorf("Up: applied %v, error %v", applied, err)
		}
	})
}

// A table in use must not have every request queue behind the migration: it gives up, tells which step, leaves the
// schema as it was, and succeeds later.
func TestMigrationGivesUpOnALockedTable(t *testing.T) {
	source := Postgres(pgtest.URL(t))
	upTo(t, source, 1)
	s := open(t, source)
	tx, err := s.db.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// SHARE ROW EXCLUSIVE is what CREATE TABLE … REFERENCES orders needs; a reader's transaction does not conflict with
	// it, a writer's does.
	if _, err := tx.exec(t.Context(), `LOCK TABLE orders IN ROW EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	// The session's own rule against idle transactions (10 s) would end the lock; the migration must be faster.
	start := time.Now()
	applied, err := source.Up(t.Context())
	if err == nil || len(applied) != 0 || !strings.Contains(err.Error(), "00002_lines_and_idempotency.sql") ||
		!strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("Up beside a writer: applied %v, error %v", applied, err)
	}
	if took := time.Since(start); took < lockTimeout {
		t.Errorf("gave up after %s, lock_timeout is %s", took, lockTimeout)
	}
	if diff := cmp.Diff(&SchemaError{Have: 1, Need: 4}, open(t, source).CheckSchema(t.Context())); diff != "" {
		t.Errorf("schema after the failure (-want +got):\n%s", diff)
	}
	tx.rollback(t.Context())
	if applied, err := source.Up(t.Context()); err != nil || len(applied) != 3 {
		t.Errorf("Up afterwards: applied %v, error %v", applied, err)
	}
}

func TestSQLiteMigrationWaitsForTheLock(t *testing.T) {
	source := SQLite(filepath.Join(t.TempDir(), "orders.db"))
	unlock, err := lockSQLite(t.Context(), source.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := source.Up(ctx); err == nil || !strings.Contains(err.Error(), "for migration") {
		t.Errorf("Up beside another: %v", err)
	}
	unlock()
	if applied, err := source.Up(t.Context()); err != nil || len(applied) != 4 {
		t.Errorf("Up afterwards: applied %v, error %v", applied, err)
	}
}

func TestBothDialectsHaveTheSameMigrations(t *testing.T) {
	lite, errLite := SQLite("").embedded()
	pg, errPg := Postgres("").embedded()
	if diff := cmp.Diff(lite, pg); errLite != nil || errPg != nil || diff != "" {
		t.Errorf("errors %v, %v; (-sqlite +postgres):\n%s", errLite, errPg, diff)
	}
}

func TestPostgresMigrationWaitsForTheSessionLock(t *testing.T) {
	source := Postgres(pgtest.URL(t))
	other, err := pgx.Connect(t.Context(), source.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if applied, err := source.Up(ctx); !errors.Is(err, context.DeadlineExceeded) || len(applied) != 0 {
		t.Errorf("Up beside another: applied %v, error %v", applied, err)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatalf("end the other session: %v", err)
	}
	if applied, err := source.Up(t.Context()); err != nil || len(applied) != 4 {
		t.Errorf("Up afterwards: applied %v, error %v", applied, err)
	}
}
