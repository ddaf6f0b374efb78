package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// hostile is what somebody might write into a commit or a log.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

const secret = "It's a Secret to Everybody"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// house is a server over a board with one reverted and one healthy service.
type house struct {
	http.Handler
	board   *status.Board
	config  server.Config
	wakes   int
	reasons []string
	broken  error // of the history
}

func newHouse(t testing.TB) *house { return houseOf(t, hostile) }

// houseOf is a house in which everything that people or programs wrote is the text.
func houseOf(t testing.TB, text string) *house {
	reg := prometheus.NewRegistry()
	h := &house{board: status.New(reg, "dev", status.Build{Version: "v1"}, zaptest.NewLogger(t))}
	h.board.Publish(revertedOf(text))
	h.board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseHealthy, Why: "All is well."}})
	h.board.Repo(status.RepoView{
		Source: "https://git.example/shop.git", FetchedAt: noon, Head: desired.Commit{SHA: "0123456789abcdef", Subject: text, Author: text},
		Invalid: map[string][]desired.Error{"desired/dev/kitchen.yaml": {{File: "desired/dev/kitchen.yaml", Line: 7, Col: 3, Message: text}}},
	})
	h.config = server.Config{
		Board: h.board, Gatherer: reg, WebhookSecret: secret, Version: "v1.2.3",
		Wake: func() { h.wakes++ }, Ready: func() []string { return h.reasons },
		History: func(_ context.Context, service string, limit int) ([]rollout.Entry, error) {
			if h.broken != nil {
				return nil, h.broken
			}
			all := []rollout.Entry{entryOf(2, rollout.ResultReverted, nil, text), entryOf(1, rollout.ResultRejected, evidenceOf(text), text)}
			if service != "orders" {
				return nil, nil
			}
			return all[:min(limit, len(all))], nil
		},
	}
	h.config.Recent = func(context.Context, int) ([]rollout.Entry, error) { return nil, h.broken }
	h.Handler = server.New(h.config)
	return h
}

func evidenceOf(text string) *rollout.Evidence {
	return &rollout.Evidence{
		Check: "targets", Reason: "TargetsUnhealthy", Message: text, Complete: true,
		Tasks:   []rollout.TaskEvidence{{Task: "arn:aws:ecs:x:1:task/shop/abc", StopCode: "EssentialContainerExited", Reason: text, ExitCodes: map[string]int{"AppContainer": 3}}},
		Targets: []string{text}, Events: []string{text}, Log: []string{"panic: " + text},
		Alarms: []observed.Alarm{{Name: "orders-5xx", State: observed.AlarmRed, Reason: text}},
	}
}

func entry(number int, result rollout.Result, e *rollout.Evidence) rollout.Entry {
	return entryOf(number, result, e, hostile)
}

func entryOf(number int, result rollout.Result, e *rollout.Evidence, text string) rollout.Entry {
	return rollout.Entry{
		Service: "orders", Number: number, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Ask: "v1:new", Result: result, Message: "it said " + text,
		Commit: desired.Commit{SHA: "feedface00", Subject: text}, Images: []string{"AppContainer:1a2b3c4"},
		StartedAt: noon, EndedAt: noon.Add(95 * time.Second), Evidence: e, Output: []string{text},
	}
}

func reverted() status.View { return revertedOf(hostile) }

func revertedOf(text string) status.View {
	target := rollout.Target{Ask: "v1:new", Commit: desired.Commit{SHA: "feedface00", Subject: text}, Containers: rollout.NamedOf(map[string]rollout.Container{"AppContainer": {Tag: "1a2b3c4"}})}
	return status.View{
		Record: rollout.Record{
			Service: "orders", State: rollout.StateReverting,
			Intent: &rollout.Intent{Service: desired.Service{
				Metadata: desired.Metadata{Labels: map[string]string{"team": "ordering"}},
				Spec: desired.ServiceSpec{Containers: map[string]desired.Container{"AppContainer": {
					Image: desired.Image{Tag: "1a2b3c4"}, Env: map[string]string{"LOG_LEVEL": text},
					Secrets: map[string]string{"DB_PASSWORD": "secretsmanager:orders/db:password"},
				}}},
			}},
			Good:     &rollout.Good{Target: target, Revision: "arn:aws:ecs:x:1:task-definition/orders:41", At: noon},
			Rejected: []rollout.Rejection{{Ask: "v1:new", At: noon, Check: "targets", Message: text}},
			Rollout: &rollout.Rollout{Number: 3, Kind: rollout.KindRevert, Trigger: rollout.TriggerFailure, Target: target, Wanted: "v1:new", Stage: rollout.StageRoll, StartedAt: noon, StageAt: noon,
				Readings:   []observed.Reading{{Check: "steady", Verdict: observed.NoData, Detail: text, At: noon}},
				Deployment: &rollout.Deployment{ID: "ecs-svc/9"}},
		},
		Status: condition.Status{
			Phase: condition.PhaseReverting, Why: "Puts 41 back: " + text, Since: noon, NextActionAt: noon.Add(time.Minute),
			Conditions: []condition.Condition{{Type: condition.Ready, Status: condition.False, Reason: "Reverting", Message: text}},
			Wanted:     condition.Version{Commit: "feedface00", Images: []string{"AppContainer:1a2b3c4"}, Ask: "v1:new"},
			Running:    condition.Version{Commit: "0badcafe00", Images: []string{"AppContainer:9f9f9f9"}, Ask: "v1:old"},
		},
		Observed: new(status.Observe(observed.Service{Desired: 2, Running: 1, Tasks: []observed.Task{{ARN: "arn:x/task/abc", StoppedReason: text}}})),
	}
}

