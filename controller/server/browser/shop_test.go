package browser

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/status"
)

// hostile is what somebody might write into a commit, a log line or a file's name. Where it is not kept as text, the page's own
// strict policy reports it, the console has an error, and window.hurt is set.
const hostile = `<img src=x onerror=window.hurt=1><script>window.hurt=1</script>'"`

// shop is a controller on an account of this machine, with its page on a free port.
type shop struct {
	tb  testing.TB
	dir string
	git *git.Repository
	app *app.App
	url string
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{tb: t, dir: t.TempDir()}
	world, err := sim.New(sim.Config{Seed: 1, Timing: ecs.FastTiming()})
	must(t, err)
	t.Cleanup(func() { must(t, world.Close()) })
	text, err := os.ReadFile("testdata/account.yaml")
	must(t, err)
	seed, err := sim.ReadSeed([]byte(strings.ReplaceAll(string(text), "HOSTILE", strings.ReplaceAll(hostile, `"`, `\"`))), s.dir)
	must(t, err)
	must(t, world.Plant(t.Context(), seed))
	s.git, err = git.PlainInitWithOptions(s.dir+"/git", &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	must(t, err)
	s.file(desired.EnvironmentFile, "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec: {account: \"000000000000\", region: eu-central-1, drift: {after: 1m, action: correct}}\n")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.url = "http://" + l.Addr().String()
	registry := prometheus.NewRegistry()
	s.app, err = app.New(app.Config{
		Env: "dev", Git: gitrepo.Config{Source: s.dir + "/git", Folder: "desired/dev"}, Ledger: s.dir + "/ledger.db", Unsynced: true,
		Poll: time.Second, Pace: rollout.Pace{Watch: time.Second, Idle: 5 * time.Second}, Workers: 8, Build: status.Build{Version: "v1.2.3"},
		Registry: registry, Log: zap.NewNop(), Listener: l,
		Connect: func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			return account.New(client.New(world.AWSConfig(), client.Options{Registerer: registry}), account.Options{Account: env.Account, Region: env.Region}), nil
		},
	})
	must(t, err)
	return s
}

// run runs the controller until the test ends.
func (s *shop) run(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.app.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
}

func (s *shop) file(name, text string) {
	path := filepath.Join(s.dir, "git", "desired", "dev", name)
	must(s.tb, os.MkdirAll(filepath.Dir(path), 0o755))
	must(s.tb, os.WriteFile(path, []byte(text), 0o600))
}

// ask commits a tag of one service.
func (s *shop) ask(service, tag, subject string) {
	bake, verify := "10s", ""
	if service == "kitchen" {
		bake, verify = "10m", ", targets: {}"
	}
	s.file(service+".yaml", fmt.Sprintf(`apiVersion: deploy/v1
kind: Service
metadata: {name: %[1]s, labels: {team: ordering}}
spec:
  stack: %[1]s-dev
  containers:
    app:
      image: {tag: "%[2]s"}
      env: {LOG_LEVEL: info, MENU: "version %[2]s"}
      secrets: {DB_PASSWORD: "secretsmanager:shop/db:password"}
  migration: {container: app, command: [/worker, migrate], timeout: 5m, lock: %[1]s, idempotent: true, compatibility: backward}
  verify: {bake: %[3]s, logs: {forbid: ["(?i)panic"], require: [listening]}%[4]s}
`, service, tag, bake, verify))
	s.commit(subject)
}

func (s *shop) commit(subject string) {
	tree, err := s.git.Worktree()
	must(s.tb, err)
	must(s.tb, tree.AddWithOptions(&git.AddOptions{All: true}))
	_, err = tree.Commit(subject, &git.CommitOptions{Author: &object.Signature{Name: "Ada " + hostile, When: time.Now()}})
	must(s.tb, err)
	s.app.Kick()
}

// await waits until the service is in the phase with this tag wanted.
func (s *shop) await(service string, phase condition.Phase, tag string) {
	s.tb.Helper()
	said := "nothing"
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		v := s.app.Board().Service(service)
		if v == nil {
			continue
		}
		said = fmt.Sprintf("%s: %s", v.Status.Phase, v.Status.Why)
		if v.Status.Phase == phase && strings.Contains(strings.Join(v.Status.Wanted.Images, " "), tag) {
			return
		}
	}
	s.tb.Fatalf("%s does not come to be %s with %s; it is %s", service, phase, tag, said)
}

// control lets the script in the browser's process ask for a commit: GET /commit?service=&tag=.
func (s *shop) control() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/commit" {
			http.Error(w, "no controller is here", http.StatusNotFound)
			return
		}
		s.ask(r.FormValue("service"), r.FormValue("tag"), "a new "+r.FormValue("tag")+" "+hostile)
		w.WriteHeader(http.StatusNoContent)
	})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
