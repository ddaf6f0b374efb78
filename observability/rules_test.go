// Package observability_test holds the rule files for Prometheus against promtool, against what a controller really tells, and
// against the runbooks.
package observability_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/expfmt"
	"go.yaml.in/yaml/v3"

	"github.com/canteen/deploy/observability/rules"
)

const (
	alertsFile    = "alerts.yaml"
	recordingFile = "recording.yaml"
)

// rulesOf reads the rules of a file.
func rulesOf(t *testing.T, file string) []rules.Rule {
	t.Helper()
	all, err := rules.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// promtool runs Prometheus' own tool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	promtoolReads(t, nil, args...)
}

// promtoolReads runs it with something to read.
func promtoolReads(t *testing.T, text io.Reader, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed; Debian's package prometheus has it")
		}
		t.Skip("promtool is not installed; Debian's package prometheus has it")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = text
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// Prometheus can read the rules, and finds none twice.
func TestPromtoolReadsTheRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", alertsFile, recordingFile)
}

// Names, types and help of each metric are as Prometheus wants them.
func TestPromtoolReadsTheMetrics(t *testing.T) {
	families, err := everything().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	promtoolReads(t, &text, "check", "metrics")
}

// What is written in tests/ of when a rule fires is so.
func TestRulesFireAsWritten(t *testing.T) {
	for _, file := range testFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", file)
		})
	}
}

func testFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("tests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("tests of the rules: %v, %v", files, err)
	}
	return files
}
