package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

func (h *house) tell(n int) {
	h.board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseHealthy, Why: fmt.Sprintf("change %d", n)}})
}

// pipe is a response that is read while it is written.
type pipe struct {
	mu     sync.Mutex
	header http.Header
	code   int
	body   bytes.Buffer
}

func newPipe() *pipe                { return &pipe{header: http.Header{}, code: http.StatusOK} }
func (p *pipe) Header() http.Header { return p.header }
func (p *pipe) WriteHeader(c int)   { p.mu.Lock(); p.code = c; p.mu.Unlock() }
func (p *pipe) Flush()              {}
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body.Write(b)
}
func (p *pipe) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body.String()
}

// listen opens a stream inside a bubble; it ends with the returned function.
func (h *house) listen(t *testing.T, last string) (*pipe, func()) {
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/events", nil)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	p := newPipe()
	go h.ServeHTTP(p, r)
	synctest.Wait()
	return p, func() { cancel(); synctest.Wait() }
}

func TestEventsLiveAndHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		p, end := h.listen(t, "")
		defer end()
		if got := p.String(); got != "retry: 3000\n\n" {
			t.Errorf("a new client first reads %q", got)
		}
		h.tell(1)
		synctest.Wait()
		newest := h.board.Activity(1)[0]
		if want := "id: " + newest.ID + "\nevent: service\ndata: {"; !strings.Contains(p.String(), want) {
			t.Errorf("the stream lacks %q:\n%s", want, p)
		}
		time.Sleep(21 * time.Second)
		if !strings.HasSuffix(p.String(), ": still here\n\n") {
			t.Errorf("no heartbeat:\n%s", p)
		}
	})
}

func TestEventsResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.tell(1)
		seen := h.board.Activity(1)[0].ID
		h.tell(2)
		h.tell(3)
		p, end := h.listen(t, seen)
		defer end()
		h.tell(4)
		synctest.Wait()
		got := p.String()
		if strings.Contains(got, "change 1") || strings.Contains(got, "event: reset") {
			t.Errorf("tells again what was seen:\n%s", got)
		}
		at := -1
		for n := 2; n <= 4; n++ {
			word := fmt.Sprintf("change %d", n)
			if next := strings.Index(got, word); next <= at || strings.Count(got, word) != 1 {
				t.Errorf("%q is not told once and in order:\n%s", word, got)
			} else {
				at = next
			}
		}
	})
}

func TestEventsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		p, end := h.listen(t, "earlier-17")
		defer end()
		if !strings.Contains(p.String(), "event: reset\n") {
			t.Errorf("a client of an earlier process is not told to read anew:\n%s", p)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var ends []func()
		for range 64 {
			_, end := h.listen(t, "")
			ends = append(ends, end)
		}
		w := h.get("/api/v1/events")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("client 65 is answered %d, want 503 with Retry-After", w.Code)
		}
		ends[0]()
		p, end := h.listen(t, "")
		if p.String() == "" {
			t.Error("a place that became free is not given to another")
		}
		for _, end := range append(ends[1:], end) {
			end()
		}
	})
}

// The timeouts of a real server are meant for requests and must not end a stream.
func TestEventsOutliveTheServersTimeouts(t *testing.T) {
	h := newHouse(t)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	srv.Start()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/api/v1/events", nil)
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	tell := time.AfterFunc(300*time.Millisecond, func() { h.tell(1) })
	defer tell.Stop()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "change 1") {
			return
		}
	}
	t.Errorf("the stream ended: %v", lines.Err())
}
