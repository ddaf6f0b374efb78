package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/store"
	"github.com/canteen/deploy/worker/web"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

const soup = `{"school": "north", "date": "2099-12-01", "lines": [{"item": "soup", "quantity": 3}]}`

func newServer(orders web.Orders, inFlightMax int) (*web.Server, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return web.New(web.Config{Orders: orders, Log: zap.New(core), Registry: prometheus.NewRegistry(), InFlightMax: inFlightMax}), logs
}

// running is a server on a real port, with a real SQLite file.
func running(t *testing.T) (*httptest.Server, *observer.ObservedLogs) {
	t.Helper()
	source := store.SQLite(filepath.Join(t.TempDir(), "orders.db"))
	if _, err := source.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	orders, err := store.Open(source, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, logs := newServer(orders, 64)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := orders.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, logs
}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url, key, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	return do(t, request)
}

func do(t *testing.T, request *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func draftOf(o order.Order) order.Draft {
	d := order.Draft{School: o.School, Date: o.Date}
	for _, l := range o.Lines {
		d.Lines = append(d.Lines, l.Line)
	}
	return d
}

func TestOrderIsPlacedOnceAndFound(t *testing.T) {
	server, _ := running(t)
	placed := send(t, "POST", server.URL+"/orders", "key-1", soup)
	if placed.status != http.StatusCreated {
		t.Fatalf("POST = %d %s", placed.status, placed.body)
	}
	var got order.Order
	if err := json.Unmarshal([]byte(placed.body), &got); err != nil {
		t.Fatal(err)
	}
	want := order.Draft{School: "north", Date: "2099-12-01", Lines: []order.Line{{Item: "soup", Quantity: 3}}}
	if diff := cmp.Diff(want, draftOf(got)); diff != "" {
		t.Errorf("placed (-want +got):\n%s", diff)
	}
	// The same order, written differently.
	again := send(t, "POST", server.URL+"/orders", "key-1", `{"lines":[{"quantity":3,"item":"soup"}],"date":"2099-12-01","school":"north"}`)
	if again.status != http.StatusOK || again.body != placed.body {
		t.Errorf("repeat = %d %s, want 200 %s", again.status, again.body, placed.body)
	}
	found := send(t, "GET", server.URL+placed.header.Get("Location"), "", "")
	if found.status != http.StatusOK || found.body != placed.body {
		t.Errorf("GET = %d %s, want 200 %s", found.status, found.body, placed.body)
	}
}

func TestProblems(t *testing.T) {
	server, _ := running(t)
	if first := send(t, "POST", server.URL+"/orders", "taken", soup); first.status != http.StatusCreated {
		t.Fatalf("POST = %d %s", first.status, first.body)
	}
	big := `{"school": "` + strings.Repeat("a", 65<<10) + `"}`
	for name, tc := range map[string]struct {
		method, path, key, body string
		status                  int
		kind, detail            string
	}{
		"no key":         {"POST", "/orders", "", soup, 400, "urn:problem-type:canteen:idempotency-key-missing", "1 to 255"},
		"long key":       {"POST", "/orders", strings.Repeat("k", 256), soup, 400, "urn:problem-type:canteen:idempotency-key-missing", "1 to 255"},
		"key with space": {"POST", "/orders", "a b", soup, 400, "urn:problem-type:canteen:idempotency-key-missing", "1 to 255"},
		"other body":     {"POST", "/orders", "taken", strings.Replace(soup, "3", "4", 1), 422, "urn:problem-type:canteen:idempotency-key-reused", "new key"},
		"empty":          {"POST", "/orders", "k", "", 400, "urn:problem-type:canteen:invalid-order", "EOF"},
		"not JSON":       {"POST", "/orders", "k", "soup", 400, "urn:problem-type:canteen:invalid-order", "invalid character"},
		"misspelt field": {"POST", "/orders", "k", strings.Replace(soup, "date", "day", 1), 400, "urn:problem-type:canteen:invalid-order", `unknown field "day"`},
		"two orders":     {"POST", "/orders", "k", soup + soup, 400, "urn:problem-type:canteen:invalid-order", "more than one"},
		"wrong type":     {"POST", "/orders", "k", strings.Replace(soup, "3", `"3"`, 1), 400, "urn:problem-type:canteen:invalid-order", "lines.quantity must be of JSON type integer"},
		"half a meal":    {"POST", "/orders", "k", strings.Replace(soup, "3", "1.5", 1), 400, "urn:problem-type:canteen:invalid-order", "lines.quantity must be of JSON type integer"},
		"array":          {"POST", "/orders", "k", "[]", 400, "urn:problem-type:canteen:invalid-order", "the body must be of JSON type object"},
		"rule":           {"POST", "/orders", "k", strings.Replace(soup, "3", "0", 1), 400, "urn:problem-type:canteen:invalid-order", "#/lines/0/quantity"},
		"too big":        {"POST", "/orders", "k", big, 413, "about:blank", "65536 bytes"},
		"unknown id":     {"GET", "/orders/" + strings.Repeat("A", 26), "", "", 404, "about:blank", "no order"},
		"id of no form":  {"GET", "/orders/%00%ff", "", "", 404, "about:blank", "no order"},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, tc.method, server.URL+tc.path, tc.key, tc.body)
			var problem struct {
				Type, Title, Detail, RequestID string
				Status                         int
			}
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil {
				t.Fatalf("%d %s: %v", got.status, got.body, err)
			}
			if got.status != tc.status || problem.Status != tc.status || problem.Type != tc.kind || !strings.Contains(problem.Detail, tc.detail) {
				t.Errorf("%d %s, want %d %s with %q", got.status, got.body, tc.status, tc.kind, tc.detail)
			}
			if media := got.header.Get("Content-Type"); media != "application/problem+json" {
				t.Errorf("Content-Type %s", media)
			}
			if problem.Title == "" || problem.RequestID == "" || problem.RequestID != got.header.Get("X-Request-Id") {
				t.Errorf("title %q, request id %q, header %q", problem.Title, problem.RequestID, got.header.Get("X-Request-Id"))
			}
		})
	}
	t.Run("other media type", func(t *testing.T) {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/orders", strings.NewReader(soup))
		request.Header.Set("Idempotency-Key", "k")
		request.Header.Set("Content-Type", "text/plain")
		if got := do(t, request); got.status != http.StatusUnsupportedMediaType {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("other method", func(t *testing.T) {
		if got := send(t, "DELETE", server.URL+"/orders", "", ""); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%d, Allow %q", got.status, got.header.Get("Allow"))
		}
	})
}

func TestConcurrentDuplicatesMakeOneOrder(t *testing.T) {
	server, _ := running(t)
	var mu sync.Mutex
	statuses, bodies := map[int]int{}, map[string]bool{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got := send(t, "POST", server.URL+"/orders", "one-key", soup)
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
			bodies[got.body] = true
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[int]int{201: 1, 200: 19}, statuses); diff != "" || len(bodies) != 1 {
		t.Errorf("%d different answers, statuses (-want +got):\n%s", len(bodies), diff)
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	server, _ := running(t)
	send(t, "POST", server.URL+"/orders", "key", soup)
	send(t, "POST", server.URL+"/orders", "key", soup)
	send(t, "GET", server.URL+"/orders/ABC", "", "")
	send(t, "GET", server.URL+"/some/secret/path", "", "")
	got := send(t, "GET", server.URL+"/metrics", "", "").body
	for _, line := range []string{
		`orders_http_requests_total{code="201",method="POST",route="/orders"} 1`,
		`orders_http_requests_total{code="200",method="POST",route="/orders"} 1`,
		`orders_http_requests_total{code="404",method="GET",route="/orders/{id}"} 1`,
		`orders_http_requests_total{code="404",method="other",route="other"} 1`,
		`orders_created_total 1`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Error("a client's path became a label")
	}
}

// Logs tell what happened to which request, and nothing that the client wrote.
func TestLogsHoldNothingOfTheClient(t *testing.T) {
	server, logs := running(t)
	for body, want := range map[string]int{soup: http.StatusCreated, strings.ReplaceAll(soup, "soup", "private2"): http.StatusUnprocessableEntity,
		strings.ReplaceAll(soup, "north", "private8"): http.StatusUnprocessableEntity, strings.ReplaceAll(soup, "north", "Private"): http.StatusBadRequest} {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/orders?who=private1", strings.NewReader(body))
		for name, value := range map[string]string{"Idempotency-Key": fmt.Sprint("private3-", len(body)), "Content-Type": "application/json",
			"User-Agent": "private4", "Authorization": "private5", "X-Request-Id": "private6 with spaces"} {
			request.Header.Set(name, value)
		}
		if got := do(t, request); got.status != want {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	request, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/orders/private7", nil)
	request.Header.Set("X-Request-Id", "trace-42")
	do(t, request)
	server.Close() // the log line comes after the answer
	var told strings.Builder
	for _, entry := range logs.All() {
		fmt.Fprintln(&told, entry.Message, entry.ContextMap())
	}
	if strings.Contains(strings.ToLower(told.String()), "private") || strings.Contains(told.String(), "north") || strings.Contains(told.String(), "soup") {
		t.Errorf("logs hold what the client sent:\n%s", told.String())
	}
	if logs.FilterMessage("request").FilterField(zap.String("request_id", "trace-42")).Len() != 1 {
		t.Errorf("no line for request trace-42:\n%s", told.String())
	}
}

// fake answers as its functions say.
type fake struct {
	place func(context.Context) error
	ping  func(context.Context) error
}

func (f fake) Place(ctx context.Context, _ string, d order.Draft) (order.Order, bool, error) {
	return order.Order{School: d.School, Date: d.Date}, true, f.place(ctx)
}
func (f fake) Get(ctx context.Context, _ string) (order.Order, error) {
	return order.Order{}, f.place(ctx)
}
func (f fake) List(ctx context.Context, _, _, _ string, _ int) ([]order.Order, bool, error) {
	return nil, false, f.place(ctx)
}
func (f fake) Ping(ctx context.Context) error { return f.ping(ctx) }

func never(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("%w: %w", order.ErrUnavailable, ctx.Err())
}

func post(handler http.Handler) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	in := httptest.NewRequest("POST", "/orders", strings.NewReader(soup))
	in.Header.Set("Idempotency-Key", "key")
	in.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(out, in)
	return out
}

func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	handler.ServeHTTP(out, httptest.NewRequest("GET", path, nil))
	return out
}

func TestHealthSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		ping   func(context.Context) error
		status int
		body   string
	}{
		"well":    {func(context.Context) error { return nil }, 200, `"status":"ok"`},
		"hanging": {never, 503, "did not answer within 1s"},
		"refused": {func(context.Context) error { return order.ErrUnavailable }, 503, "cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newServer(fake{ping: tc.ping}, 1)
				got := get(s.Handler(), "/health")
				if got.Code != tc.status || !strings.Contains(got.Body.String(), tc.body) {
					t.Errorf("%d %s, want %d with %q", got.Code, got.Body, tc.status, tc.body)
				}
			})
		})
	}
}