func (h *house) do(method, target string, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (h *house) get(target string) *httptest.ResponseRecorder {
	return h.do(http.MethodGet, target, "")
}

func into[T any](t *testing.T, w *httptest.ResponseRecorder) (out T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return out
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		method, path string
		code         int
		contentType  string
		contains     string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "orders"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/services/orders", 200, "text/html; charset=utf-8", "History"},
		{"GET", "/services/nobody", 404, "application/problem+json", `no service \"nobody\"`},
		{"GET", "/static/icon.svg", 200, "image/svg+xml", "svg"},
		{"GET", "/static/page.js", 200, "text/javascript; charset=utf-8", "EventSource"},
		{"GET", "/static/", 404, "application/problem+json", ""},
		{"GET", "/static/nothing.js", 404, "application/problem+json", "/static/nothing.js"},
		{"GET", "/static/%2e%2e/page.js", 404, "application/problem+json", ""},
		{"GET", "/static/a%00b", 404, "application/problem+json", ""},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", `deploy_service_phase{environment="dev",phase="Reverting",service="orders"} 1`},
		{"GET", "/healthz", 200, "application/json", `"alive":true`},
		{"GET", "/readyz", 200, "application/json", `"ready":true`},
		{"GET", "/api/v1/services", 200, "application/json", `"service":"orders"`},
		{"GET", "/api/v1/services/orders", 200, "application/json", `"revision":"arn:aws:ecs:x:1:task-definition/orders:41"`},
		{"GET", "/api/v1/services/nobody", 404, "application/problem+json", "/api/v1/services lists"},
		{"GET", "/api/v1/services/orders/history", 200, "application/json", `"number":1`},
		{"GET", "/api/v1/services/menu/history", 200, "application/json", `"entries":[]`},
		{"GET", "/api/v1/services/nobody/history", 404, "application/problem+json", ""},
		{"GET", "/api/v1/services/orders/history?limit=0", 400, "application/problem+json", "from 1 to 500"},
		{"GET", "/api/v1/services/orders/history?limit=501", 400, "application/problem+json", ""},
		{"GET", "/api/v1/services/orders/history?limit=many", 400, "application/problem+json", ""},
		{"GET", "/api/v1/activity?q=nothing-has-this-word", 200, "application/json", `"entries":[]`},
		{"HEAD", "/api/v1/events", 200, "text/event-stream", ""},
		{"GET", "/nothing", 404, "application/problem+json", ""},
		{"POST", "/api/v1/services", 405, "application/problem+json", "commit it to git"},
		{"DELETE", "/services/orders", 405, "application/problem+json", ""},
		{"PUT", "/metrics", 405, "application/problem+json", ""},
		{"GET", "/webhook/github", 405, "application/problem+json", ""},
	}
	h := newHouse(t)
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := h.do(tt.method, tt.path, "")
			if w.Code != tt.code {
				t.Errorf("code %d, want %d: %s", w.Code, tt.code, w.Body)
			}
			if got := w.Header().Get("Content-Type"); got != tt.contentType {
				t.Errorf("content type %q, want %q", got, tt.contentType)
			}
			if !strings.Contains(w.Body.String(), tt.contains) {
				t.Errorf("the answer lacks %q:\n%s", tt.contains, w.Body)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
				t.Errorf("content security policy %q", csp)
			}
			if w.Code >= 400 {
				if p := into[server.Problem](t, w); p.Status != w.Code || p.Title == "" || p.Detail == "" {
					t.Errorf("problem %+v", p)
				}
			}
		})
	}
}

// The policy lets the page's own style sheet pass and no other.
func TestThePolicyKnowsTheStyleSheet(t *testing.T) {
	w := newHouse(t).get("/")
	_, style, _ := strings.Cut(w.Body.String(), "<style>")
	style, _, closed := strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
	if csp := w.Header().Get("Content-Security-Policy"); !closed || !strings.Contains(style, "prefers-color-scheme: dark") || !strings.Contains(csp, want) {
		t.Errorf("the policy is %s, want %s for a style of %d bytes", csp, want, len(style))
	}
}

