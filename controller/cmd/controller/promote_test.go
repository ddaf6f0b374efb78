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

// promotable is a clone, and the host that it is of, in which staging and prod ask for what qa does not.
func promotable(t *testing.T) (clone, bare string) {
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
	if err := os.CopyFS(filepath.Join(clone, "desired"), os.DirFS("../../../desired")); err != nil {
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
			clone, bare := promotable(t)
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
