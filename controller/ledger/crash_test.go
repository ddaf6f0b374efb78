package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/conformance"
	"github.com/canteen/deploy/controller/rollout"
)

// crashingLedger makes the test binary the process that is killed; its value is the path of the ledger.
const crashingLedger = "LEDGER_OF_A_PROCESS_THAT_IS_KILLED"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashingLedger); path != "" {
		fmt.Fprintln(os.Stderr, saveUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// saveUntilKilled saves one service after the other, and prints each save once it was acknowledged.
func saveUntilKilled(path string) error {
	f, err := ledger.Open(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := 0; ; i++ {
		service := fmt.Sprintf("service-%d", i%3)
		rec, err := f.Load(ctx, service)
		if err != nil {
			return err
		}
		rec.Service, rec.Schema = service, rollout.Schema
		rec.Generation++
		lock := ""
		if rec.Generation%2 == 1 {
			lock = "lock of " + service
		}
		saved, err := f.Save(ctx, conformance.Locked(rec, lock), []rollout.Entry{{Service: service, Number: rec.Generation}})
		if err != nil {
			return err
		}
		fmt.Println(service, saved.Version)
	}
}

// A process that is killed in the middle of its saves loses none that was acknowledged, and leaves no half of one: the
// record, its history and its lock agree.
func TestNothingAcknowledgedIsLostInACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deploy.db")
	acknowledged := map[string]uint64{}
	for round := range 8 {
		killAfter(t, path, 5+7*round, acknowledged)
		f, err := ledger.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for service, version := range acknowledged {
			rec, err := f.Load(t.Context(), service)
			if err != nil || rec.Version < version || rec.Version > version+1 {
				t.Errorf("%s has version %d, %v; %d was acknowledged", service, rec.Version, err, version)
			}
			entries, err := f.History(t.Context(), service, 0)
			if err != nil || len(entries) != min(int(rec.Version), 200) || entries[0].Number != rec.Generation {
				t.Errorf("%s: %d entries at version %d, %v", service, len(entries), rec.Version, err)
			}
			want := ""
			if rec.Generation%2 == 1 {
				want = service
			}
			if holder, err := f.LockHolder(t.Context(), "lock of "+service); err != nil || holder != want {
				t.Errorf("the lock of %s is held by %q, %v; want %q", service, holder, err, want)
			}
			acknowledged[service] = rec.Version
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs the saving process and kills it once it acknowledged a number of saves.
func killAfter(t *testing.T, path string, saves int, acknowledged map[string]uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashingLedger+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var service string
		var version uint64
		if _, err := fmt.Sscan(lines.Text(), &service, &version); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		acknowledged[service] = version
		if n == saves {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the process ended by itself: %v", err)
	}
}
