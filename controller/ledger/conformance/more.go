package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

func locks(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	holds := func(lock, want string) {
		t.Helper()
		if got, err := l.LockHolder(t.Context(), lock); got != want || err != nil {
			t.Errorf("%s is held by %q, %v; want %q", lock, got, err, want)
		}
	}
	orders := save(t, l, Locked(Record("orders"), "db"))
	holds("db", "orders")
	_, err := l.Save(t.Context(), Locked(Record("billing"), "db"), nil)
	Refused(t, err, fault.Conflict, ledger.CodeLockHeld, "migration lock db is held by orders")
	billing := save(t, l, Locked(Record("billing"), "other"))
	_, err = l.Save(t.Context(), Locked(billing, "db"), nil)
	Refused(t, err, fault.Conflict, ledger.CodeLockHeld, "migration lock db is held by orders")
	holds("other", "billing") // a save that was refused releases nothing
	orders = save(t, l, Locked(orders, "db"))
	holds("db", "orders")
	orders = save(t, l, Locked(orders, "new"))
	holds("db", "")
	holds("new", "orders")
	save(t, l, Locked(billing, "db"))
	holds("other", "")
	holds("db", "billing")
	save(t, l, Locked(orders, ""))
	holds("new", "")
	holds("db", "billing")
}

// However services come and go: a lock has at most one holder, and that is the service whose record says so.
func locksFollowTheRecords(outer *testing.T, fresh func(testing.TB) Place) {
	rapid.Check(outer, func(t *rapid.T) {
		l, err := fresh(outer).Open()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, holders := context.Background(), map[string]string{}
		services, locks := rapid.SampledFrom([]string{"a", "b", "c"}), []string{"", "x", "y"}
		for range rapid.IntRange(1, 15).Draw(t, "saves") {
			service, lock := services.Draw(t, "service"), rapid.SampledFrom(locks).Draw(t, "lock")
			rec, err := l.Load(ctx, service)
			if err != nil {
				t.Fatal(err)
			}
			rec.Service = service
			_, err = l.Save(ctx, Locked(rec, lock), nil)
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
			for _, name := range locks[1:] {
				if got, err := l.LockHolder(ctx, name); err != nil || got != holders[name] {
					t.Fatalf("%s is held by %q, %v; want %q", name, got, err, holders[name])
				}
			}
		}
	})
}

func historyIsBounded(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	save(t, l, Record("billing"), rollout.Entry{Service: "billing", Number: 1})
	rec := Record("orders")
	for i := range 21 {
		var entries []rollout.Entry
		for j := range 10 {
			entries = append(entries, rollout.Entry{Service: "orders", Number: 10*i + j + 1})
		}
		rec = save(t, l, rec, entries...)
	}
	numbers := func(service string, limit int) (out []int) {
		t.Helper()
		entries, err := l.History(t.Context(), service, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, e.Number)
		}
		return out
	}
	all := numbers("orders", 0)
	if len(all) != 200 || all[0] != 210 || all[199] != 11 {
		t.Errorf("%d entries: %v", len(all), all)
	}
	if got := numbers("orders", 3); !cmp.Equal(got, []int{210, 209, 208}) {
		t.Errorf("the newest three are %v", got)
	}
	if got := numbers("nobody", 3); len(got) != 0 {
		t.Errorf("%v of a service that does not exist", got)
	}
	if got := numbers("billing", 0); !cmp.Equal(got, []int{1}) {
		t.Errorf("the other service has %v", got)
	}
}

// What happened to any service is there for whoever starts anew, newest first: when, what, why, and of which commit.
func historyOfAll(t *testing.T, fresh func(testing.TB) Place) {
	place := fresh(t)
	l, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ended := func(service string, number, minute int) rollout.Entry {
		return rollout.Entry{
			Service: service, Number: number, Kind: rollout.KindDeploy, Result: rollout.ResultRejected, Message: "it crashed", EndedAt: noon.Add(time.Duration(minute) * time.Minute),
			Commit: desired.Commit{SHA: "feedface00", Subject: "menu: lunch"}, Evidence: &rollout.Evidence{Log: []string{"panic"}},
		}
	}
	orders := save(t, l, Record("orders"), ended("orders", 1, 1))
	save(t, l, Record("billing"), ended("billing", 1, 2))
	save(t, l, orders, ended("orders", 2, 3), ended("orders", 3, 3))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, place)
	numbers := func(limit int) (out []string) {
		entries, err := l.HistoryAll(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			out = append(out, fmt.Sprint(e.Service, e.Number))
		}
		return out
	}
	if got := numbers(0); !cmp.Equal(got, []string{"orders3", "orders2", "billing1", "orders1"}) {
		t.Errorf("the history of all is %v", got)
	}
	if got := numbers(2); !cmp.Equal(got, []string{"orders3", "orders2"}) {
		t.Errorf("its newest two are %v", got)
	}
	entries, err := l.HistoryAll(t.Context(), 1)
	want := ended("orders", 3, 3)
	if err != nil || len(entries) != 1 || entries[0].Kind != want.Kind || entries[0].Result != want.Result || entries[0].Message != want.Message ||
		!entries[0].EndedAt.Equal(want.EndedAt) || entries[0].Commit != want.Commit {
		t.Errorf("the newest is %+v, %v; want %+v", entries, err, want)
	}
}

// A starting controller reads all records at once; one that cannot be read does not hide the others.
func recordsAreShown(t *testing.T, fresh func(testing.TB) Place) {
	place := fresh(t)
	l, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	const services = 12
	for i := range services {
		rec := Record(fmt.Sprintf("service-%02d", i))
		rec.Why = strings.Repeat("long ", 20_000) // 100 kB each: no single answer holds them all
		save(t, l, rec)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := place.Plant("bad", "{"); err != nil {
		t.Fatal(err)
	}
	l = open(t, place)
	var names []string
	err = l.Records(t.Context(), func(service string, rec rollout.Record, err error) {
		names = append(names, service)
		if service == "bad" {
			Refused(t, err, fault.Terminal, ledger.CodeDamaged, "the record of bad")
		} else if err != nil || rec.Service != service || rec.Version != 1 || len(rec.Why) != 100_000 {
			t.Errorf("%s: record of %q at version %d, %v", service, rec.Service, rec.Version, err)
		}
	})
	if err != nil || len(names) != services+1 || names[0] != "bad" || names[services] != "service-11" {
		t.Errorf("%v, %v", names, err)
	}
	// What was shown can be built upon.
	rec := Record("service-03")
	rec.Version = 1
	if got := save(t, l, rec); got.Version != 2 {
		t.Errorf("version %d", got.Version)
	}
}

// Whatever people call things and whatever is written about them comes back as it was.
func textsSurvive(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	for _, name := range []string{"orders", "order-processing_2.eu", "Zürich/б", strings.Repeat("n", 200)} {
		rec := Locked(Record(name), "lock of "+name)
		rec.Why = "quote \" backslash \\ tab \t null \u2028 smile 😀"
		saved := save(t, l, rec, rollout.Entry{Service: name, Number: 1, Message: rec.Why})
		got, err := l.Load(t.Context(), name)
		if diff := cmp.Diff(saved, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if holder, err := l.LockHolder(t.Context(), "lock of "+name); holder != name || err != nil {
			t.Errorf("the lock of %s is held by %q, %v", name, holder, err)
		}
		entries, err := l.History(t.Context(), name, 5)
		if err != nil || len(entries) != 1 || entries[0].Message != rec.Why {
			t.Errorf("history of %s: %+v, %v", name, entries, err)
		}
	}
}
