package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zaptest"
	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// runningController is a real server over a board with two services.
func runningController(t *testing.T) string {
	reg := prometheus.NewRegistry()
	board := status.New(reg, "dev", status.Build{}, zaptest.NewLogger(t))
	board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseHealthy, Why: "All is well."}})
	board.Publish(status.View{Record: rollout.Record{Service: "orders"}, Status: condition.Status{
		Phase: condition.PhaseReverted, Why: "Refused:\x1b[2J it crashed.", Since: time.Now().Add(-90 * time.Minute),
		Running: condition.Version{Commit: "0badcafe00", Images: []string{"AppContainer:9f9f9f9", "Sidecar:9f9f9f9"}},
	}})
	board.Repo(status.RepoView{Error: "timeout", Invalid: map[string][]desired.Error{"kitchen.yaml": {{File: "kitchen.yaml", Line: 3, Col: 5, Message: "unknown field"}}}})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := server.New(server.Config{
		Board: board, Gatherer: reg, Wake: func() {}, Ready: func() []string { return nil },
		History: func(_ context.Context, service string, limit int) ([]rollout.Entry, error) {
			if service != "orders" {
				return nil, nil
			}
			all := []rollout.Entry{
				{Service: service, Number: 2, Kind: rollout.KindRevert, Result: rollout.ResultReverted, StartedAt: at, EndedAt: at.Add(40 * time.Second), Message: "9f9f9f9 serves again"},
				{Service: service, Number: 1, Kind: rollout.KindDeploy, Result: rollout.ResultRejected, Commit: desired.Commit{SHA: "feedface00"}, Images: []string{"AppContainer:1a2b3c4"},
					StartedAt: at, EndedAt: at.Add(95 * time.Second), Message: "it crashed", Evidence: &rollout.Evidence{Check: "steady", Log: []string{"panic"}}},
			}
			return all[:min(limit, len(all))], nil
		},
	})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// execute runs a command as main does, without main's own list of commands.
