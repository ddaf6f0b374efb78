package observability_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/canteen/deploy/observability/rules"
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

var (
	inCode     = regexp.MustCompile("`([^`]+)`")
	metricName = regexp.MustCompile(`\bdeploy_\w+`)
	command    = regexp.MustCompile(`^controller ([a-z-]+)`)
	flagName   = regexp.MustCompile(`(?:^| )--([a-z][a-z-]+)`)
)

// Whoever follows a runbook or a summary at night finds what they name: metrics, queries, subcommands of the program and its flags.
func TestWhatRunbooksNameExists(t *testing.T) {
	texts := map[string]string{}
	books, err := filepath.Glob(runbooksDir + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		text, err := os.ReadFile(b)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(b)] = string(text)
	}
	for _, r := range rulesOf(t, alertsFile) {
		texts[r.Alert] = r.Annotations["summary"]
	}
	have, program, found := told(t), programText(t), map[string]int{}
	for where, text := range texts {
		for _, m := range inCode.FindAllStringSubmatch(text, -1) {
			code := m[1]
			for _, n := range metricName.FindAllString(code, -1) {
				found["metrics"]++
				if have[n] == nil && have[n+"_bucket"] == nil {
					t.Errorf("%s names the metric %s, which no controller tells", where, n)
				}
			}
			if strings.Contains(code, "(") && strings.Contains(code, "deploy_") {
				found["queries"]++
				if _, err := rules.Parse(code); err != nil {
					t.Errorf("%s has the query %s: %v", where, code, err)
				}
			}
			sub := command.FindStringSubmatch(code)
			if sub != nil {
				found["commands"]++
				if !regexp.MustCompile(`Use: +"` + sub[1] + `[ "]`).MatchString(program) {
					t.Errorf("%s names %s, and the program has no such command", where, code)
				}
			}
			if sub == nil && !strings.HasPrefix(code, "--") {
				continue // another program's
			}
			for _, f := range flagName.FindAllStringSubmatch(code, -1) {
				found["flags"]++
				if !strings.Contains(program, `"`+f[1]+`"`) {
					t.Errorf("%s names %s, and the program has no flag --%s", where, code, f[1])
				}
			}
		}
	}
	for what, least := range map[string]int{"metrics": 15, "queries": 1, "commands": 15, "flags": 8} {
		if found[what] < least {
			t.Errorf("only %d %s were found", found[what], what)
		}
	}
}

// programText is the source of the controller's command line.
func programText(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../controller/cmd/controller/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the program's source: %v, %v", files, err)
	}
	var all strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
