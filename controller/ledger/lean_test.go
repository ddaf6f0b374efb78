package ledger

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// A record that was read says what was written, and has what is equal in it once.
func TestRecordsAreLean(t *testing.T) {
	spec := func() desired.ServiceSpec {
		return desired.ServiceSpec{Stack: "orders", Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: "1aaaaaa"}}}}
	}
	good := spec()
	service := desired.Service{APIVersion: desired.APIVersion, Kind: desired.KindService, Metadata: desired.Metadata{Name: "orders"}, Spec: spec()}
	commit := desired.Commit{SHA: "c0ffee", Author: "A developer", Subject: "one"}
	written, err := json.Marshal(rollout.Record{
		Schema: 1, Service: "orders", Version: 3, Intent: &rollout.Intent{Commit: commit, Service: service}, GoodAsks: []string{"v1:a", "v1:b"},
		Good: &rollout.Good{Revision: "orders:1", Fingerprint: "v1:f", Target: rollout.Target{Ask: "v1:a", Commit: commit, Spec: &good,
			Containers: rollout.NamedOf(map[string]rollout.Container{"app": {Image: "r/orders@sha256:1", Tag: "1aaaaaa", Digest: "sha256:1"}, "side": {Tag: "1"}})}},
		Known:  []rollout.Known{{Fingerprint: "v1:f", Revision: "orders:1"}},
		Tagged: &rollout.Tagged{Set: rollout.NamedOf(map[string]string{"deploy:good": "orders:1"})}, Pins: rollout.Words{{Name: "1aaaaaa", Value: "sha256:1"}}, State: rollout.StateSettled,
	})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := Decode(written, "orders")
	if err != nil {
		t.Fatal(err)
	}
	same := func(when string) {
		t.Helper()
		if again, err := json.Marshal(rec); err != nil || string(again) != string(written) {
			t.Errorf("%s: read %s\nwritten %s (%v)", when, again, written, err)
		}
		if rec.Good.Target.Spec != &rec.Intent.Service.Spec {
			t.Errorf("%s: what was good is a copy of what git asks", when)
		}
	}
	same("read")
	other := service
	other.Spec.Retry = 1
	before := rec.Intent
	if shareIntent(&rec, &other); rec.Intent != before {
		t.Error("a record shares what is not what it says")
	}
	shareIntent(&rec, &service)
	same("shared")
	if rec.Intent == before {
		t.Error("a record keeps a copy of what git says")
	}
}

// What is told elsewhere and is what is stored is the ledger's own memory of it; what is not stored, though it has its version, is not.
func TestShareTakesWhatIsStored(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	stored, err := f.Save(t.Context(), rollout.Record{Schema: rollout.Schema, Service: "orders", State: rollout.StateSettled, Why: "it runs"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Share(&stored) // before it was read
	told := stored
	if f.Share(&told); f.memo.records["orders"].rec != &told {
		t.Error("the same record is kept twice as it was written")
	}
	var rec rollout.Record
	for range writtenReads + 1 { // until it is kept for good, decoded
		if rec, err = f.Load(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
	}
	if f.memo.records["orders"].rec == &told {
		t.Error("what was written is kept for good because somebody shares it")
	}
	told = rec
	if f.Share(&told); f.memo.records["orders"].rec != &told {
		t.Error("the same record is kept twice")
	}
	for name, change := range map[string]func(*rollout.Record){
		"not what is stored": func(r *rollout.Record) { r.Why = "it was never saved" },
		"another version":    func(r *rollout.Record) { r.Version++ },
		"another service":    func(r *rollout.Record) { r.Service = "menu" },
	} {
		other := rec
		change(&other)
		f.Share(&other)
		if got, err := f.Load(t.Context(), "orders"); err != nil || got.Why != "it runs" || got.Version != rec.Version || f.memo.records["orders"].rec != &told {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
}

// A record of a rollout in flight is read as it was written; any other one is for a few reads, then it is decoded and says the same.
func TestRecordInFlightIsNotDecoded(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rec := rollout.Record{Schema: rollout.Schema, Service: "orders", State: rollout.StateRolling, Rollout: &rollout.Rollout{Number: 7, Kind: rollout.KindDeploy}}
	stored, err := f.Save(t.Context(), rec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(t.Context(), "orders"); err != nil || got.Rollout != rec.Rollout || got.Version != 1 {
		t.Errorf("in flight: %+v, error %v", got, err)
	}
	good := &rollout.Good{Revision: "orders:7"}
	stored.Rollout, stored.Good = nil, good
	if _, err := f.Save(t.Context(), stored, nil); err != nil {
		t.Fatal(err)
	}
	var last *rollout.Good
	for n := range writtenReads + 2 {
		got, err := f.Load(t.Context(), "orders")
		if err != nil || got.Rollout != nil || got.Good.Revision != "orders:7" || got.Version != 2 {
			t.Errorf("settled, read %d times: %+v, error %v", n+1, got, err)
		}
		if asWritten := got.Good == good; asWritten != (n < writtenReads) {
			t.Errorf("settled, read %d times: read as it was written %v", n+1, asWritten)
		}
		if n == writtenReads+1 && got.Good != last {
			t.Error("it was decoded twice")
		}
		last = got.Good
	}
}
