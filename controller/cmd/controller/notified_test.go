package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/notify"
)

// receiver takes the messages of a webhook, by the key that makes one of two that are the same.
type receiver struct {
	mu       sync.Mutex
	keys     []string
	messages []notify.Message
	file     string // names it to the controller
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{file: filepath.Join(t.TempDir(), "notify.yaml")}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var m notify.Message
		if err := json.NewDecoder(req.Body).Decode(&m); err != nil || !strings.HasPrefix(req.Header.Get("Deploy-Signature"), "sha256=") {
			t.Errorf("a message that cannot be read or is not signed: %v, %v", err, req.Header)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keys, r.messages = append(r.keys, req.Header.Get("Idempotency-Key")), append(r.messages, m)
	}))
	t.Cleanup(s.Close)
	for name, text := range map[string]string{"url": s.URL, "secret": "of the receiver", "notify.yaml": `apiVersion: deploy/v1
kind: Notifications
page: ` + pageAddress + `
receivers:
  audit: {webhook: {url: {file: ` + filepath.Join(filepath.Dir(r.file), "url") + `}, secret: {file: ` + filepath.Join(filepath.Dir(r.file), "secret") + `}}}
routes:
- {receiver: audit}
`} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(r.file), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// await waits until so many messages are there, and holds their events and that none came twice.
func (r *receiver) await(t *testing.T, want ...notify.Event) {
	t.Helper()
	var got []notify.Event
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		r.mu.Lock()
		got = nil
		for _, m := range r.messages {
			got = append(got, m.Event)
			if m.Service != "orders" || m.Evidence != "" && !strings.HasPrefix(m.Evidence, pageAddress+"/services/orders") {
				t.Errorf("a message of %q with evidence at %q", m.Service, m.Evidence)
			}
		}
		keys := slices.Compact(slices.Sorted(slices.Values(r.keys)))
		if len(keys) != len(r.keys) {
			t.Errorf("some came twice: %q", r.keys)
		}
		r.mu.Unlock()
		if len(got) >= len(want) || time.Now().After(until) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("told was %v, want %v", got, want)
	}
}
