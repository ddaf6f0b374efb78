package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

var errNotYet = errors.New("not yet")

// moment is a time as plans print it, and the random end of a secret's ARN.
var (
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)
	arnsTail = regexp.MustCompile(`(:secret:[a-z/-]+)-[A-Za-z0-9]{6}`)
)

// compareGolden compares with a golden file, times apart.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	got = arnsTail.ReplaceAllString(moment.ReplaceAllString(got, "2026-03-01 12:00:00 UTC"), "$1-AbCdEf")
	path := filepath.Join("world", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; if that is meant, run\ngo test ./controller/cmd/controller -run %s -update\n%s", path, t.Name(), diff)
	}
}
