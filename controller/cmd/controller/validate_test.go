package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// call runs the command line and returns its exit code and both outputs.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

const repository = "../../.."

// TestDesiredIsValid: what this repository asks for is valid, and a schema folder is no environment.
func TestDesiredIsValid(t *testing.T) {
	t.Chdir(repository)
	code, out, errs := call(t, "validate", "desired")
	want := `desired/dev: environment dev ok, 1 service ok
desired/prod: environment production ok, 1 service ok
desired/qa: environment qa ok, 1 service ok
desired/staging: environment staging ok, 1 service ok
`
	if diff := cmp.Diff(want, out); diff != "" || code != 0 {
		t.Errorf("exit %d, %s, want (-), got (+):\n%s", code, errs, diff)
	}
}

func TestDesiredNamesItsSchema(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repository, "desired/*/*.yaml"))
	if err != nil || len(files) < 8 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := "# yaml-language-server: $schema=../schema/service.schema.json\n"
		if filepath.Base(file) == "environment.yaml" {
			want = "# yaml-language-server: $schema=../schema/environment.schema.json\n"
		}
		if !strings.HasPrefix(string(text), want) {
			t.Errorf("%s does not begin with %s", file, want)
		}
		pinned := strings.Contains(file, "/staging/") || strings.Contains(file, "/prod/")
		if pinned && !strings.HasSuffix(file, "environment.yaml") && !strings.Contains(string(text), "digest: \"sha256:") {
			t.Errorf("%s has no digest; from staging on, what was verified is what runs", file)
		}
	}
}

func TestSchemasAreFresh(t *testing.T) {
	for _, kind := range []string{"service", "environment"} {
		file := "desired/schema/" + kind + ".schema.json"
		committed, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		code, made, errs := call(t, "schema", kind)
		if diff := cmp.Diff(string(committed), made); diff != "" || code != 0 {
			t.Errorf("%s is stale (%s), run: go run ./controller/cmd/controller schema %s -o %s\n%s", file, errs, kind, file, diff)
		}
		into := filepath.Join(t.TempDir(), "schema.json")
		if code, _, errs := call(t, "schema", kind, "-o", into); code != 0 {
			t.Errorf("exit %d: %s", code, errs)
		}
		if written, _ := os.ReadFile(into); string(written) != made {
			t.Errorf("-o writes something else than the standard output")
		}
	}
}

func TestValidate(t *testing.T) {
	const invalid = `testdata/mixed/shop.yaml:9:20: spec.containers.App.image.tag is "latest", which moves from image to image; write the short git SHA that CI pushed
testdata/mixed/shop.yaml:10:3: unknown field "replicas" in spec; known: containers, dependsOn, emergency, migration, onFailure, onSecretChange, retry, rollout, stack, suspend, verify
`
	for _, c := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"folder", []string{"testdata/mixed"}, 1, invalid + "testdata/mixed: environment development-account ok, 1 service ok, 1 invalid\n", ""},
		{"bad file", []string{"testdata/mixed/shop.yaml"}, 1, invalid, ""},
		{"good file", []string{"testdata/mixed/store.yaml"}, 0, "testdata/mixed/store.yaml: ok\n", ""},
		{"environment's file", []string{"testdata/mixed/environment.yaml"}, 0, "testdata/mixed/environment.yaml: ok\n", ""},
		{"all environments", []string{"testdata"}, 1, invalid + `testdata/orphan/environment.yaml:1:1: the file is missing; it says which account and region the environment is
testdata/mixed: environment development-account ok, 1 service ok, 1 invalid
testdata/orphan: environment invalid, 1 service ok
`, ""},
		{"told once", []string{"testdata/mixed/shop.yaml", "testdata/mixed/shop.yaml"}, 1, invalid, ""},
		{"nothing there", []string{"testdata/none"}, 2, "", "controller: no file or folder testdata/none: no such file or directory\nsee controller --help\n"},
		{"no environment", []string{"EMPTY"}, 2, "", "controller: EMPTY holds no environment; name a folder with an environment.yaml, or the folder above\nsee controller --help\n"},
		{"other file", []string{"validate.go"}, 2, "", "controller: validate.go is not a *.yaml file\nsee controller --help\n"},
		{"no path", nil, 2, "", "controller: requires at least 1 arg(s), only received 0\nsee controller --help\n"},
		{"bad output", []string{"-o", "xml", "testdata"}, 2, "", "controller: unknown output \"xml\"; write text or json\nsee controller --help\n"},
		{"bad flag", []string{"--strict"}, 2, "", "controller: unknown flag: --strict\nsee controller --help\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			empty := t.TempDir()
			args := []string{"validate"}
			for _, a := range c.args {
				args = append(args, strings.ReplaceAll(a, "EMPTY", empty))
			}
			code, stdout, stderr := call(t, args...)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			if diff := cmp.Diff(c.stdout, stdout); diff != "" {
				t.Errorf("standard output: want (-), got (+):\n%s", diff)
			}
			if diff := cmp.Diff(c.stderr, strings.ReplaceAll(stderr, empty, "EMPTY")); diff != "" {
				t.Errorf("standard error: want (-), got (+):\n%s", diff)
			}
		})
	}
}

