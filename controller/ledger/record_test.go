package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// Whatever bytes a record is, decoding ends in a record of this schema and service, or in a terminal error; and what
// was decoded means the same when it is written and read once more.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":1,"service":"orders","version":3,"state":"settled","why":"Runs."}`))
	f.Add([]byte(`{"schema":2,"service":"orders","state":7}`))
	f.Add([]byte(`{"schema":1,"service":"orders","rollout":{"number":1,"stage":"migrate","migration":{"lock":"db"}}}`))
	f.Add([]byte(`{"schema":1,"service":"orders","intent":{"service":{"spec":{"verify":{"bake":"2m","logs":{}}}}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := Decode(data, "orders")
		if err != nil {
			if !fault.Is(err, fault.Terminal) {
				t.Errorf("%v is not terminal", err)
			}
			return
		}
		if rec.Schema > rollout.Schema || rec.Service != "orders" {
			t.Errorf("schema %d of %q", rec.Schema, rec.Service)
		}
		once, err := json.Marshal(rec)
		if err != nil {
			return // such as a time in the year 10000: it cannot be saved, so it is never stored
		}
		again, err := Decode(once, "orders")
		if err != nil {
			t.Fatalf("%v after it was written", err)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(once) {
			t.Errorf("%v\n%s\n%s", err, once, twice)
		}
	})
}

// A disk that is full refuses the save and says so; what was saved before stays, and saving goes on when there is room.
func TestAFullDiskIsToldAndOutlived(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deploy.db")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rec := rollout.Record{Schema: rollout.Schema, Service: "orders", Why: "small"}
	if rec, err = f.Save(t.Context(), rec, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f.db.MaxSize = int(info.Size())
	large := rec
	large.Why = strings.Repeat("x", int(info.Size()))
	_, err = f.Save(t.Context(), large, []rollout.Entry{{Number: 1}})
	if !errors.Is(err, bolterrors.ErrMaxSizeReached) || fault.KindOf(err) != fault.Unknown || !strings.Contains(err.Error(), "save the record of orders in "+path) {
		t.Errorf("error is %v", err)
	}
	if got, err := f.Load(t.Context(), "orders"); err != nil || got.Why != "small" || got.Version != 1 {
		t.Errorf("%q, version %d, %v", got.Why, got.Version, err)
	}
	f.db.MaxSize = 0
	if _, err = f.Save(t.Context(), large, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func BenchmarkSave(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "deploy.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	rec := rollout.Record{Schema: rollout.Schema, Service: "orders", Why: strings.Repeat("because ", 200)}
	for b.Loop() {
		if rec, err = f.Save(b.Context(), rec, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "deploy.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const services = 100
	for i := range services {
		if _, err := f.Save(b.Context(), rollout.Record{Schema: rollout.Schema, Service: fmt.Sprint(i), Why: strings.Repeat("because ", 200)}, nil); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		if rec, err := f.Load(b.Context(), fmt.Sprint(i%services)); err != nil || rec.Version != 1 {
			b.Fatal(rec.Version, err)
		}
	}
}
