package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/conformance"
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

func save(t testing.TB, f *ledger.File, rec rollout.Record, history ...rollout.Entry) rollout.Record {
	t.Helper()
	saved, err := f.Save(t.Context(), rec, history)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// place is the path of a ledger.
type place string

func (p place) Open() (conformance.Ledger, error) { return ledger.Open(string(p)) }

// Plant puts the text into the place of a record that was saved.
func (p place) Plant(service, record string) error {
	f, err := ledger.Open(string(p))
	if err != nil {
		return err
	}
	rec, err := f.Load(context.Background(), service)
	if err == nil && rec.Version == 0 {
		_, err = f.Save(context.Background(), conformance.Record(service), nil)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return put(string(p), "records", map[string]string{service: record})
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t testing.TB) conformance.Place { return place(filepath.Join(t.TempDir(), "deploy.db")) })
}

func TestHistoryOfAllIsInTheOrderOfTheSaves(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "deploy.db"))
	save(t, f, conformance.Record("billing"), rollout.Entry{Service: "billing", Number: 1})
	rec := conformance.Record("orders")
	for i := range 201 {
		rec = save(t, f, rec, rollout.Entry{Service: "orders", Number: i + 1})
	}
	save(t, f, conformance.Record("mail"), rollout.Entry{Service: "mail", Number: 9})
	numbers := func(limit int) (out []int) {
		t.Helper()
		entries, err := f.HistoryAll(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, e.Number)
		}
		return out
	}
	if got := numbers(2); !cmp.Equal(got, []int{9, 201}) {
		t.Errorf("the newest two of all are %v", got)
	}
	if got := numbers(0); len(got) != 202 || got[201] != 1 || got[200] != 2 {
		t.Errorf("%d of all: %v", len(got), got)
	}
}

// write puts values into a bucket behind the ledger's back.
func write(t *testing.T, path, bucket string, values map[string]string) {
	t.Helper()
	if err := put(path, bucket, values); err != nil {
		t.Fatal(err)
	}
}

func put(path, bucket string, values map[string]string) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		for k, v := range values {
			err = errors.Join(err, b.Put([]byte(k), []byte(v)))
		}
		return err
	})
	return errors.Join(err, db.Close())
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	held := filepath.Join(dir, "held.db")
	f := open(t, held)
	rec := conformance.Record("orders")
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
			conformance.Refused(t, err, tt.kind, tt.code, tt.text)
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
	conformance.Refused(t, err, fault.Unknown, "", "not open")
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
	conformance.Refused(t, err, fault.Unknown, "", "permission denied")
}
