package main

import (
	"os"
	"strings"
	"testing"
)

// Every break still fits: what it replaces is in its file once, and is replaced by something else.
func TestBreaksFit(t *testing.T) {
	for _, b := range breakages {
		text, err := os.ReadFile("../" + b.file)
		if err != nil {
			t.Errorf("%s: %v", b.what, err)
			continue
		}
		if n := strings.Count(string(text), b.old); n != 1 || b.old == b.new {
			t.Errorf("%s: %s has %q %d times, want once", b.what, b.file, b.old, n)
		}
	}
}
