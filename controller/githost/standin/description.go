package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// describe loads what GitHub publishes of the operations, from npm's @octokit/openapi as the lock file pins it. The first call of a
// work tree installs it and keeps the part that is needed; without npm or its registry the test is skipped, but in CI.
func describe(t testing.TB, paths []string) *openapi3.T {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	here = filepath.Dir(here)
	lock, err := os.ReadFile(filepath.Join(here, "testdata", "openapi", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(here, ".description", fmt.Sprintf("%08x.json", sum(string(lock)+strings.Join(paths, " "))))
	text, err := os.ReadFile(kept)
	if err != nil {
		text = install(t, filepath.Join(here, "testdata", "openapi"), paths)
		keep(t, kept, text)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatalf("read GitHub's description: %v", err)
	}
	return doc
}

func sum(s string) uint32 {
	h := uint32(2166136261)
	for _, b := range []byte(s) {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

func keep(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	half := fmt.Sprintf("%s.%d", name, os.Getpid())
	if err := os.WriteFile(half, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, name); err != nil {
		t.Fatal(err)
	}
}

func install(t testing.TB, from string, paths []string) []byte {
	t.Helper()
	missing := func(err error, out []byte) {
		if os.Getenv("CI") != "" {
			t.Fatalf("npm cannot install GitHub's description: %v\n%s", err, out)
		}
		t.Skipf("npm cannot install GitHub's description here: %v\n%s", err, out)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		missing(err, nil)
	}
	dir, err := os.MkdirTemp("", "openapi-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) // 400 MB
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(context.Background(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "node_modules", "@octokit", "openapi", "generated", "api.github.com.json"))
	if err != nil {
		t.Fatal(err)
	}
	return prune(t, text, paths)
}

// prune keeps some paths, and the components that they name.
func prune(t testing.TB, text []byte, paths []string) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	all, kept := doc["paths"].(map[string]any), map[string]any{}
	for _, p := range paths {
		if all[p] == nil {
			t.Fatalf("GitHub's description has no %s", p)
		}
		kept[p] = all[p]
	}
	components, used := doc["components"].(map[string]any), map[string]any{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
				group, _ := used[kind].(map[string]any)
				if group == nil {
					group = map[string]any{}
					used[kind] = group
				}
				if group[name] == nil {
					group[name] = components[kind].(map[string]any)[name]
					walk(group[name])
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(kept)
	out, err := json.Marshal(map[string]any{"openapi": doc["openapi"], "info": doc["info"], "paths": kept, "components": used})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