func execute(t *testing.T, cmd *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func columns(table string) [][]string {
	var out [][]string
	for line := range strings.Lines(table) {
		out = append(out, strings.Fields(line))
	}
	return out
}

func TestStatusTable(t *testing.T) {
	out, err := execute(t, newStatusCommand(), "--server", runningController(t))
	if err != nil {
		t.Fatal(err)
	}
	got := columns(out)
	want := []string{
		"[SERVICE PHASE VERSION COMMIT SINCE NEXT WHY]",
		"[orders ↩ Reverted 9f9f9f9 0badcaf 1h 30m - Refused: [2J it crashed.]",
		"[menu ✔ Healthy - - - - All is well.]",
		"[invalid: kitchen.yaml:3:5: unknown field]",
		"[git cannot be fetched: timeout]",
	}
	for i, w := range want {
		if i >= len(got) || fmt.Sprint(got[i]) != w {
			t.Fatalf("line %d is not %s:\n%s", i, w, out)
		}
	}
	if strings.ContainsRune(out, '\x1b') {
		t.Error("an escape sequence reaches the terminal")
	}
}

func TestStatusOfOneService(t *testing.T) {
	address := runningController(t)
	out, err := execute(t, newStatusCommand(), "orders", "--server", address)
	if got := columns(out); err != nil || len(got) != 2 || got[1][0] != "orders" {
		t.Errorf("%v:\n%s", err, out)
	}
	out, err = execute(t, newStatusCommand(), "orders", "--server", address+"/", "-o", "yaml")
	var s server.Service
	if yaml.Unmarshal([]byte(out), &s) != nil || err != nil || s.Phase != condition.PhaseReverted || len(s.History) != 2 {
		t.Errorf("%v: yaml:\n%s", err, out)
	}
	out, err = execute(t, newStatusCommand(), "--server", address, "-o", "json")
	var all server.Services
	if json.Unmarshal([]byte(out), &all) != nil || err != nil || len(all.Services) != 2 {
		t.Errorf("%v: json:\n%s", err, out)
	}
}

func TestStatusAsksWhereTheEnvironmentSays(t *testing.T) {
	t.Setenv("DEPLOY_SERVER", runningController(t))
	if out, err := execute(t, newStatusCommand()); err != nil || !strings.Contains(out, "orders") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestHistoryTable(t *testing.T) {
	address := runningController(t)
	out, err := execute(t, newHistoryCommand(), "orders", "--server", address)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"[# KIND COMMIT VERSION RESULT STARTED TOOK MESSAGE]",
		"[2 revert - - reverted 2026-03-01 12:00:00Z 40s 9f9f9f9 serves again]",
		"[1 deploy feedfac AppContainer:1a2b3c4 rejected 2026-03-01 12:00:00Z 1m it crashed]",
	}
	for i, w := range want {
		if got := columns(out); i >= len(got) || fmt.Sprint(got[i]) != w {
			t.Fatalf("line %d is not %s:\n%s", i, w, out)
		}
	}
	if out, err := execute(t, newHistoryCommand(), "orders", "--limit", "1", "--server", address); err != nil || len(columns(out)) != 2 {
		t.Errorf("limit 1: %v:\n%s", err, out)
	}
	if out, err := execute(t, newHistoryCommand(), "orders", "-o", "json", "--server", address); err != nil || !strings.Contains(out, `"log":["panic"]`) {
		t.Errorf("the evidence is missing: %v:\n%s", err, out)
	}
}

func TestAskingGoesWrong(t *testing.T) {
	address := runningController(t)
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/services" {
			fmt.Fprint(w, "<html>")
			return
		}
		http.Error(w, "<html>", http.StatusBadGateway)
	}))
	defer stranger.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	tests := []struct {
		name  string
		cmd   *cobra.Command
		args  []string
		usage bool
		want  string
	}{
		{"unknown service", newStatusCommand(), []string{"nobody", "--server", address}, false, `no service "nobody" is known here`},
		{"unknown service's history", newHistoryCommand(), []string{"nobody", "--server", address}, false, `no service "nobody" is known here`},
		{"a name that is a path", newStatusCommand(), []string{"../../metrics", "--server", address}, false, `no service "../../metrics" is known here`},
		{"nobody there", newStatusCommand(), []string{"--server", gone.URL}, false, "no controller answers at 127.0.0.1:"},
		{"somebody else", newStatusCommand(), []string{"--server", stranger.URL}, false, "not JSON"},
		{"somebody else's error", newStatusCommand(), []string{"a", "--server", stranger.URL}, false, "answers 502 Bad Gateway"},
		{"too large a limit", newHistoryCommand(), []string{"orders", "--limit", "501", "--server", address}, false, "from 1 to 500"},
		{"no address", newStatusCommand(), []string{"--server", "localhost:8080"}, true, "is no address; write one such as"},
		{"unknown output", newStatusCommand(), []string{"-o", "xml", "--server", address}, true, "write table, json or yaml"},
		{"two services", newStatusCommand(), []string{"a", "b"}, true, "at most 1 arg"},
		{"no service", newHistoryCommand(), nil, true, "accepts 1 arg"},
		{"no limit", newHistoryCommand(), []string{"orders", "--limit", "0"}, true, "at least 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := execute(t, tt.cmd, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if _, usage := err.(usageError); usage != tt.usage {
				t.Errorf("usage error: %v, want %v", usage, tt.usage)
			}
			if out != "" {
				t.Errorf("prints %q besides", out)
			}
		})
	}
}

// A load balancer that wants a login sends whoever asks to another host. Nobody goes there: its page is no answer, and says nothing of health.
func TestNobodyFollowsToALogin(t *testing.T) {
	asked := 0
	login := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(login.Close)
	there := strings.Replace(login.URL, "127.0.0.1", "localhost", 1)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, there+"/authorize?client_id=1", http.StatusFound)
	}))
	t.Cleanup(gate.Close)
	_, err := execute(t, newStatusCommand(), "--server", gate.URL)
	want := gate.URL + " asks for a login at " + strings.TrimPrefix(there, "http://") + "; ask the controller's task itself"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if _, err := execute(t, newHealthCommand(), "--server", gate.URL); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("health: error %v, want the gate's 302", err)
	}
	if asked > 0 {
		t.Errorf("the login was asked %d times", asked)
	}

	// From http to https, or from one path to another, of the same host is followed.
	here := runningController(t)
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, here+r.URL.Path, http.StatusMovedPermanently)
	}))
	t.Cleanup(moved.Close)
	if out, err := execute(t, newStatusCommand(), "--server", moved.URL); err != nil || !strings.Contains(out, "orders") {
		t.Errorf("%v:\n%s", err, out)
	}
	circle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	t.Cleanup(circle.Close)
	if _, err := execute(t, newStatusCommand(), "--server", circle.URL); err == nil {
		t.Error("a circle is an answer")
	}
}
