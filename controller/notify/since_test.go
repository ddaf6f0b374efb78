package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

// toldAt is what a receiver heard.
type toldAt struct {
	Event Event
	At    time.Time
}

// listening is a configuration with one receiver, which refuses the first message.
func listening(t *testing.T) (*Config, <-chan toldAt) {
	t.Helper()
	heard, refusals := make(chan toldAt, 10), 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		heard <- toldAt{m.Event, m.At}
		if refusals > 0 {
			refusals--
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("HOOK", server.URL)
	config, errs := Parse("notify.yaml", []byte("apiVersion: deploy/v1\nkind: Notifications\nreceivers:\n  hook: {webhook: {url: {env: HOOK}, secret: {env: HOOK}}}\nroutes:\n- {receiver: hook}\n"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return config, heard
}

// A file that is invalid is told with the time at which it became so, each time that it is tried, whatever else is told of the service
// meanwhile; so is that it is valid again. What was so when a controller began is told as of then.
func TestInvalidSinceWhen(t *testing.T) {
	config, heard := listening(t)
	file, err := ledger.Open(filepath.Join(t.TempDir(), "deploy.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	clock := make(chan time.Time, 1)
	clock <- start
	now := func() time.Time { at := <-clock; clock <- at; return at }
	pass := func(d time.Duration) { clock <- (<-clock).Add(d) }
	n := New(Options{Environment: "dev", Config: config, Clock: now, Registry: prometheus.NewRegistry(), Log: zap.NewNop()})
	rec := rollout.Record{Service: "orders", Version: 1, State: rollout.StateSettled, Since: start.Add(-time.Hour)}
	tenure := func() (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		n.Begin([]rollout.Record{rec})
		ended := make(chan struct{})
		go func() { n.Run(ctx, Office{Ledger: file}); close(ended) }()
		return func() { cancel(); <-ended }
	}
	expect := func(want toldAt) {
		t.Helper()
		select {
		case got := <-heard:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody was told %v", want)
		}
	}
	end := tenure()
	n.Note(rec, "")
	pass(time.Minute)
	n.Note(rec, "orders.yaml:3:1: no")
	pass(time.Minute)
	expect(toldAt{Invalid, start.Add(time.Minute)}) // refused
	n.Note(rec, "orders.yaml:4:1: neither")
	expect(toldAt{Invalid, start.Add(time.Minute)})
	n.Note(rec, "")
	expect(toldAt{Resolved, start.Add(2 * time.Minute)})
	for open := true; open; time.Sleep(10 * time.Millisecond) { // until it is kept that it was told
		if err := file.Marks(t.Context(), func(key string, data []byte) {
			if m, err := decodeMark(data); err == nil && key == markKey("hook", "orders") {
				open = len(m.Open) > 0
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	end()
	pass(time.Hour)
	end = tenure()
	defer end()
	pass(time.Minute)
	n.Note(rec, "orders.yaml:5:1: again")
	expect(toldAt{Invalid, start.Add(62 * time.Minute)})
}