func TestReadiness(t *testing.T) {
	h := newHouse(t)
	h.reasons = []string{"no snapshot was loaded yet"}
	w := h.get("/readyz")
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("code %d, want 503", w.Code)
	}
	if diff := cmp.Diff(server.Readiness{Reasons: h.reasons}, into[server.Readiness](t, w)); diff != "" {
		t.Errorf("readiness (-want +got):\n%s", diff)
	}
	if w := h.get("/healthz"); w.Code != http.StatusOK {
		t.Errorf("/healthz answers %d while not ready: a slow account must not restart the controller", w.Code)
	}
}

func TestServiceInTheAPI(t *testing.T) {
	h := newHouse(t)
	s := into[server.Service](t, h.get("/api/v1/services/orders"))
	if s.Phase != condition.PhaseReverting || s.Rollout == nil || s.Rollout.Number != 3 || s.Good == nil || s.Observed.Running != 1 {
		t.Errorf("service %+v", s)
	}
	if got := s.Containers["AppContainer"].Secrets["DB_PASSWORD"]; got != "secretsmanager:orders/db:password" {
		t.Errorf("secret %q, want the reference", got)
	}
	if len(s.History) != 2 || s.History[1].Evidence == nil {
		t.Fatalf("history %+v, want two entries, the older one with evidence", s.History)
	}
	alarms := s.History[1].Evidence.Alarms
	if diff := cmp.Diff([]status.Alarm{{Name: "orders-5xx", State: "ALARM", Reason: hostile}}, alarms); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if got := into[server.History](t, h.get("/api/v1/services/orders/history?limit=1")); len(got.Entries) != 1 || got.Entries[0].Number != 2 {
		t.Errorf("limit=1 gives %+v, want the newest", got.Entries)
	}
}

// No key of the API is an accident of a Go name: all are lowerCamelCase, so that the answers stay stable.
func TestKeysAreLowerCamelCase(t *testing.T) {
	h := newHouse(t)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				free := slices.ContainsFunc([]string{"containers", "env", "secrets", "labels", "exitCodes", "invalid"}, func(m string) bool { return strings.HasSuffix(path, m) })
				if !free && (k[0] < 'a' || k[0] > 'z' || strings.ContainsAny(k, "_-")) {
					t.Errorf("key %s.%s", path, k)
				}
				walk(path+"."+k, below)
			}
		case []any:
			for _, below := range v {
				walk(path, below)
			}
		}
	}
	for _, path := range []string{"/api/v1/services", "/api/v1/services/orders", "/api/v1/services/orders/history"} {
		walk(path, into[any](t, h.get(path)))
	}
}

func TestHistoryThatCannotBeRead(t *testing.T) {
	h := newHouse(t)
	h.broken = errors.New("the ledger is locked")
	for _, path := range []string{"/api/v1/services/orders", "/api/v1/services/orders/history"} {
		if w := h.get(path); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "the ledger is locked") {
			t.Errorf("%s answers %d: %s", path, w.Code, w.Body)
		}
	}
	if w := h.get("/services/orders"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "the ledger is locked") {
		t.Errorf("the page answers %d, want the rest of it with the reason", w.Code)
	}
}

// Every face may be looked at while services are published and removed.
func TestConcurrentReaders(t *testing.T) {
	h := newHouse(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			v := reverted()
			v.Record.Service = fmt.Sprintf("s%d", i%5)
			v.Status.Why = fmt.Sprint(i)
			h.board.Publish(v)
			h.board.Finished(rollout.Entry{Service: v.Record.Service, Number: i})
			if i%9 == 0 {
				h.board.Remove(v.Record.Service)
			}
		}
	})
	for _, path := range []string{"/", "/services/orders", "/api/v1/services", "/api/v1/services/orders", "/metrics"} {
		wg.Go(func() {
			for range 10 {
				if w := h.get(path); w.Code != http.StatusOK {
					t.Errorf("%s answers %d: %s", path, w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
}

func TestServeEndsInOrder(t *testing.T) {
	h := newHouse(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l, h) }()

	// An open stream must not hold up the end.
	res, err := http.Get(fmt.Sprintf("http://%s/api/v1/events", l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	// Nor must a connection that a browser opened ahead of need.
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(4 * time.Second):
		t.Fatal("does not end")
	}
}

func TestServeTellsWhyItCannot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := server.Serve(t.Context(), l, http.NotFoundHandler()); err == nil || !strings.HasPrefix(err.Error(), "serve 127.0.0.1:") {
		t.Errorf("error %v", err)
	}
}
