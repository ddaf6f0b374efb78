package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// host is a bare repository whose main takes no push by people, and a person's clone of it.
type host struct {
	t           *testing.T
	bare, clone string
	env         []string // of whoever has no settings of git's
}

// newHost has an infra/cdk.json that asks for the newer of two builds, of which it answers the tags.
func newHost(t *testing.T) (h *host, older, newer string) {
	t.Helper()
	dir := t.TempDir()
	h = &host{t: t, bare: filepath.Join(dir, "host.git"), clone: filepath.Join(dir, "clone"), env: []string{"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@canteen.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@canteen.example"}}
	h.git(dir, "init", "--quiet", "--bare", "--initial-branch=main", h.bare)
	h.git(dir, "clone", "--quiet", "file://"+h.bare, h.clone)
	commit := func(image string) string {
		if err := os.MkdirAll(filepath.Join(h.clone, "infra"), 0o755); err != nil {
			t.Fatal(err)
		}
		text := `{"context": {"environments": {"production": {"controller": {"image": "` + image + `"}}}}}`
		if err := os.WriteFile(filepath.Join(h.clone, "infra", "cdk.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h.git(h.clone, "add", "--all")
		h.git(h.clone, "commit", "--quiet", "--message", "controller "+image)
		h.git(h.clone, "push", "--quiet", "origin", "HEAD:main")
		return h.git(h.clone, "rev-parse", "--short=7", "HEAD")
	}
	older = commit("0000000")
	newer = commit(older)
	commit(newer)
	hook := "#!/bin/sh\nwhile read -r _ _ ref; do [ \"$ref\" != refs/heads/main ] || { echo 'main takes pull requests only' >&2; exit 1; }; done\n"
	if err := os.WriteFile(filepath.Join(h.bare, "hooks", "pre-receive"), []byte(hook), 0o700); err != nil {
		t.Fatal(err)
	}
	return h, older, newer
}

func (h *host) git(dir string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), h.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (h *host) set(tag string, more ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	return callProgram(h.t, h.env, append([]string{"set-controller", "-C", h.clone, "--env", "production", "--tag", tag}, more...)...)
}

// TestTheRunbookGoesBack does what docs/runbooks/controller-absent.md tells whoever is paged to do.
func TestTheRunbookGoesBack(t *testing.T) {
	h, older, newer := newHost(t)
	was := h.git(h.bare, "rev-parse", "main")

	code, stdout, stderr := h.set(older)
	if code != 0 || stderr != "" || !strings.Contains(stdout, "nothing is written") || !strings.Contains(stdout, "--back") {
		t.Errorf("a pipeline that comes late ends with %d and is told %q%s", code, stdout, stderr)
	}
	code, _, stderr = h.set(older, "--back", "it does not start")
	if code != 1 || !strings.Contains(stderr, "main takes pull requests only") || !strings.Contains(stderr, "--propose BRANCH") {
		t.Errorf("a push that main does not take ends with %d: %s", code, stderr)
	}
	if now := h.git(h.bare, "rev-parse", "main"); now != was {
		t.Errorf("main is %s, was %s", now, was)
	}

	code, stdout, stderr = h.set(older, "--back", "it does\nnot start", "--propose", "controller-back")
	if code != 0 || !strings.Contains(stdout, "branch controller-back; open its pull request into main") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	if got := h.git(h.bare, "show", "controller-back:infra/cdk.json"); !strings.Contains(got, `"image": "`+older+`"`) {
		t.Errorf("the branch has %s, want %s", got, older)
	}
	if got := h.git(h.bare, "log", "-1", "--format=%B", "controller-back"); !strings.Contains(got, "It was "+newer+" before.") || !strings.Contains(got, "it does not start") {
		t.Errorf("the commit says %q", got)
	}
	if parent := h.git(h.bare, "rev-parse", "controller-back^"); parent != was {
		t.Errorf("the branch goes on from %s, want main's %s", parent, was)
	}
	if code, _, stderr := h.set(older, "--back", "again", "--propose", "controller-back"); code != 1 || !strings.Contains(stderr, "there is a branch controller-back already") {
		t.Errorf("a branch that is there ends with %d: %s", code, stderr)
	}

	// Whoever may push needs no branch.
	if err := os.Remove(filepath.Join(h.bare, "hooks", "pre-receive")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := h.set(older, "--back", "it does not start"); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if got := h.git(h.bare, "show", "main:infra/cdk.json"); !strings.Contains(got, `"image": "`+older+`"`) {
		t.Errorf("main has %s, want %s", got, older)
	}
}

func TestWrongControllers(t *testing.T) {
	for want, args := range map[string][]string{
		"--env must name an environment": {"--tag", "1a2b3c4"},
		`--tag is "latest"`:              {"--env", "dev", "--tag", "latest"},
		"--back is empty":                {"--env", "dev", "--tag", "1a2b3c4", "--back", " "},
		`--propose is ""`:                {"--env", "dev", "--tag", "1a2b3c4", "--propose", ""},
		`--propose is "main"`:            {"--env", "dev", "--tag", "1a2b3c4", "--propose", "main"},
	} {
		if code, stdout, stderr := callProgram(t, nil, append([]string{"set-controller"}, args...)...); code != 2 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, want 2; %q, want %q", code, stderr, want)
		}
	}
}
