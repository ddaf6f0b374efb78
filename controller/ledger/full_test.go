package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/conformance"
	"github.com/canteen/deploy/controller/rollout"
)

// grow saves services until a save fails, and returns what was acknowledged.
func grow(t *testing.T, f *ledger.File, known map[string]rollout.Record) error {
	t.Helper()
	for i := range 10_000 {
		service := fmt.Sprintf("service-%d", i%7)
		rec, ok := known[service]
		if !ok {
			rec = conformance.Record(service)
		}
		rec.Generation++
		rec.Why = strings.Repeat(fmt.Sprint(i%10), 700*(i%5))
		saved, err := f.Save(t.Context(), conformance.Locked(rec, []string{"", "lock of " + service}[i%2]), []rollout.Entry{{Service: service, Number: rec.Generation}})
		if err != nil {
			return err
		}
		known[service] = saved
	}
	t.Fatal("the disk is never full")
	return nil
}

// step is one save that must succeed.
func step(t *testing.T, f *ledger.File, rec rollout.Record) rollout.Record {
	t.Helper()
	if rec.Version == 0 {
		rec = conformance.Record("service-0")
	}
	rec.Generation++
	return save(t, f, conformance.Locked(rec, ""), rollout.Entry{Service: rec.Service, Number: rec.Generation})
}

// whole holds that a ledger has everything that was acknowledged, and nothing else.
func whole(t *testing.T, f *ledger.File, known map[string]rollout.Record) {
	t.Helper()
	for service, want := range known {
		got, err := f.Load(t.Context(), service)
		if err != nil || got.Version != want.Version || got.Generation != want.Generation || got.Why != want.Why {
			t.Errorf("%s has version %d and generation %d, %v; %d and %d were acknowledged", service, got.Version, got.Generation, err, want.Version, want.Generation)
		}
		entries, err := f.History(t.Context(), service, 0)
		if err != nil || len(entries) != min(want.Generation, ledger.HistoryMax) || entries[0].Number != want.Generation {
			t.Errorf("%s: %d entries at generation %d, %v", service, len(entries), want.Generation, err)
		}
		holder, err := f.LockHolder(t.Context(), "lock of "+service)
		if err != nil || (holder == service) != (want.HoldsLock() != "") {
			t.Errorf("%s: its lock is held by %q, %v", service, holder, err)
		}
	}
	services, err := f.Services(t.Context())
	if err != nil || len(services) != len(known) {
		t.Errorf("%v, %v; %d were acknowledged", services, err, len(known))
	}
}

// A save that the disk has no room for fails, says why, and leaves nothing; what was saved before can be read; saves succeed as soon as
// there is room. So again and again, with the file opened anew in between.
func TestAFullDiskLosesNothing(t *testing.T) {
	dir := conformance.SmallDisk(t, "1024")
	path := filepath.Join(dir, "deploy.db")
	known := map[string]rollout.Record{}
	f, err := ledger.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 6 {
		for range 10 {
			known["service-0"] = step(t, f, known["service-0"])
		}
		empty := conformance.Fill(t, dir)
		for range 3 { // a disk that stays full
			conformance.Refused(t, grow(t, f, known), fault.Unknown, ledger.CodeUnwritten, "no space left on device")
			whole(t, f, known)
		}
		if round%2 == 1 { // a controller that is started again on the full disk
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if f, err = ledger.Open(path); err != nil {
				t.Fatal(err)
			}
			whole(t, f, known)
		}
		empty()
	}
	known["service-0"] = step(t, f, known["service-0"])
	whole(t, f, known)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A ledger that is begun on a full disk is an error, and leaves nothing that a later start would take for a damaged ledger.
func TestAFullDiskAtTheFirstStart(t *testing.T) {
	dir := conformance.SmallDisk(t, "128")
	path := filepath.Join(dir, "deploy.db")
	for left := 0; left <= 32<<10; left += 4 << 10 {
		empty := conformance.Fill(t, dir)
		if err := os.Truncate(filepath.Join(dir, "what fills the disk"), int64(128<<10-left-4<<10)); err != nil {
			t.Fatal(err)
		}
		f, err := ledger.Open(path)
		if err == nil {
			err = f.Close()
			t.Logf("%d KiB are enough", left>>10)
			if left < 16<<10 || err != nil {
				t.Errorf("begun with %d bytes, %v", left, err)
			}
			empty()
			break
		}
		if !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), path) {
			t.Errorf("with %d bytes left: %v", left, err)
		}
		empty()
		if f, err = ledger.Open(path); err != nil {
			t.Fatalf("after %d bytes were left, and then there was room: %v", left, err)
		}
		known := map[string]rollout.Record{"service-0": step(t, f, rollout.Record{})}
		whole(t, f, known)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 {
			t.Errorf("besides the ledger there is %v, %v", files, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that can only be read is told at the start.
func TestAReadOnlyDiskAtTheStart(t *testing.T) {
	dir := conformance.SmallDisk(t, "1024")
	f := open(t, filepath.Join(dir, "deploy.db"))
	known := map[string]rollout.Record{"service-0": step(t, f, rollout.Record{})}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	only := conformance.ReadOnly(t, dir)
	for _, name := range []string{"deploy.db", "new.db"} {
		_, err := ledger.Open(filepath.Join(only, name))
		conformance.Refused(t, err, fault.Unknown, "", "read-only file system")
	}
	again, err := ledger.Open(filepath.Join(dir, "deploy.db"))
	if err != nil {
		t.Fatal(err)
	}
	whole(t, again, known)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// A disk that the kernel turns read-only under the ledger fails each save and loses nothing; once it is mended the ledger goes on.
func TestADiskThatTurnsReadOnly(t *testing.T) {
	dir, fail, mend := conformance.FailingDisk(t)
	path := filepath.Join(dir, "deploy.db")
	f, err := ledger.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]rollout.Record{}
	for range 20 {
		known["service-0"] = step(t, f, known["service-0"])
	}
	fail()
	for range 3 {
		conformance.Refused(t, grow(t, f, known), fault.Unknown, ledger.CodeUnwritten, "read-only file system")
		whole(t, f, known)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mend()
	if f, err = ledger.Open(path); err != nil {
		t.Fatal(err)
	}
	whole(t, f, known)
	known["service-0"] = step(t, f, known["service-0"])
	whole(t, f, known)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
