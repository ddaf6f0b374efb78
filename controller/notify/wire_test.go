package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

// hook is a receiver on the wire that answers what it is told to, and remembers what it took and in which order.
type hook struct {
	t       *testing.T
	mu      sync.Mutex
	answers []int // of the next requests; then 200
	keys    []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if want := Sign("a key", r.Header.Get(HeaderTimestamp), body); r.Header.Get(HeaderSignature) != want {
		h.t.Errorf("signed %s, want %s", r.Header.Get(HeaderSignature), want)
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil || m.Key != r.Header.Get(HeaderKey) || m.Schema != Schema {
		h.t.Errorf("%v: %s", err, body)
	}
	if len(h.answers) > 0 {
		code := h.answers[0]
		h.answers = h.answers[1:]
		if code == 0 { // taken, and the answer is lost
			h.keys = append(h.keys, m.Key)
			panic(http.ErrAbortHandler)
		}
		if code == 200 {
			h.keys = append(h.keys, m.Key)
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(code)
		return
	}
	h.keys = append(h.keys, m.Key)
}

func (h *hook) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{}, h.keys...)
}

// Over the wire and with a real ledger: what a receiver refuses for a while comes later and in order, a message whose answer was lost
// comes again under its key, what it will never take is given up, and a controller that starts anew tells only what was not told.
func TestOverTheWire(t *testing.T) {
	h := &hook{t: t, answers: []int{500, 429, 0, 200, 413}}
	server := httptest.NewServer(h)
	defer server.Close()
	t.Setenv("HOOK_URL", server.URL)
	t.Setenv("HOOK_SECRET", "a key")
	config, errs := Parse("notify.yaml", []byte("apiVersion: deploy/v1\nkind: Notifications\nreceivers:\n  hook: {webhook: {url: {env: HOOK_URL}, secret: {env: HOOK_SECRET}}}\nroutes:\n- {receiver: hook}\n"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	path := filepath.Join(t.TempDir(), "deploy.db")
	l := newLife("orders")
	l.now = time.Now().Add(time.Minute)
	entries := 0 // that were saved
	for lifetime, want := range [][]string{
		{"1/begun", "1/begun", "2/begun", "2/good"}, // one lost answer; 1/good is given up with 413
		{"3/begun", "3/rejected", "4/reverting", "4/reverted"},
	} {
		func() {
			file, err := ledger.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			n := New(Options{Environment: "dev", Config: config, Registry: prometheus.NewRegistry(), Log: zap.NewNop()})
			ctx, cancel := context.WithCancel(t.Context())
			n.Begin([]rollout.Record{l.rec})
			ended := make(chan struct{})
			go func() { n.Run(ctx, Office{Ledger: file}); close(ended) }()
			defer func() { cancel(); <-ended }()
			before := len(h.heard())
			save := func() {
				fresh := l.entries[entries:]
				entries = len(l.entries)
				rec := l.rec
				stored, _ := file.Load(t.Context(), "orders")
				rec.Version = stored.Version
				saved, err := file.Save(t.Context(), rec, fresh)
				if err != nil {
					t.Fatal(err)
				}
				l.rec.Version = saved.Version
				n.Note(saved, "")
			}
			time.Sleep(100 * time.Millisecond) // the receiver becomes known
			if lifetime == 0 {
				for range 2 {
					l.begin(rollout.KindDeploy, "v1")
					save()
					l.end(rollout.ResultSucceeded, "")
					save()
				}
			} else {
				l.begin(rollout.KindDeploy, "v2")
				save()
				l.end(rollout.ResultRejected, "Crashed")
				save()
				l.end(rollout.ResultReverted, "")
				save()
			}
			for deadline := time.Now().Add(20 * time.Second); len(h.heard()) < before+len(want) && time.Now().Before(deadline); {
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(300 * time.Millisecond) // for what must not come
			var got []string
			for _, key := range h.heard()[before:] {
				parts := strings.Split(key, "/")
				number, _, _ := strings.Cut(parts[2], "-")
				got = append(got, number+"/"+parts[3])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("lifetime %d: %s", lifetime, diff)
			}
		}()
	}
}