func TestValidateJSON(t *testing.T) {
	code, stdout, _ := call(t, "validate", "-o", "json", "testdata/mixed")
	var got struct {
		Folders []map[string]any
		Errors  []struct {
			File      string
			Line, Col int
			Message   string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{"path": "testdata/mixed", "environment": "development-account", "services": []any{"store"}, "invalid": []any{"shop"}}}
	if diff := cmp.Diff(want, got.Folders); diff != "" || code != 1 {
		t.Errorf("exit %d, want (-), got (+):\n%s", code, diff)
	}
	if len(got.Errors) != 2 || got.Errors[0].File != "testdata/mixed/shop.yaml" || got.Errors[0].Line != 9 || got.Errors[0].Col != 20 {
		t.Errorf("errors %+v", got.Errors)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"valdate"}, {"schema", "pod"}, {"schema", "service", "environment"}} {
		if code, _, stderr := call(t, args...); code != 2 || stderr == "" {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
	if code, stdout, _ := call(t); code != 0 || !strings.Contains(stdout, "validate") {
		t.Errorf("without arguments: exit %d, %q", code, stdout)
	}
}

// TestValidateFollowsNoLinks: what the controller would not read is not called valid, and nothing outside the folder is read.
func TestValidateFollowsNoLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository, "desired"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, target := range map[string]string{
		"linked": "dev", "outside": "/etc", "circle": "circle", "gone": "/nowhere", "notes.txt": "/etc/hostname", // the last one is no environment's business
		"dev/passwd.yaml": "/etc/passwd", "dev/self.yaml": "self.yaml",
	} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate("qa/environment.yaml", 50<<20); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call(t, "validate", ".")
	want := `dev/passwd.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
dev/self.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
qa/environment.yaml:1:1: the file has 52428800 bytes, and at most 1048576 are read; an environment's files are short texts
circle:1:1: a symbolic link, which is not followed; put the folder itself here
gone:1:1: a symbolic link, which is not followed; put the folder itself here
linked:1:1: a symbolic link, which is not followed; put the folder itself here
outside:1:1: a symbolic link, which is not followed; put the folder itself here
dev: environment dev ok, 1 service ok, 2 invalid
prod: environment production ok, 1 service ok
qa: environment invalid, 1 service ok
staging: environment staging ok, 1 service ok
`
	if diff := cmp.Diff(sorted(want), sorted(out)); diff != "" || code != 1 {
		t.Errorf("exit %d, %s, want (-), got (+):\n%s", code, errs, diff)
	}
}

func sorted(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}
