package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

func open(t testing.TB, path string) *ledger.File {
	t.Helper()
	f, err := ledger.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func fresh(t testing.TB) *ledger.File { return open(t, filepath.Join(t.TempDir(), "deploy.db")) }

func save(t testing.TB, f *ledger.File, rec rollout.Record, history ...rollout.Entry) rollout.Record {
	t.Helper()
	saved, err := f.Save(t.Context(), rec, history)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// locked is a record that holds a migration lock.
func locked(rec rollout.Record, lock string) rollout.Record {
	rec.Rollout = nil
	if lock != "" {
		rec.Rollout = &rollout.Rollout{Stage: rollout.StageMigrate, Migration: &rollout.Migration{Lock: lock}}
	}
	return rec
}

func record(service string) rollout.Record {
	return rollout.Record{Schema: rollout.Schema, Service: service}
}

func refused(t testing.TB, err error, kind fault.Kind, code, text string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%v (%s, %s); want %q (%s, %s)", err, fault.KindOf(err), fault.CodeOf(err), text, kind, code)
	}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deploy.db")
	f, err := ledger.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := f.Load(t.Context(), "orders"); err != nil || !cmp.Equal(rec, rollout.Record{}) {
		t.Errorf("%+v, %v of a service that nobody saved", rec, err)
	}
	rec := locked(record("orders"), "order-db")
	rec.Generation, rec.Why, rec.Since = 7, "rolls <b> & more", time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	rec.Pins = map[string]string{"1a2b3c4": "sha256:00"}
	saved := save(t, f, rec)
	rec.Version = 1
	if diff := cmp.Diff(rec, saved); diff != "" {
		t.Error(diff)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	loaded, err := f.Load(t.Context(), "orders")
	if diff := cmp.Diff(saved, loaded); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if holder, err := f.LockHolder(t.Context(), "order-db"); holder != "orders" || err != nil {
		t.Errorf("the lock is held by %q, %v", holder, err)
	}
	save(t, f, record("billing"))
	if names, err := f.Services(t.Context()); err != nil || !cmp.Equal(names, []string{"billing", "orders"}) {
		t.Errorf("services %v, %v", names, err)
	}
}

func TestTheEnvironmentIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deploy.db")
	f := open(t, path)
	if env, err := f.Environment(t.Context()); env != nil || err != nil {
		t.Errorf("a fresh ledger has %v, %v", env, err)
	}
	for _, account := range []string{"111111111111", "222222222222"} {
		env := &desired.Environment{Metadata: desired.Metadata{Name: "dev"}, Spec: desired.EnvironmentSpec{Account: account}}
		if err := f.KeepEnvironment(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Environment(t.Context()); err != nil || got.Spec.Account != account {
			t.Errorf("kept %s, got %+v, %v", account, got, err)
		}
	}
}

func TestSaveIsACompareAndSwap(t *testing.T) {
	f := fresh(t)
	first := save(t, f, record("orders"))
	save(t, f, first)
	for _, version := range []uint64{0, 1, 3} {
		rec := locked(record("orders"), "order-db")
		rec.Version = version
		_, err := f.Save(t.Context(), rec, []rollout.Entry{{Service: "orders"}})
		refused(t, err, fault.Conflict, ledger.CodeVersion, fmt.Sprintf("builds on version %d and the stored one is 2", version))
	}
	if holder, _ := f.LockHolder(t.Context(), "order-db"); holder != "" {
		t.Error("a save that was refused took a lock")
	}
	if entries, _ := f.History(t.Context(), "orders", 0); len(entries) != 0 {
		t.Error("a save that was refused wrote history")
	}
}

// Of many that save at once, each version is won by exactly one.
func TestOneWinsEachVersion(t *testing.T) {
	f := fresh(t)
	const writers, rounds = 8, 10
	var won atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range rounds {
				rec, err := f.Load(t.Context(), "orders")
				if err != nil {
					t.Error(err)
					return
				}
				rec.Service = "orders"
				rec.Generation++
				switch _, err := f.Save(t.Context(), rec, []rollout.Entry{{Number: rec.Generation}}); {
				case err == nil:
					won.Add(1)
				case fault.CodeOf(err) != ledger.CodeVersion:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	rec, err := f.Load(t.Context(), "orders")
	if n := won.Load(); err != nil || rec.Version != uint64(n) || rec.Generation != int(n) || n < rounds {
		t.Errorf("%d saves won, version %d, generation %d, %v", n, rec.Version, rec.Generation, err)
	}
	entries, err := f.History(t.Context(), "orders", 0)
	if err != nil || len(entries) != min(int(won.Load()), 200) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.Number != rec.Generation-i {
			t.Fatalf("entry %d is number %d", i, e.Number)
		}
	}
}

func TestLocks(t *testing.T) {
	f := fresh(t)
	holds := func(lock, want string) {
		t.Helper()
		if got, err := f.LockHolder(t.Context(), lock); got != want || err != nil {
			t.Errorf("%s is held by %q, %v; want %q", lock, got, err, want)
		}
	}
	orders := save(t, f, locked(record("orders"), "db"))
	holds("db", "orders")
	_, err := f.Save(t.Context(), locked(record("billing"), "db"), nil)
	refused(t, err, fault.Conflict, ledger.CodeLockHeld, "migration lock db is held by orders")
	billing := save(t, f, locked(record("billing"), "other"))
	_, err = f.Save(t.Context(), locked(billing, "db"), nil)
	refused(t, err, fault.Conflict, ledger.CodeLockHeld, "migration lock db is held by orders")
	holds("other", "billing") // a save that was refused releases nothing
	orders = save(t, f, locked(orders, "db"))
	holds("db", "orders")
	orders = save(t, f, locked(orders, "new"))
	holds("db", "")
	holds("new", "orders")
	save(t, f, locked(billing, "db"))
	holds("other", "")
	holds("db", "billing")
	save(t, f, locked(orders, ""))
	holds("new", "")
	holds("db", "billing")
}

// However services come and go: a lock has at most one holder, and that is the service whose record says so.
func TestLocksFollowTheRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "ledger")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		f, err := ledger.Open(filepath.Join(dir, "deploy.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ctx, holders := context.Background(), map[string]string{}
		services, locks := rapid.SampledFrom([]string{"a", "b", "c"}), []string{"", "x", "y"}
		for range rapid.IntRange(1, 15).Draw(t, "saves") {
			service, lock := services.Draw(t, "service"), rapid.SampledFrom(locks).Draw(t, "lock")
			rec, err := f.Load(ctx, service)
			if err != nil {
				t.Fatal(err)
			}
			rec.Service = service
			_, err = f.Save(ctx, locked(rec, lock), nil)
			if holder := holders[lock]; lock != "" && holder != "" && holder != service {
				if fault.CodeOf(err) != ledger.CodeLockHeld {
					t.Fatalf("%s took %s from %s: %v", service, lock, holder, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for l, holder := range holders {
				if holder == service {
					delete(holders, l)
				}
			}
			if lock != "" {
				holders[lock] = service
			}
			for _, l := range locks[1:] {
				if got, err := f.LockHolder(ctx, l); err != nil || got != holders[l] {
					t.Fatalf("%s is held by %q, %v; want %q", l, got, err, holders[l])
				}
			}
		}
	})
}

func TestHistoryIsBoundedForEachService(t *testing.T) {
	f := fresh(t)
	save(t, f, record("billing"), rollout.Entry{Service: "billing", Number: 1})
	rec := record("orders")
	for i := range 21 {
		var entries []rollout.Entry
		for j := range 10 {
			entries = append(entries, rollout.Entry{Service: "orders", Number: 10*i + j + 1})
		}
		rec = save(t, f, rec, entries...)
	}
	numbers := func(entries []rollout.Entry, err error) (out []int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, e.Number)
		}
		return out
	}
	all := numbers(f.History(t.Context(), "orders", 0))
	if len(all) != 200 || all[0] != 210 || all[199] != 11 {
		t.Errorf("%d entries: %v", len(all), all)
	}
	if got := numbers(f.History(t.Context(), "orders", 3)); !cmp.Equal(got, []int{210, 209, 208}) {
		t.Errorf("the newest three are %v", got)
	}
	if got := numbers(f.History(t.Context(), "nobody", 3)); len(got) != 0 {
		t.Errorf("%v of a service that does not exist", got)
	}
	save(t, f, record("mail"), rollout.Entry{Service: "mail", Number: 9})
	if got := numbers(f.HistoryAll(t.Context(), 2)); !cmp.Equal(got, []int{9, 210}) {
		t.Errorf("the newest two of all are %v", got)
	}
	if got := numbers(f.HistoryAll(t.Context(), 0)); len(got) != 202 || got[201] != 1 {
		t.Errorf("%d of all: %v", len(got), got)
	}
}

func TestARecordOfANewerControllerIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deploy.db")
	f := open(t, path)
	save(t, f, record("orders"))
	save(t, f, record("billing"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	newer := `{"schema":2,"service":"orders","version":1,"state":{"unknown":"shape"}}`
	write(t, path, "records", map[string]string{"orders": newer})
	f = open(t, path)
	const text = "schema 2 and this controller knows up to 1"
	_, err := f.Load(t.Context(), "orders")
	refused(t, err, fault.Terminal, ledger.CodeSchema, text)
	rec := record("orders")
	rec.Version = 1
	_, err = f.Save(t.Context(), rec, nil)
	refused(t, err, fault.Terminal, ledger.CodeSchema, text)
	rec.Schema = 2
	_, err = f.Save(t.Context(), rec, nil)
	refused(t, err, fault.Terminal, ledger.CodeSchema, text)
	if _, err := f.Load(t.Context(), "billing"); err != nil {
		t.Errorf("another service's record: %v", err)
	}
}

func TestARecordThatCannotBeReadIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deploy.db")
	f := open(t, path)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, path, "records", map[string]string{"cut": `{"schema":1,"serv`, "odd": `{"schema":1,"service":"odd","version":"x"}`, "moved": `{"schema":1,"service":"orders"}`})
	f = open(t, path)
	for service, text := range map[string]string{"cut": "is not a record", "odd": "is not a record", "moved": `is the record of "orders"`} {
		_, err := f.Load(t.Context(), service)
		refused(t, err, fault.Terminal, ledger.CodeDamaged, text)
	}
	_, err := f.Save(t.Context(), rollout.Record{}, nil)
	refused(t, err, fault.Terminal, ledger.CodeDamaged, "names no service")
}

// write puts values into a bucket behind the ledger's back.
func write(t *testing.T, path, bucket string, values map[string]string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		for k, v := range values {
			err = errors.Join(err, b.Put([]byte(k), []byte(v)))
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	held := filepath.Join(dir, "held.db")
	f := open(t, held)
	rec := record("orders")
	rec.Why = strings.Repeat("long ", 20_000)
	save(t, f, rec)
	copied, err := os.ReadFile(held)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer, foreign := filepath.Join(dir, "newer.db"), filepath.Join(dir, "foreign.db")
	write(t, newer, "meta", map[string]string{"schema": "2"})
	write(t, foreign, "somebody's", map[string]string{"a": "b"})
	tests := []struct {
		name, path, code, text string
		kind                   fault.Kind
	}{
		{"held", held, ledger.CodeInUse, "another controller holds " + held, fault.Blocked},
		{"newer", newer, ledger.CodeSchema, "schema 2 and this controller knows up to 1", fault.Terminal},
		{"another program's", foreign, ledger.CodeDamaged, "another program", fault.Terminal},
		{"text", file("text", []byte(strings.Repeat("not a database\n", 2000))), ledger.CodeDamaged, "not a ledger", fault.Terminal},
		{"cut", file("cut", copied[:len(copied)/4]), ledger.CodeDamaged, "damaged", fault.Terminal},
		{"cut in its head", file("head", copied[:1000]), ledger.CodeDamaged, "damaged", fault.Terminal},
		{"folder", dir, "", "is not a regular file", fault.Unknown},
		{"no folder", filepath.Join(dir, "none", "x.db"), "", "no such file", fault.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ledger.Open(tt.path)
			refused(t, err, tt.kind, tt.code, tt.text)
			if !strings.Contains(fmt.Sprint(err), tt.path) {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
	if f, err := ledger.Open(file("copy", copied)); err != nil {
		t.Errorf("a whole copy: %v", err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
	empty, err := ledger.Open(file("empty", nil))
	if err != nil {
		t.Fatalf("an empty file: %v", err)
	}
	if err := empty.Close(); err != nil {
		t.Error(err)
	}
	_, err = empty.Load(t.Context(), "orders")
	refused(t, err, fault.Unknown, "", "not open")
}

func TestAFileThatCannotBeWrittenIsTold(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write to every file")
	}
	path := filepath.Join(t.TempDir(), "deploy.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	_, err := ledger.Open(path)
	refused(t, err, fault.Unknown, "", "permission denied")
}

func TestAContextThatEndedStopsTheCall(t *testing.T) {
	f := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Load(ctx, "orders")
	_, err2 := f.Save(ctx, record("orders"), nil)
	if !errors.Is(err, context.Canceled) || !errors.Is(err2, context.Canceled) {
		t.Errorf("%v, %v", err, err2)
	}
	if rec, _ := f.Load(t.Context(), "orders"); rec.Version != 0 {
		t.Error("saved after its context ended")
	}
}
