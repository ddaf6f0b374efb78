package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

func whatIsSavedIsLoaded(t *testing.T, fresh func(testing.TB) Place) {
	place := fresh(t)
	l, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := l.Load(t.Context(), "orders"); err != nil || !cmp.Equal(rec, rollout.Record{}) {
		t.Errorf("%+v, %v of a service that nobody saved", rec, err)
	}
	rec := Locked(Record("orders"), "order-db")
	rec.Generation, rec.Why, rec.Since = 7, "rolls <b> & more", time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	rec.Pins = rollout.Words{{Name: "1a2b3c4", Value: "sha256:00"}}
	saved := save(t, l, rec)
	rec.Version = 1
	if diff := cmp.Diff(rec, saved); diff != "" {
		t.Error(diff)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, place)
	loaded, err := l.Load(t.Context(), "orders")
	if diff := cmp.Diff(saved, loaded); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if holder, err := l.LockHolder(t.Context(), "order-db"); holder != "orders" || err != nil {
		t.Errorf("the lock is held by %q, %v", holder, err)
	}
	save(t, l, Record("billing"))
	if names, err := l.Services(t.Context()); err != nil || !cmp.Equal(names, []string{"billing", "orders"}) {
		t.Errorf("services %v, %v", names, err)
	}
}

func theEnvironmentIsKept(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	if env, err := l.Environment(t.Context()); env != nil || err != nil {
		t.Errorf("a fresh ledger has %v, %v", env, err)
	}
	for _, account := range []string{"111111111111", "222222222222", "222222222222"} {
		env := &desired.Environment{Metadata: desired.Metadata{Name: "dev"}, Spec: desired.EnvironmentSpec{Account: account}}
		if err := l.KeepEnvironment(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Environment(t.Context()); err != nil || got.Spec.Account != account {
			t.Errorf("kept %s, got %+v, %v", account, got, err)
		}
	}
}

func saveIsACompareAndSwap(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	first := save(t, l, Record("orders"))
	save(t, l, first)
	for _, version := range []uint64{0, 1, 3} {
		rec := Locked(Record("orders"), "order-db")
		rec.Version = version
		_, err := l.Save(t.Context(), rec, []rollout.Entry{{Service: "orders"}})
		Refused(t, err, fault.Conflict, ledger.CodeVersion, fmt.Sprintf("builds on version %d and the stored one is 2", version))
	}
	rec := Record("nobody")
	rec.Version = 4
	_, err := l.Save(t.Context(), rec, nil)
	Refused(t, err, fault.Conflict, ledger.CodeVersion, "builds on version 4 and the stored one is 0")
	if holder, _ := l.LockHolder(t.Context(), "order-db"); holder != "" {
		t.Error("a save that was refused took a lock")
	}
	if entries, _ := l.History(t.Context(), "orders", 0); len(entries) != 0 {
		t.Error("a save that was refused wrote history")
	}
}

// Of many that save at once, each version is won by exactly one.
func oneWinsEachVersion(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	const writers, rounds = 8, 10
	var won atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range rounds {
				rec, err := l.Load(t.Context(), "orders")
				if err != nil {
					t.Error(err)
					return
				}
				rec.Service = "orders"
				rec.Generation++
				switch _, err := l.Save(t.Context(), rec, []rollout.Entry{{Number: rec.Generation}}); {
				case err == nil:
					won.Add(1)
				case fault.CodeOf(err) != ledger.CodeVersion:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	rec, err := l.Load(t.Context(), "orders")
	if n := won.Load(); err != nil || rec.Version != uint64(n) || rec.Generation != int(n) || n < rounds {
		t.Errorf("%d saves won, version %d, generation %d, %v", n, rec.Version, rec.Generation, err)
	}
	entries, err := l.History(t.Context(), "orders", 0)
	if err != nil || len(entries) != min(int(won.Load()), ledger.HistoryMax) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.Number != rec.Generation-i {
			t.Fatalf("entry %d is number %d", i, e.Number)
		}
	}
}

func newerIsNotTouched(t *testing.T, fresh func(testing.TB) Place) {
	place := fresh(t)
	l, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	save(t, l, Record("orders"))
	save(t, l, Record("billing"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := place.Plant("orders", `{"schema":2,"service":"orders","version":1,"state":{"unknown":"shape"}}`); err != nil {
		t.Fatal(err)
	}
	l = open(t, place)
	const text = "schema 2 and this controller knows up to 1"
	_, err = l.Load(t.Context(), "orders")
	Refused(t, err, fault.Terminal, ledger.CodeSchema, text)
	rec := Record("orders")
	rec.Version = 1
	_, err = l.Save(t.Context(), rec, nil)
	Refused(t, err, fault.Terminal, ledger.CodeSchema, text)
	rec.Schema = 2
	_, err = l.Save(t.Context(), rec, nil)
	Refused(t, err, fault.Terminal, ledger.CodeSchema, text)
	if _, err := l.Load(t.Context(), "billing"); err != nil {
		t.Errorf("another service's record: %v", err)
	}
}

func unreadableIsTold(t *testing.T, fresh func(testing.TB) Place) {
	place := fresh(t)
	l, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	bad := map[string][2]string{
		"cut":   {`{"schema":1,"serv`, "is not a record"},
		"odd":   {`{"schema":1,"service":"odd","version":"x"}`, "is not a record"},
		"moved": {`{"schema":1,"service":"orders"}`, `is the record of "orders"`},
	}
	for service, b := range bad {
		if err := place.Plant(service, b[0]); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, place)
	for service, b := range bad {
		_, err := l.Load(t.Context(), service)
		Refused(t, err, fault.Terminal, ledger.CodeDamaged, b[1])
	}
	_, err = l.Save(t.Context(), rollout.Record{}, nil)
	Refused(t, err, fault.Terminal, ledger.CodeDamaged, "names no service")
}

func endedContextStops(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Load(ctx, "orders")
	_, err2 := l.Save(ctx, Record("orders"), nil)
	if !errors.Is(err, context.Canceled) || !errors.Is(err2, context.Canceled) {
		t.Errorf("%v, %v", err, err2)
	}
	if rec, _ := l.Load(t.Context(), "orders"); rec.Version != 0 {
		t.Error("saved after its context ended")
	}
}
