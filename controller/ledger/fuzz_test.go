package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// written is the file of a ledger that has been used: services in several pages, a lock, a history, an environment.
func written(f testing.TB) []byte {
	path := filepath.Join(f.TempDir(), "deploy.db")
	l, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	l.db.NoSync = true // only the time on the disk is saved
	ctx := context.Background()
	for i := range services {
		rec := rollout.Record{Schema: rollout.Schema, Service: name(i), Why: strings.Repeat("because ", 40*i)}
		if i == 1 {
			rec.Lost = &rollout.Lost{Key: "k", Lock: "db"}
		}
		for range 2 {
			if rec, err = l.Save(ctx, rec, []rollout.Entry{{Service: rec.Service, Number: 1}}); err != nil {
				f.Fatal(err)
			}
		}
	}
	for range 2 { // where the newest transaction's head is damaged, the one before it counts
		if err := l.KeepEnvironment(ctx, &desired.Environment{Spec: desired.EnvironmentSpec{Account: "000000000000"}}); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

const services = 12

func name(i int) string { return fmt.Sprintf("service-%02d", i) }

// FuzzDamagedFile: bytes of the file are changed and its end is cut off. Nothing panics and no service that had a record is taken
// for one that has none: there is its record, or an error.
func FuzzDamagedFile(f *testing.F) {
	whole := written(f)
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{}, uint32(len(whole)/4))
	for page := range len(whole) / 4096 {
		at := binary.BigEndian.AppendUint32(nil, uint32(page*4096))
		f.Add(append(append(at, 10, 1), append(binary.BigEndian.AppendUint32(nil, uint32(page*4096+12)), 0, 200)...), uint32(0))
		f.Add(append(at, 16, 255), uint32(0))
	}
	f.Fuzz(func(t *testing.T, changes []byte, cut uint32) {
		data := append([]byte(nil), whole...)
		for ; len(changes) >= 6; changes = changes[6:] {
			at := (int(binary.BigEndian.Uint32(changes)) + int(changes[4])) % len(data)
			data[at] ^= changes[5]
		}
		data = data[:len(data)-int(cut)%len(data)]
		path := filepath.Join(t.TempDir(), "deploy.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path)
		if err != nil {
			return
		}
		l.db.NoSync = true // only the time on the disk is saved
		ctx := t.Context()
		for i := range services {
			if rec, err := l.Load(ctx, name(i)); err == nil && (rec.Service != name(i) || rec.Version == 0) {
				t.Errorf("%s is taken for a service that has no record: %+v", name(i), rec)
			}
		}
		if holder, err := l.LockHolder(ctx, "db"); err == nil && holder == "" {
			t.Error("a lock that is held is taken for free")
		}
		if env, err := l.Environment(ctx); err == nil && (env == nil || env.Spec.Account == "") {
			t.Errorf("the environment is %+v", env)
		}
		_ = l.Records(ctx, func(string, rollout.Record, error) {})
		_, _ = l.HistoryAll(ctx, 0)
		for i := range services {
			_, _ = l.History(ctx, name(i), 0)
			rec, err := l.Load(ctx, name(i))
			if err == nil {
				_, _ = l.Save(ctx, rec, []rollout.Entry{{Service: name(i), Number: 2}})
			}
		}
		_ = l.Close()
	})
}

// FuzzStored: whatever bytes stand in a whole file's places, each question has an answer or an error that says what is wrong.
func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"schema":1,"service":"orders","version":3,"why":"Runs."}`), []byte(`{"service":"orders","number":1}`), []byte(`{"spec":{"account":"000000000000"}}`))
	f.Add([]byte(`{"service":"orders"}`), []byte(`null`), []byte(`null`))
	f.Add([]byte(``), []byte(``), []byte(``))
	f.Add([]byte(`{"schema":1,"service":"orders","version":3,"why":"Ru`), []byte(`{"number":`), []byte(`{"spec":7}`))
	f.Add([]byte(`{"schema":1,"schema":9,"service":"orders","version":1}`), []byte(`[]`), []byte(`{}`))
	f.Add([]byte(`{"SCHEMA":9,"service":"orders","version":1}`), []byte(`{"at":"0000"}`), []byte(`{"spec":{"drift":{"after":"1h"}}}`))
	path := filepath.Join(f.TempDir(), "deploy.db")
	l, err := OpenWith(path, Options{Unsynced: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, record, entry, environment []byte) {
		err := l.db.Update(func(tx *bbolt.Tx) error {
			index, err := tx.Bucket(indexBucket).CreateBucketIfNotExists([]byte("orders"))
			if err != nil {
				return err
			}
			for _, put := range []error{index.Put(sequence(1), nil), tx.Bucket(historyBucket).Put(sequence(1), entry), tx.Bucket(recordsBucket).Put([]byte("orders"), record), tx.Bucket(metaBucket).Put(environKey, environment)} {
				if put != nil {
					return put
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		rec, err := l.Load(ctx, "orders")
		if err == nil && (rec.Service != "orders" || rec.Version == 0 || rec.Schema > rollout.Schema) {
			t.Errorf("%q is the record %+v", record, rec)
		}
		terminal(t, err, "orders", path)
		if _, err := l.History(ctx, "orders", 0); err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name the file", err)
		}
		env, err := l.Environment(ctx)
		if err == nil && env.Spec.Account == "" {
			t.Errorf("%q is the environment %+v", environment, env)
		}
		terminal(t, err, "environment", path)
		if _, err := l.Save(ctx, rec, nil); rec.Version == 0 && err == nil {
			t.Errorf("what cannot be read is written over: %q", record)
		}
	})
}

// terminal holds an error to its kind, and to what it must name.
func terminal(t *testing.T, err error, names ...string) {
	t.Helper()
	if err == nil {
		return
	}
	if !fault.Is(err, fault.Terminal) {
		t.Errorf("%v is not terminal", err)
	}
	for _, n := range names {
		if !strings.Contains(err.Error(), n) {
			t.Errorf("%v does not name %s", err, n)
		}
	}
}
