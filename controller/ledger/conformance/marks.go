package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
)

func marksOf(t testing.TB, l Ledger) map[string]string {
	t.Helper()
	out, before := map[string]string{}, ""
	err := l.Marks(t.Context(), func(key string, data []byte) {
		if key <= before {
			t.Errorf("%q comes after %q", key, before)
		}
		before, out[key] = key, string(data)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func marksAreKept(t *testing.T, fresh func(testing.TB) Place) {
	place := fresh(t)
	l, err := place.Open()
	if err != nil {
		t.Fatal(err)
	}
	if got := marksOf(t, l); len(got) != 0 {
		t.Errorf("a fresh ledger has marks: %v", got)
	}
	want := map[string]string{}
	keep := func(key, data string) {
		t.Helper()
		if err := l.KeepMark(t.Context(), key, []byte(data)); err != nil {
			t.Fatal(err)
		}
		want[key] = data
	}
	for i := range 120 { // more than a page of some stores
		keep(fmt.Sprintf("ops/service-%03d", i), strings.Repeat("x", 20<<10))
	}
	keep("ops/orders", `{"number":1}`)
	keep("ops/orders", `{"number":2,"ts":"<b> & \u00fc"}`)
	keep("team ü/orders", `{}`)
	save(t, l, Record("orders")) // marks and records are apart
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, place)
	if diff := cmp.Diff(want, marksOf(t, l)); diff != "" {
		t.Error(diff)
	}
	if names, err := l.Services(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("marks show as services: %v, %v", names, err)
	}
}

func marksAreBounded(t *testing.T, fresh func(testing.TB) Place) {
	l := open(t, fresh(t))
	err := l.KeepMark(t.Context(), "ops/orders", make([]byte, ledger.MarkDataMax+1))
	Refused(t, err, fault.Terminal, ledger.CodeTooLarge, "at most")
	Refused(t, l.KeepMark(t.Context(), "", nil), fault.Terminal, ledger.CodeDamaged, "no key")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.KeepMark(ended, "ops/orders", nil); err == nil {
		t.Error("a mark is kept although the call was given up")
	}
	if got := marksOf(t, l); len(got) != 0 {
		t.Errorf("what was refused is there: %v", got)
	}
}
