package server_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// The activity is one list in three forms, and a filter means the same in each.
func TestActivity(t *testing.T) {
	h := newHouse(t)
	old := entryOf(1, rollout.ResultRejected, nil, "=HYPERLINK(1)")
	old.Message = "=HYPERLINK(1)"
	h.board.Finished(entryOf(2, rollout.ResultReverted, nil, "told"))
	read := 0
	h.config.Recent = func(context.Context, int) ([]rollout.Entry, error) {
		read++
		return []rollout.Entry{entryOf(2, rollout.ResultReverted, nil, "told"), old}, nil
	}
	h.Handler = server.New(h.config)
	for query, want := range map[string][]string{
		"?kind=rollout":            {"reverted", "rejected"},
		"?kind=rollout&q=REJECTED": {"rejected"},
		"?kind=rollout&q=nothing":  nil,
		"?kind=repository":         {""},
	} {
		var all server.Activity
		if err := json.Unmarshal(h.get("/api/v1/activity"+query).Body.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range all.Entries {
			got = append(got, string(e.Result))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s answers %q, want %q", query, got, want)
		}
		lines, err := csv.NewReader(h.get("/api/v1/activity.csv" + query).Body).ReadAll()
		if err != nil || len(lines) != len(want)+1 || lines[0][0] != "at" {
			t.Errorf("%s as CSV: %q, %v", query, lines, err)
		}
		for _, line := range lines {
			for _, cell := range line {
				if strings.HasPrefix(cell, "=") {
					t.Errorf("a spreadsheet takes %q for a formula", cell)
				}
			}
		}
		if page := parsed(t, h, "/activity"+query); len(elements(elements(page, "main")[0], "li")) != len(want) {
			t.Errorf("%s: the page has %q", query, text(page))
		}
	}
	if read != 1 {
		t.Errorf("the ledger was read %d times within a moment", read)
	}
	page := parsed(t, h, "/activity?kind=rollout&q=a%26b")
	if links := elements(elements(page, "main")[0], "a"); attribute(links[0], "href") != "/api/v1/activity?kind=rollout&q=a%26b" {
		t.Errorf("the other form is at %q", attribute(links[0], "href"))
	}
	h.config.Recent = func(context.Context, int) ([]rollout.Entry, error) { return nil, errors.New("the disk is gone") }
	h.Handler = server.New(h.config)
	for _, path := range []string{"/activity", "/api/v1/activity", "/api/v1/activity.csv"} {
		if w := h.get(path); w.Code != 503 {
			t.Errorf("%s answers %d without a ledger", path, w.Code)
		}
	}
}

func TestControllerPage(t *testing.T) {
	h := newHouse(t)
	h.board.Queue(func() queue.Stats { return queue.Stats{Queued: 7, Due: 2, Held: 1} })
	h.board.Lead(status.Lease{Role: status.RoleLeader, Leader: "controller-a", Fence: 4, Since: noon})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "deploy_aws_budget_requests_per_second", ConstLabels: prometheus.Labels{"budget": "ecs run task"}})
	gauge.Set(1.25)
	throttled := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deploy_aws_throttles_total"}, []string{"service", "operation"})
	throttled.WithLabelValues("ecs", "RunTask").Add(3)
	throttled.WithLabelValues("ecs", "UpdateService")
	h.config.Gatherer.(*prometheus.Registry).MustRegister(gauge, throttled)
	page := text(parsed(t, h, "/controller"))
	for _, want := range []string{"this one, controller-a, lease 4", "7 wait, 2 are due, 1 are looked at now", "0123456", "desired/dev/kitchen.yaml:7:3", "ecs run task 1.25", "ecs RunTask: 3 times"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if strings.Contains(page, "UpdateService") {
		t.Error("it tells of calls that were never throttled")
	}
	for err, want := range map[error]string{nil: "Ledger can be written", errors.New("the disk is full"): "Ledger cannot be written"} {
		h.board.LedgerWritten(err)
		if page := text(parsed(t, h, "/controller")); !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
}

func TestBadge(t *testing.T) {
	h := newHouse(t)
	h.board.Publish(status.View{Record: rollout.Record{Service: "a<b>&"}, Status: condition.Status{Phase: condition.PhaseHealthy, Running: condition.Version{Images: []string{"app:" + hostile}}}})
	w := h.get("/services/a%3Cb%3E&/badge.svg")
	if got := w.Header().Get("Content-Type"); got != "image/svg+xml" || w.Header().Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("type %q, headers %v", got, w.Header())
	}
	words, names := "", []string{}
	for d := xml.NewDecoder(w.Body); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			names = append(names, token.Name.Local)
		case xml.CharData:
			words += string(token)
		}
	}
	if want := []string{"svg", "title", "rect", "rect", "g", "text", "text"}; !slices.Equal(names, want) {
		t.Errorf("elements %v, want %v", names, want)
	}
	if !strings.Contains(words, "a<b>&") || !strings.Contains(words, "✔ Healthy "+hostile) {
		t.Errorf("it says %q", words)
	}
	if w := h.get("/services/nobody/badge.svg"); w.Code != 404 {
		t.Errorf("an unknown service answers %d", w.Code)
	}
}