// A task that was able is healthy for as long as a failover of the database takes, and no longer; one that never was is not, nor one whose
// database answers that something is wrong. It lives all the time.
func TestHealthOutlastsAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ping error
		s, _ := newServer(fake{ping: func(context.Context) error { return ping }}, 1)
		expect := func(when string, health, ready int) {
			t.Helper()
			for path, want := range map[string]int{"/health": health, "/ready": ready, "/live": http.StatusOK} {
				if got := get(s.Handler(), path); got.Code != want {
					t.Errorf("%s: %s answers %d %s, want %d", when, path, got.Code, got.Body, want)
				}
			}
		}
		ping = order.ErrUnavailable
		expect("never able", 503, 503)
		for range 2 {
			ping = nil
			expect("able", 200, 200)
			ping = order.ErrUnavailable
			for range 15 {
				time.Sleep(10 * time.Second)
				expect("in the failover", 200, 503)
			}
			if got := get(s.Handler(), "/health"); !strings.Contains(got.Body.String(), "answered last 2m30s ago") {
				t.Errorf("in the failover /health says %s", got.Body)
			}
			time.Sleep(10 * time.Second)
			expect("away for longer", 503, 503)
		}
		ping = nil
		expect("able again", 200, 200)
		ping = errors.New("permission denied for table orders")
		expect("a defect", 503, 503)
	})
}

