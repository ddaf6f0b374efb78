package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/sim"
)

// planted are secret values that nothing may repeat.
var planted = map[string]string{
	"the database's password": "planted-database-4711",
	"the webhook's secret":    "planted-webhook-4712",
	"the git token":           "planted-token-4713",
	"a git token that failed": "planted-wrong-4714",
	"the AWS secret key":      "planted-aws-4715",
}

// TestNoSecretIsToldAnywhere: a version leaks its password into its log and crashes, git refuses a token once, and somebody looks at
// everything that the controller shows, writes and keeps.
func TestNoSecretIsToldAnywhere(t *testing.T) {
	t.Parallel()
	orders := service{Name: "orders", Password: planted["the database's password"], Images: []image{{
		Tag: "bad0bad", Migrates: 300 * time.Millisecond, Crashes: true,
		Log: "panic: open postgres://orders:" + planted["the database's password"] + "@db/orders: DB_PASSWORD=" + planted["the database's password"],
	}}}
	w := newWorld(t, sim.Config{}, orders)
	w.ask("bad0bad", "orders")
	token, webhook := filepath.Join(w.dir, "token"), filepath.Join(w.dir, "webhook")
	w.must(os.WriteFile(webhook, []byte(planted["the webhook's secret"]), 0o600))
	w.must(os.WriteFile(token, []byte(planted["a git token that failed"]), 0o600))

	p := w.startWith([]string{"AWS_SECRET_ACCESS_KEY=" + planted["the AWS secret key"]}, "--log-level", "debug",
		"--source", w.serveGit(planted["the git token"]), "--git-token-file", token, "--webhook-secret-file", webhook)
	p.await("the refused token in /readyz", func() error {
		_, body, err := p.get("/readyz")
		if err == nil && !strings.Contains(body, "refuses the credentials") {
			err = errors.New(body)
		}
		return err
	})
	w.must(os.WriteFile(token, []byte(planted["the git token"]), 0o600))
	p.awaitPhase(condition.PhaseStalled, "orders")
	p.deliver(t, "planted-but-wrong", "push")

	shown := map[string]string{}
	for _, path := range []string{"/", "/services/orders", "/api/v1/services", "/api/v1/services/orders", "/api/v1/services/orders/history", "/api/v1/records", "/metrics", "/readyz"} {
		code, body, err := p.get(path)
		if code != http.StatusOK || err != nil {
			t.Errorf("%s: %d %v", path, code, err)
		}
		shown[path] = body
	}
	for _, path := range []string{"/services/orders", "/api/v1/services/orders/history"} {
		if !strings.Contains(shown[path], "postgres://orders:[redacted]@db/orders") {
			t.Errorf("%s does not show the line that tells why, redacted:\n%s", path, shown[path])
		}
	}
	p.stop()
	shown["the log"] = p.out.String()
	ledger, err := os.ReadFile(filepath.Join(w.dir, "ledger.db"))
	w.must(err)
	shown["the ledger"] = string(ledger)
	for where, text := range shown {
		for what, secret := range planted {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds %s: …%s…", where, what, text[max(0, i-100):i+len(secret)])
			}
		}
	}
}

// serveGit serves the repository to who has the token, by git's own server, and tells others what they sent.
func (w *world) serveGit(token string) string {
	w.t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		w.t.Skip("no git on this machine to serve a repository")
	}
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + w.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		if _, password, _ := req.BasicAuth(); password != token {
			res.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(res, fmt.Sprintf("no access with %q", password), http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(res, req)
	}))
	w.t.Cleanup(server.Close)
	return server.URL + "/repository/.git"
}
