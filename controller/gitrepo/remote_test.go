package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/gitrepo"
)

const token = "ghs_thisIsASecretToken"

func needGit(t *testing.T) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("no git on this machine to serve a repository")
	}
	return git
}

// serve puts a repository behind the real git http-backend, which asks for the token.
func serve(t *testing.T, b *builder, fetches *atomic.Int32) string {
	t.Helper()
	backend := &cgi.Handler{
		Path:   needGit(t),
		Args:   []string{"http-backend"},
		Stderr: io.Discard,
		Env:    []string{"GIT_PROJECT_ROOT=" + filepath.Dir(b.path), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		if user != "x-access-token" || password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no access with "+password, http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(req.URL.Path, "/git-upload-pack") {
			fetches.Add(1)
		}
		backend.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/" + filepath.Base(b.path)
}

func tokenFile(t *testing.T, token string) gitrepo.Auth {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return gitrepo.Auth{TokenFile: path}
}

func TestFollowOverHTTP(t *testing.T) {
	for _, cached := range []bool{false, true} {
		t.Run(fmt.Sprintf("cached=%t", cached), func(t *testing.T) {
			b := newRepo(t, true)
			first := b.commit("one", services(3, "a"))
			var fetches atomic.Int32
			cfg := gitrepo.Config{Source: serve(t, b, &fetches), Folder: "desired/dev", Auth: tokenFile(t, token)}
			if cached {
				cfg.CacheDir = filepath.Join(t.TempDir(), "cache")
				left := filepath.Join(cfg.CacheDir, "fetch-of-a-controller-that-was-killed")
				if err := os.MkdirAll(left, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			r := open(t, cfg)
			follow(t, b, r, first)
			// One for the first head, and of each other two: none is the child of the head before.
			if n := fetches.Load(); n != 7 {
				t.Errorf("%d fetches for 4 heads", n)
			}
			if cached {
				if left, err := os.ReadDir(cfg.CacheDir); err != nil || len(left) != 0 {
					t.Errorf("%v is left in the cache, %v", left, err)
				}
			}
		})
	}
}

// follow moves the branch to and fro while r follows it.
func follow(t *testing.T, b *builder, r *gitrepo.Repo, root [20]byte) {
	t.Helper()
	expect := func(content string, rewritten bool) {
		t.Helper()
		head := fetch(t, r)
		got := contents(t, head.FS())
		if len(got) != 3 || got["service-00001.yaml"] != content || head.Rewritten != rewritten {
			t.Errorf("%v, rewritten %t; want %s, %t", got, head.Rewritten, content, rewritten)
		}
	}
	expect("a", false)
	expect("a", false)
	second := b.commit("two", services(3, "b"), root)
	third := b.commit("three", services(3, "c"), second)
	expect("c", false)
	expect("c", false)
	b.commit("two again", services(3, "d"), root)
	expect("d", true)
	b.point("main", third)
	expect("c", true)
	expect("c", true) // the same value as before
}

func TestTheTokenIsReadAtEveryFetch(t *testing.T) {
	b := newRepo(t, true)
	b.commit("one", services(3, "a"))
	var fetches atomic.Int32
	t.Setenv("GIT_TOKEN_OF_THIS_TEST", "")
	r := open(t, gitrepo.Config{Source: serve(t, b, &fetches), Folder: "desired/dev", Auth: gitrepo.Auth{TokenEnv: "GIT_TOKEN_OF_THIS_TEST"}})
	expect := func(text string) {
		t.Helper()
		_, err := r.Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), text) || fault.CodeOf(err) != gitrepo.CodeAuth || !fault.Is(err, fault.Blocked) {
			t.Errorf("error is %v, want %q", err, text)
		}
	}
	expect("variable GIT_TOKEN_OF_THIS_TEST is empty")
	t.Setenv("GIT_TOKEN_OF_THIS_TEST", "expired")
	expect("refuses the credentials")
	t.Setenv("GIT_TOKEN_OF_THIS_TEST", token)
	fetch(t, r)
}

func TestHTTPErrors(t *testing.T) {
	b := newRepo(t, true)
	empty := newRepo(t, true)
	b.commit("one", services(3, "a"))
	var fetches atomic.Int32
	repo := serve(t, b, &fetches)
	none := serve(t, empty, &fetches)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, password, _ := req.BasicAuth()
		http.Redirect(w, req, "http://"+req.Host+"/"+password, http.StatusFound)
	}))
	t.Cleanup(echo.Close)
	tests := []struct {
		name, code, text string
		cfg              gitrepo.Config
	}{
		{"wrong token", gitrepo.CodeAuth, "refuses the credentials", gitrepo.Config{Source: repo, Auth: tokenFile(t, "wrong-secret")}},
		{"no token", gitrepo.CodeAuth, "refuses the credentials", gitrepo.Config{Source: repo}},
		{"no token file", gitrepo.CodeAuth, "no such file", gitrepo.Config{Source: repo, Auth: gitrepo.Auth{TokenFile: "/nowhere/token"}}},
		{"repository", gitrepo.CodeRepositoryNotFound, "no repository", gitrepo.Config{Source: repo + "x", Auth: tokenFile(t, token)}},
		{"branch", gitrepo.CodeBranchNotFound, "no branch trunk in " + repo + "; it has main", gitrepo.Config{Source: repo, Branch: "trunk", Auth: tokenFile(t, token)}},
		{"empty repository", gitrepo.CodeBranchNotFound, "it has none", gitrepo.Config{Source: none, Auth: tokenFile(t, token)}},
		{"folder", gitrepo.CodeFolderNotFound, "has no folder", gitrepo.Config{Source: repo, Folder: "desired/qa", Auth: tokenFile(t, token)}},
		{"server that repeats the token", "", "[redacted]", gitrepo.Config{Source: echo.URL + "/r", Auth: tokenFile(t, token)}},
		{"nobody listens", "", "refused", gitrepo.Config{Source: "http://127.0.0.1:1/r.git"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(t, tt.cfg).Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.text) || fault.CodeOf(err) != tt.code {
				t.Fatalf("%v (%s); want %q (%s)", err, fault.CodeOf(err), tt.text, tt.code)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("%q repeats the token", err)
			}
		})
	}
}

// A server that accepts and says nothing costs the caller no more than its deadline, and the next fetch works.
func TestAServerThatHangsIsLeft(t *testing.T) {
	b := newRepo(t, true)
	b.commit("one", services(3, "a"))
	var fetches atomic.Int32
	target, err := url.Parse(serve(t, b, &fetches))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
	var hang atomic.Bool
	hang.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if hang.Load() {
			<-req.Context().Done()
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r := open(t, gitrepo.Config{Source: server.URL + "/repo.git", Folder: "desired/dev", Auth: tokenFile(t, token)})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := r.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) != fault.Unknown {
		t.Errorf("error is %v", err)
	}
	hang.Store(false)
	fetch(t, r)
}