func TestFailuresOfTheStore(t *testing.T) {
	for name, tc := range map[string]struct {
		err     error
		status  int
		retry   string
		message string
	}{
		"unavailable": {order.ErrUnavailable, 503, "1", "store unavailable"},
		"defect":      {errors.New("column secret_column is missing"), 500, "", "request failed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, logs := newServer(fake{place: func(context.Context) error { return tc.err }}, 1)
			got := post(s.Handler())
			if got.Code != tc.status || got.Header().Get("Retry-After") != tc.retry {
				t.Errorf("%d, Retry-After %q, want %d, %q", got.Code, got.Header().Get("Retry-After"), tc.status, tc.retry)
			}
			if strings.Contains(got.Body.String(), "secret_column") {
				t.Errorf("the client is told our inner matters: %s", got.Body)
			}
			if logs.FilterMessage(tc.message).Len() != 1 {
				t.Errorf("not logged once: %v", logs.All())
			}
		})
	}
}

func TestRequestHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(fake{place: never}, 1)
		if got := post(s.Handler()); got.Code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
}

func TestOneTooManyIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := newServer(fake{
			place: func(context.Context) error { <-release; return nil },
			ping:  func(context.Context) error { return nil },
		}, 2)
		var working sync.WaitGroup
		for range 2 {
			working.Go(func() {
				if got := post(s.Handler()); got.Code != http.StatusCreated {
					t.Errorf("admitted request: %d %s", got.Code, got.Body)
				}
			})
		}
		synctest.Wait()
		if got := post(s.Handler()); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") != "1" {
			t.Errorf("third request: %d, Retry-After %q", got.Code, got.Header().Get("Retry-After"))
		}
		if got := get(s.Handler(), "/health"); got.Code != http.StatusOK {
			t.Errorf("/health of a busy server: %d %s", got.Code, got.Body)
		}
		if got := get(s.Handler(), "/metrics"); !strings.Contains(got.Body.String(), "orders_http_requests_shed_total 1\n") {
			t.Error("the refused request is not counted")
		}
		close(release)
		working.Wait()
		if got := post(s.Handler()); got.Code != http.StatusCreated {
			t.Errorf("after the others: %d %s", got.Code, got.Body)
		}
	})
}

func TestPanicIsA500AndFreesItsSlot(t *testing.T) {
	s, logs := newServer(fake{place: func(context.Context) error { panic("broken invariant") }}, 1)
	for range 2 {
		if got := post(s.Handler()); got.Code != http.StatusInternalServerError {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	}
	if logs.FilterMessage("panic").Len() != 2 || logs.FilterMessage("request").FilterField(zap.Int("status", 500)).Len() != 2 {
		t.Errorf("logs: %v", logs.All())
	}
}
