package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPageNamesWhatExists holds the commands that docs/from-nothing-to-production.md, docs/pipelines.md, docs/adopt.md and
// the runbook that goes back to an older controller name to what there is.
func TestPageNamesWhatExists(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range []string{"from-nothing-to-production.md", "pipelines.md", "adopt.md", "runbooks/controller-absent.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range regexp.MustCompile("(?m)(?:^ *|`)controller [a-z-]+[^`\n]*").FindAllString(string(text), -1) {
			line, _, _ = strings.Cut(strings.Trim(line, "` "), "  #")
			words := strings.Fields(line)
			cmd, _, err := newRootCommand().Find(words[1:2])
			if err != nil || cmd.Name() != words[1] {
				t.Errorf("%s: there is no %q", page, strings.Join(words[:2], " "))
				continue
			}
			named++
			for _, word := range words[2:] {
				flag, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
				if strings.HasPrefix(word, "--") && cmd.Flags().Lookup(flag) == nil && cmd.InheritedFlags().Lookup(flag) == nil {
					t.Errorf("%s: controller %s has no --%s", page, words[1], flag)
				}
			}
		}
		for _, script := range regexp.MustCompile("`(pipeline/[a-z-]+)`").FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, script[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		for _, target := range regexp.MustCompile("`make ([a-z-]+)`").FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(string(makefile), "\n"+target[1]+":") {
				t.Errorf("%s: the Makefile has no %s", page, target[1])
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d commands were found", named)
	}
}
