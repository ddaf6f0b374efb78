package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/sim"
)

// TestACommitBecomesHealthy: and all that people and machines ask of the controller tells so.
func TestACommitBecomesHealthy(t *testing.T) {
	t.Parallel()
	orders := simple("orders")
	orders.Balanced = true
	w := newWorld(t, sim.Config{}, orders)
	p := w.start("--log-level", "debug")
	p.await("readiness", func() error {
		code, body, err := p.get("/readyz")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	})
	w.ask("1a11111", "orders")
	p.awaitPhase(condition.PhaseHealthy, "orders")
	w.wasRolledOnce(p, "orders")
	t.Run("status", func(t *testing.T) { w.checkStatus(t, p) })
	t.Run("history", func(t *testing.T) { w.checkHistory(t, p) })
	t.Run("metrics", func(t *testing.T) { p.checkMetrics(t) })
	p.stop()
	t.Run("JSON log", func(t *testing.T) { p.checkLog(t) })
}

// asking calls a command that asks the controller.
func (w *world) asking(t *testing.T, p *program, args ...string) string {
	t.Helper()
	code, stdout, stderr := callProgram(t, []string{"DEPLOY_SERVER=http://" + p.addr}, args...)
	if code != 0 || stderr != "" {
		t.Errorf("%v: exit code %d, standard error:\n%s", args, code, stderr)
	}
	return stdout
}

func (w *world) checkStatus(t *testing.T, p *program) {
	out := w.asking(t, p, "status")
	row := columns(out)
	if len(row) != 2 || fmt.Sprint(row[1][:4]) != "[orders ✔ Healthy 1a11111]" {
		t.Errorf("table:\n%s", out)
	}
	var all server.Services
	if err := json.Unmarshal([]byte(w.asking(t, p, "status", "-o", "json")), &all); err != nil || len(all.Services) != 1 || all.Services[0].Phase != condition.PhaseHealthy || all.Environment != "dev" {
		t.Errorf("json: %v: %+v", err, all)
	}
	var one server.Service
	if err := yaml.Unmarshal([]byte(w.asking(t, p, "status", "orders", "-o", "yaml")), &one); err != nil || one.Observed.Running != 2 || one.Good == nil {
		t.Errorf("yaml: %v: %+v", err, one)
	}
}

func (w *world) checkHistory(t *testing.T, p *program) {
	out := w.asking(t, p, "history", "orders")
	row := columns(out)
	if len(row) != 2 || row[1][0] != "1" || row[1][1] != "deploy" || row[1][3] != "app:1a11111" || row[1][4] != "succeeded" {
		t.Errorf("table:\n%s", out)
	}
	for name, unmarshal := range map[string]func(string, *server.History) error{
		"json": func(s string, h *server.History) error { return json.Unmarshal([]byte(s), h) },
		"yaml": func(s string, h *server.History) error { return yaml.Unmarshal([]byte(s), h) },
	} {
		var h server.History
		if err := unmarshal(w.asking(t, p, "history", "orders", "-o", name), &h); err != nil || len(h.Entries) != 1 || h.Entries[0].Result != rollout.ResultSucceeded {
			t.Errorf("%s: %v: %+v", name, err, h)
		}
	}
}

func (p *program) checkMetrics(t *testing.T) {
	_, body, err := p.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", err, problems)
	}
	for series, want := range map[string]float64{
		`deploy_rollouts_total{environment="dev",result="succeeded",service="orders",trigger="git"}`: 1,
		`deploy_rollouts_total{environment="dev",result="rejected",service="orders",trigger="git"}`:  0,
		`deploy_migrations_total{environment="dev",result="succeeded",service="orders"}`:             1,
		`deploy_service_phase{environment="dev",phase="Healthy",service="orders"}`:                   1,
		`deploy_service_synced{environment="dev",service="orders"}`:                                  1,
		`deploy_service_tasks{environment="dev",service="orders",state="running"}`:                   2,
		`deploy_rollout_duration_seconds_count{environment="dev",result="succeeded"}`:                1,
		`deploy_aws_requests_total{code="ok",operation="RunTask",service="ecs"}`:                     1,
		`deploy_git_fetch_total{result="error"}`:                                                     0,
	} {
		if got, ok := sample(body, series); !ok || got != want {
			t.Errorf("%s is %v (there: %t), want %v", series, got, ok, want)
		}
	}
}

// sample is the value of one series in a scrape.
func sample(scrape, series string) (float64, bool) {
	for line := range strings.Lines(scrape) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return f, err == nil
		}
	}
	return 0, false
}

// metric is an error unless a series is there and has the value.
func (p *program) metric(series string, want float64) error {
	_, body, err := p.get("/metrics")
	if v, ok := sample(body, series); err == nil && (!ok || v != want) {
		err = fmt.Errorf("%s is %v (there: %t), want %v", series, v, ok, want)
	}
	return err
}

func (p *program) checkLog(t *testing.T) {
	said := map[string]bool{}
	for line := range strings.Lines(p.out.String()) {
		var entry struct {
			Time       time.Time
			Level, Msg string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "" {
			t.Errorf("%v: line %s", err, line)
		}
		said[entry.Msg] = true
	}
	for _, msg := range []string{"starting", "snapshot", "working", "decided", "rollout ended", "stopped"} {
		if !said[msg] {
			t.Errorf("no line says %q", msg)
		}
	}
}

// TestTheWebhookWakes: with ten minutes between two looks at git, a signed push is seen at once, and nothing else is.
func TestTheWebhookWakes(t *testing.T) {
	t.Parallel()
	const secret = "of-the-webhook"
	w := newWorld(t, sim.Config{}, simple("orders"))
	p := w.startWith([]string{webhookSecretEnv + "=" + secret}, "--poll", "10m", "--log", "console")
	p.await("the first look", func() error { return p.fetched(1) })
	w.ask("1a11111", "orders")
	for name, d := range map[string]struct {
		key, event string
		code       int
	}{"no key": {"", "push", 401}, "a wrong key": {"of-another", "push", 401}, "another event": {secret, "ping", 200}} {
		if code := p.deliver(t, d.key, d.event); code != d.code {
			t.Errorf("%s: answered %d, want %d", name, code, d.code)
		}
	}
	// A look at git here takes milliseconds: what is not there after half a second was not begun.
	time.Sleep(500 * time.Millisecond)
	if err := p.fetched(1); err != nil {
		t.Error(err)
	}
	began := time.Now()
	if code := p.deliver(t, secret, "push"); code != http.StatusAccepted {
		t.Fatalf("a signed push is answered %d", code)
	}
	p.awaitPhase(condition.PhaseMigrating, "orders")
	t.Logf("migrating %s after the delivery", time.Since(began).Round(time.Millisecond))
	if err := p.fetched(2); err != nil {
		t.Error(err)
	}
	if line := p.out.String(); !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}\sINFO\sworking\s\{`).MatchString(line) {
		t.Errorf("the console log is not for people:\n%s", line)
	}
}

// fetched returns nil when git was asked so often.
func (p *program) fetched(want float64) error {
	_, body, err := p.get("/metrics")
	if err != nil {
		return err
	}
	if got, ok := sample(body, `deploy_git_fetch_total{result="ok"}`); !ok || got != want {
		return fmt.Errorf("git was asked %v times, want %v", got, want)
	}
	return nil
}

// deliver sends what GitHub sends, signed with the key, and returns the answer's code.
func (p *program) deliver(t *testing.T, key, event string) int {
	t.Helper()
	body := []byte(`{"ref":"refs/heads/main"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.addr+"/webhook/github", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-GitHub-Event", event)
	if key != "" {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(body)
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
