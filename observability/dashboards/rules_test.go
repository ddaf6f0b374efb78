package dashboards_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/observability/rules"
)

// rulesHold holds the rules against what the controller's own /metrics answers, and against Prometheus, which evaluates them: names, labels,
// and that none has an error. What values labels can have is held in the tests of the rules themselves.
func rulesHold(t *testing.T, controllers []*app.App, prom string) {
	told := rules.Told{}
	for _, a := range controllers {
		answer := httptest.NewRecorder()
		a.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		one, err := rules.Scraped(answer.Body)
		must(t, err)
		maps.Copy(told, one)
	}
	document, err := os.ReadFile("../../docs/observability.md")
	must(t, err)
	for name := range told {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		if strings.HasPrefix(name, "deploy_") && !strings.Contains(string(document), "| `"+name+"` |") {
			t.Errorf("docs/observability.md lacks %s, which is in the scrape", name)
		}
	}
	var all []rules.Rule
	for _, file := range []string{"../recording.yaml", "../alerts.yaml"} {
		some, err := rules.Read(file)
		must(t, err)
		all = append(all, some...)
	}
	lacks, asked, err := told.Lacks(all, false)
	must(t, err)
	for _, l := range lacks {
		t.Errorf("%s, which is not in the scrape", l)
	}
	if asked < 60 {
		t.Errorf("only %d selectors were held against the scrape", asked)
	}
	var recorded []string // names, each before what it stands for: rules of weeks are evaluated every five minutes
	for _, r := range all {
		expr := r.Expr
		if r.Record != "" {
			expr = strings.NewReplacer(recorded...).Replace(expr)
			recorded = append(recorded, r.Record, "("+expr+")")
		}
		// What is recorded has series, though of some there is no number yet; an alert that is quiet has none, and no error.
		if n := rows(t, prom, expr); r.Record != "" && n == 0 && rows(t, prom, "count("+expr+")") == 0 {
			t.Errorf("nothing to record as %s", r.Record)
		}
	}
	var loaded struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	must(t, json.Unmarshal(get(t, prom+"/api/v1/rules"), &loaded))
	n := 0
	for _, g := range loaded.Data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health == "err" {
				t.Errorf("Prometheus cannot evaluate %s: %s", r.Name, r.LastError)
			}
		}
	}
	if n != len(all) {
		t.Errorf("Prometheus has %d rules, want %d", n, len(all))
	}
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	answer, err := http.Get(address)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return body
}
