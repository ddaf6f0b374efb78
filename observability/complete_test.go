package observability_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runbooks is where a rule's runbook_url leads; runbooksDir is the same folder here.
const (
	runbooks    = "https://github.com/canteen/deploy/blob/main/docs/runbooks/"
	runbooksDir = "../docs/runbooks"
)

// Whoever is paged is told how much it matters, what to do, and where to read on; and each runbook belongs to a rule.
func TestEachAlertSaysWhatToDo(t *testing.T) {
	var named []string
	for _, r := range rulesOf(t, alertsFile) {
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q, want page or ticket", r.Alert, s)
		}
		if s := r.Annotations["summary"]; !strings.Contains(s, "$labels.environment") {
			t.Errorf("%s: the summary does not say where: %s", r.Alert, s)
		}
		book, ok := strings.CutPrefix(r.Annotations["runbook_url"], runbooks)
		if !ok {
			t.Errorf("%s: runbook_url %q does not begin with %s", r.Alert, r.Annotations["runbook_url"], runbooks)
			continue
		}
		named = append(named, book)
		text, err := os.ReadFile(filepath.Join(runbooksDir, book))
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		} else if !strings.Contains(string(text), "`"+r.Alert+"`") {
			t.Errorf("%s: its runbook %s does not name it", r.Alert, book)
		}
	}
	books, err := filepath.Glob(runbooksDir + "/*.md")
	if err != nil || len(books) == 0 {
		t.Fatalf("runbooks: %v, %v", books, err)
	}
	for _, b := range books {
		if !slices.Contains(named, filepath.Base(b)) {
			t.Errorf("no rule leads to %s", b)
		}
	}
}

// Each alert is shown to fire, and to be quiet over series that are not empty.
func TestEachAlertIsSeenBothWays(t *testing.T) {
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, file := range testFiles(t) {
		var f struct {
			Tests []struct {
				Input []struct{ Series string } `yaml:"input_series"`
				Rules []struct {
					Alert string           `yaml:"alertname"`
					Want  []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		readYAML(t, file, &f)
		for _, test := range f.Tests {
			for _, r := range test.Rules {
				switch {
				case len(r.Want) > 0:
					fires[r.Alert] = true
				case len(test.Input) > 0:
					quiet[r.Alert] = true
				}
			}
		}
	}
	for _, r := range rulesOf(t, alertsFile) {
		if !fires[r.Alert] || !quiet[r.Alert] {
			t.Errorf("%s: a test in which it fires: %t, is quiet: %t", r.Alert, fires[r.Alert], quiet[r.Alert])
		}
	}
}
