// Package conformance is what every ledger is held to, whatever it keeps its records in: one suite of tests, run against
// the file and against the shared ledger.
package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// Ledger is what every ledger has. The methods mean what those of ledger.File mean.
type Ledger interface {
	Load(ctx context.Context, service string) (rollout.Record, error)
	Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error)
	LockHolder(ctx context.Context, lock string) (string, error)
	Services(ctx context.Context) ([]string, error)
	Records(ctx context.Context, visit func(service string, rec rollout.Record, err error)) error
	History(ctx context.Context, service string, limit int) ([]rollout.Entry, error)
	HistoryAll(ctx context.Context, limit int) ([]rollout.Entry, error)
	Environment(ctx context.Context) (*desired.Environment, error)
	KeepEnvironment(ctx context.Context, env *desired.Environment) error
	KeepMark(ctx context.Context, key string, data []byte) error
	Marks(ctx context.Context, visit func(key string, data []byte)) error
	Close() error
}

// Place is where one ledger is kept.
type Place interface {
	// Open opens it as a process that starts does; one that had it open has closed it before.
	Open() (Ledger, error)
	// Plant writes a service's record behind the ledger's back, while nobody has it open.
	Plant(service, record string) error
}

// Run holds ledgers to the suite. fresh makes the place of one that does not exist yet.
func Run(t *testing.T, fresh func(testing.TB) Place) {
	for name, test := range map[string]func(*testing.T, func(testing.TB) Place){
		"WhatIsSavedIsLoaded":                    whatIsSavedIsLoaded,
		"TheEnvironmentIsKept":                   theEnvironmentIsKept,
		"SaveIsACompareAndSwap":                  saveIsACompareAndSwap,
		"OneWinsEachVersion":                     oneWinsEachVersion,
		"Locks":                                  locks,
		"LocksFollowTheRecords":                  locksFollowTheRecords,
		"HistoryIsBoundedForEachService":         historyIsBounded,
		"TheHistoryOfAllIsTold":                  historyOfAll,
		"RecordsAreShown":                        recordsAreShown,
		"ARecordOfANewerControllerIsNotTouched":  newerIsNotTouched,
		"ARecordThatCannotBeReadIsTold":          unreadableIsTold,
		"AContextThatEndedStopsTheCall":          endedContextStops,
		"NamesAndTextsOfAnyKindSurviveTheLedger": textsSurvive,
		"MarksAreKept":                           marksAreKept,
		"MarksAreBounded":                        marksAreBounded,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh) })
	}
}

// open opens a place until the test ends.
func open(t testing.TB, p Place) Ledger {
	t.Helper()
	l, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func save(t testing.TB, l Ledger, rec rollout.Record, history ...rollout.Entry) rollout.Record {
	t.Helper()
	saved, err := l.Save(t.Context(), rec, history)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// Locked is a record that holds a migration lock; none where lock is empty.
func Locked(rec rollout.Record, lock string) rollout.Record {
	rec.Rollout = nil
	if lock != "" {
		rec.Rollout = &rollout.Rollout{Stage: rollout.StageMigrate, Migration: &rollout.Migration{Lock: lock}}
	}
	return rec
}

// Record is a record that says nothing yet.
func Record(service string) rollout.Record {
	return rollout.Record{Schema: rollout.Schema, Service: service}
}

// Refused holds an error to its kind, its code and a part of its text.
func Refused(t testing.TB, err error, kind fault.Kind, code, text string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%v (%s, %s); want %q (%s, %s)", err, fault.KindOf(err), fault.CodeOf(err), text, kind, code)
	}
}
