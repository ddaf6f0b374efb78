package observability_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write the table of metrics anew")

const (
	tableFile  = "../docs/observability.md"
	tableBegin = "<!-- metrics: written by go test ./observability -run TestTheTableOfMetrics -update -->\n"
	tableEnd   = "<!-- end of metrics -->\n"
)

var description = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// The document has every metric that a controller registers, as it registers it.
func TestTheTableOfMetrics(t *testing.T) {
	text, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	old, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", tableFile)
	}
	table := metricsTable(t)
	if strings.Count(table, "\n") < 60 {
		t.Errorf("only %d metrics were found", strings.Count(table, "\n")-2)
	}
	if *update {
		if err := os.WriteFile(tableFile, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("%s tells other metrics than a controller does: run go test ./observability -run TestTheTableOfMetrics -update", tableFile)
	}
}

func metricsTable(t *testing.T) string {
	t.Helper()
	registry := everything()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]dto.MetricType{}
	for _, f := range families {
		kinds[f.GetName()] = f.GetType()
	}
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		registry.Describe(all)
	}()
	rows := map[string]string{}
	for d := range all {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s is not understood", d)
		}
		name, help := m[1], strings.ReplaceAll(m[2], `\"`, `"`)
		kind, told := kinds[name]
		if !told {
			t.Errorf("%s is registered, and not told by a controller that has everything", name)
		}
		rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", name, strings.ToLower(kind.String()), labelsOf(m[3], m[4]), unitOf(name), strings.ReplaceAll(help, "|", `\|`))
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range rows {
			if !yield(n) {
				return
			}
		}
	})
	out := "| metric | type | labels | unit | what |\n|---|---|---|---|---|\n"
	for _, n := range names {
		out += rows[n]
	}
	return out
}

// labelsOf are the labels of a description: those that are the same for each series, then the others.
func labelsOf(same, others string) string {
	var out []string
	for l := range strings.SplitSeq(same, ",") {
		name, _, _ := strings.Cut(l, "=")
		out = append(out, name)
	}
	out = append(out, strings.Split(others, ",")...)
	out = slices.DeleteFunc(out, func(l string) bool { return l == "" })
	return cmp.Or(strings.Join(out, ", "), "–")
}

// unitOf is what Prometheus' rules of naming say of a name.
func unitOf(name string) string {
	counted := strings.TrimSuffix(name, "_total")
	for _, u := range []struct{ suffix, unit string }{
		{"_timestamp_seconds", "time, seconds since 1970"}, {"_seconds", "seconds"}, {"_bytes", "bytes"}, {"_info", "always 1"}, {"_per_second", "a second"},
	} {
		if strings.HasSuffix(counted, u.suffix) {
			return u.unit
		}
	}
	return "number"
}
