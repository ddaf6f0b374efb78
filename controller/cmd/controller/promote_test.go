package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// answers is a controller that says whose it is, and that all is well with whatever it is asked about.
func answers(t *testing.T, environment, account, region string) string {
	t.Helper()
	digest := "sha256:" + strings.Repeat("a", 64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/records":
			fmt.Fprintf(w, `{"environment":%q,"account":%q,"region":%q,"schema":1,"at":"2026-03-01T12:00:00Z","services":1}`+"\n", environment, account, region)
		case strings.HasSuffix(r.URL.Path, "/history"):
			fmt.Fprintf(w, `{"entries":[{"kind":"deploy","result":"succeeded","images":["AppContainer:a4c01f7"],"digests":[%q],"endedAt":"2026-03-01T12:05:00Z"}]}`, digest)
		default:
			fmt.Fprint(w, `{"service":"order-processing","phase":"Healthy"}`)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// promotable is a clone, and the host that it is of, in which staging and prod ask for what qa does not, and more files of desired/.
func promotable(t *testing.T, more map[string]string) (clone, bare string) {
	t.Helper()
	top := t.TempDir()
	bare, clone = filepath.Join(top, "host.git"), filepath.Join(top, "clone")
	git := func(dir string, args ...string) {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git(top, "init", "--quiet", "--bare", "--initial-branch=main", bare)
	git(top, "clone", "--quiet", bare, clone)
	if err := os.CopyFS(filepath.Join(clone, "desired"), os.DirFS("../../release/testdata/promotable")); err != nil {
		t.Fatal(err)
	}
	for env, tag := range map[string]string{"staging": "a4c01f7", "prod": "a4c01f7", "qa": "1a2b3c4"} {
		file := filepath.Join(clone, "desired", env, "order-processing.yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data = regexp.MustCompile(`image: .*`).ReplaceAll(data, []byte(`image: {tag: "`+tag+`"}`))
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range more {
		if err := os.WriteFile(filepath.Join(clone, "desired", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(clone, "add", "--all")
	git(clone, "commit", "--quiet", "--message", "desired")
	git(clone, "push", "--quiet", "origin", "HEAD:main")
	return clone, bare
}

// DEPLOY_SERVER is set in many a shell: only the source's own controller proves anything.
func TestPromoteAsksTheSourceOnly(t *testing.T) {
	const dev, staging, prod = "000000000000", "222222222222", "333333333333"
	for _, tt := range []struct {
		name, from                   string
		environment, account, region string
		refused                      string
	}{
		{"the source's", "staging", "staging", staging, "eu-central-1", ""},
		{"by its folder's name", "prod", "prod", prod, "eu-central-1", ""},
		{"by the name in its file", "prod", "production", prod, "eu-central-1", ""},
		{"another environment's", "staging", "dev", dev, "eu-central-1",
			"is that of dev and works in account 000000000000 in eu-central-1, and desired/staging/environment.yaml names staging, account 222222222222 in eu-central-1"},
		{"another one of the same account", "staging", "dev", staging, "eu-central-1", "is that of dev and works in account 222222222222"},
		{"another region's", "staging", "staging", staging, "us-east-1", "works in account 222222222222 in us-east-1"},
		{"nobody's", "staging", "staging", "", "", "does not say whose records it has"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clone, bare := promotable(t, nil)
			server := answers(t, tt.environment, tt.account, tt.region)
			code, stdout, stderr := callProgram(t, []string{"DEPLOY_SERVER=" + server}, "promote", "-C", clone, "--from", tt.from, "--to", "qa", "--push")
			branches, _ := exec.Command("git", "-C", bare, "branch", "--list", "promote/*").Output()
			switch {
			case tt.refused == "" && (code != 0 || len(branches) == 0):
				t.Errorf("exit code %d: %s%s", code, stdout, stderr)
			case tt.refused != "" && (code != 1 || !strings.Contains(stderr, tt.refused) || stdout != "" || len(branches) > 0):
				t.Errorf("exit code %d, want 1 and %q: %s%s, branches %s", code, tt.refused, stdout, stderr, branches)
			}
		})
	}
}

// One invalid file is told, and the exit code says so; what else there is goes on.
func TestPromoteBesideAnInvalidFile(t *testing.T) {
	clone, bare := promotable(t, map[string]string{
		"staging/menu.yaml": "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: menu}\nspec: {stick: menu}\n", "qa/menu.yaml": "",
	})
	server := answers(t, "staging", "222222222222", "eu-central-1")
	promote := func(more ...string) (int, string, string) {
		return callProgram(t, nil, append([]string{"promote", "-C", clone, "--from", "staging", "--to", "qa", "--server", server, "--push"}, more...)...)
	}
	code, stdout, stderr := promote()
	if code != 1 || stderr != "" || !strings.Contains(stdout, "order-processing (AppContainer): 1a2b3c4 → a4c01f7") || !strings.Contains(stdout, "- `desired/staging/menu.yaml:4:8: ") ||
		!strings.HasSuffix(stdout, "pushed promote/staging-to-qa\n") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	changed, err := exec.Command("git", "-C", bare, "diff", "--name-only", "main", "promote/staging-to-qa").Output()
	if err != nil || string(changed) != "desired/qa/order-processing.yaml\n" {
		t.Errorf("the branch changes %s, %v", changed, err)
	}
	if code, stdout, stderr := promote("--service", "order-processing"); code != 0 || strings.Contains(stdout, "menu") {
		t.Errorf("without it: exit code %d: %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := promote("--service", "menu"); code != 1 || stdout != "" || !strings.Contains(stderr, "desired/staging/menu.yaml:4:8: ") {
		t.Errorf("by name: exit code %d: %s%s", code, stdout, stderr)
	}
}

// A second promotion, after the first was merged, has nothing to say and nothing to push.
func TestPromoteAgain(t *testing.T) {
	clone, bare := promotable(t, nil)
	server := answers(t, "staging", "222222222222", "eu-central-1")
	promote := func() (int, string, string) {
		return callProgram(t, []string{"DEPLOY_SERVER=" + server}, "promote", "-C", clone, "--from", "staging", "--to", "qa", "--push")
	}
	if code, stdout, stderr := promote(); code != 0 || !strings.HasSuffix(stdout, "pushed promote/staging-to-qa\n") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	for _, args := range [][]string{{"branch", "--force", "main", "promote/staging-to-qa"}, {"branch", "-D", "promote/staging-to-qa"}} {
		if out, err := exec.Command("git", append([]string{"-C", bare}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	if code, stdout, stderr := promote(); code != 0 || stdout != "qa asks for all that staging does; nothing to promote\n" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if out, err := exec.Command("git", "-C", bare, "branch", "--list", "promote/*").Output(); err != nil || len(out) > 0 {
		t.Errorf("there is a branch: %s, %v", out, err)
	}
}
