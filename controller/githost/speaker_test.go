package githost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/githost/standin"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// town is a repository, the host that has it, and what a controller remembers.
type town struct {
	t      *testing.T
	dir    string
	server *standin.Server
	host   *Host

	metrics *prometheus.Registry
	logged  zapcore.Core
	log     *observer.ObservedLogs

	mu      sync.Mutex
	cursed  string // whose history brings whoever reads it down
	history map[string][]rollout.Entry
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir(), history: map[string][]rollout.Entry{}, metrics: prometheus.NewRegistry()}
	w.logged, w.log = observer.New(zapcore.ErrorLevel)
	w.git("init", "--quiet", "--initial-branch=main")
	w.server = standin.Open(t, w.dir)
	t.Setenv("HOST_TOKEN", standin.Token)
	var err error
	w.host, err = Open(Options{API: w.server.URL, Repository: standin.Repository, Branch: "main", TokenEnv: "HOST_TOKEN", WriteGap: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", w.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@canteen.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@canteen.example")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// ask commits files that ask for a tag, and returns the commit.
func (w *town) ask(tag string, services ...string) string {
	w.t.Helper()
	for _, name := range services {
		file := filepath.Join(w.dir, "desired", "dev", name+".yaml")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("tag: "+tag+" # as it was\n"), 0o600)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.git("add", "desired")
	w.git("commit", "--quiet", "--message", tag)
	return w.git("rev-parse", "HEAD")
}

// speak runs a controller's speaker until the returned function is called, which waits for its end.
func (w *town) speak(records ...rollout.Record) (*Speaker, func()) {
	w.metrics = prometheus.NewRegistry()
	s := New(w.host, "https://deploy.canteen.example/", zap.New(zapcore.NewTee(zaptest.NewLogger(w.t).Core(), w.logged)), w.metrics)
	s.Begin(records)
	if now := w.gauge("deploy_githost_pending"); len(records) > 0 && now != float64(len(records)) {
		w.t.Errorf("%v services wait to be told, and there are %d", now, len(records))
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var speaking sync.WaitGroup
	speaking.Go(func() {
		s.Speak(ctx, Term{Environment: "dev", Folder: "desired/dev", History: func(_ context.Context, service string, _ int) ([]rollout.Entry, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if service == w.cursed {
				panic("no such history: " + service)
			}
			return w.history[service], nil
		}})
	})
	end := func() { cancel(); speaking.Wait() }
	w.t.Cleanup(end)
	return s, end
}

func (w *town) await(what string, f func() error) {
	w.t.Helper()
	var err error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	w.t.Fatalf("no %s: %v", what, err)
}

// says waits until the commit's newest status is as wanted.
func (w *town) says(sha, state, text string) {
	w.t.Helper()
	w.await(state+" of "+sha, func() error {
		all := w.server.Statuses(sha, "deploy/dev")
		if len(all) == 0 || all[len(all)-1].State != state || !strings.Contains(all[len(all)-1].Description, text) {
			return fmt.Errorf("it has %v", all)
		}
		return nil
	})
}

// pull waits until there is one pull request, in that state.
func (w *town) pull(state string) standin.Pull {
	w.t.Helper()
	var one standin.Pull
	w.await("pull request that is "+state, func() error {
		all := w.server.Pulls()
		if len(all) != 1 || all[0].State != state {
			return fmt.Errorf("there are %v", all)
		}
		one = all[0]
		return nil
	})
	return one
}

const digest = "sha256:"

// asked is a record in which git asks for a tag; nothing is decided yet.
func asked(service, tag, sha string) rollout.Record {
	spec := desired.ServiceSpec{Containers: map[string]desired.Container{"app": {Image: desired.Image{Tag: tag}}}}
	return rollout.Record{Service: service, Generation: 1, State: rollout.StateWaitingWindow, Why: "Waits for its window.", Pins: rollout.Words{{Name: tag, Value: digest + tag}},
		Intent: &rollout.Intent{Commit: desired.Commit{SHA: sha}, Service: desired.Service{Spec: spec}}}
}

func good(rec rollout.Record) rollout.Record {
	t, _ := rec.Asks()
	rec.Good, rec.State, rec.Rollout = &rollout.Good{Target: t, At: time.Now()}, rollout.StateSettled, nil
	return rec
}

// rejected is a record in which what before has as good runs again.
func rejected(rec, before rollout.Record) rollout.Record {
	t, _ := rec.Asks()
	rec.Good, rec.State, rec.Generation = before.Good, rollout.StateReverted, 3
	rec.Rejected = []rollout.Rejection{{Ask: t.Ask, Commit: t.Commit.SHA, At: time.Now(), Check: "steady", Reason: "Crashed", Message: "2 tasks stopped: exit 1", Rollout: 2}}
	return rec
}

func TestRevertPullRequest(t *testing.T) {
	w := newTown(t)
	first := good(asked("orders", "a1", w.ask("a1", "orders", "menus")))
	badCommit := w.ask("b2", "orders")
	bad := rejected(asked("orders", "b2", badCommit), first)
	target, _ := bad.Asks()
	w.history["orders"] = []rollout.Entry{{Service: "orders", Number: 2, Kind: rollout.KindDeploy, Ask: target.Ask, Result: rollout.ResultRejected, Evidence: &rollout.Evidence{
		Class: observed.ClassProduct, Tasks: []rollout.TaskEvidence{{Task: "t1", StopCode: "EssentialContainerExited", ExitCodes: map[string]int{"app": 1}}},
		Log: []string{"panic: @everyone ``` **bold**"}}}}

	s, end := w.speak()
	s.Note(bad)
	pull := w.pull("open")
	w.says(badCommit, "failure", "orders: 2 tasks stopped: exit 1")
	for _, part := range []string{"`b2` was rejected in dev, and `a1` runs again", "app exited with 1", "https://deploy.canteen.example/services/orders/rollouts/2", "````\npanic: @everyone ``` **bold**\n````"} {
		if !strings.Contains(pull.Body, part) {
			t.Errorf("the body lacks %q:\n%s", part, pull.Body)
		}
	}
	if got := w.git("diff", "main", pull.Head); !strings.Contains(got, "-tag: b2 # as it was") || !strings.Contains(got, "+tag: a1 # as it was") || strings.Contains(got, "menus") {
		t.Errorf("the pull request changes %s", got)
	}
	if n := w.git("rev-list", "--count", "main.."+pull.Head); n != "1" {
		t.Errorf("it has %s commits", n)
	}

	// Neither the same word, nor another controller, nor a person's closing makes a second one.
	writes := w.server.Writes()
	s.Note(bad)
	end()
	_, end = w.speak(bad)
	time.Sleep(time.Second)
	if n := w.server.Writes(); n != writes {
		t.Errorf("a second controller wrote %d times", n-writes)
	}
	end()

	// Git moves on while nobody acts: whoever acts next closes it.
	next := asked("orders", "c3", w.ask("c3", "orders"))
	next.Good, next.Rejected = bad.Good, bad.Rejected
	s, _ = w.speak(bad)
	s.Note(next)
	if closed := w.pull("closed"); !strings.Contains(closed.Body, "Closed by the controller: git moved on") {
		t.Errorf("it does not say why:\n%s", closed.Body)
	}
	w.await("branch that is gone", func() error {
		if left := w.git("branch", "--list", "revert/*"); left != "" {
			return errors.New(left)
		}
		return nil
	})
	s.Note(bad) // git asks for it again: a pull request that was closed is not opened again
	w.says(badCommit, "failure", "")
	time.Sleep(time.Second)
	w.pull("closed")
}

func TestMergedRevertIsClosed(t *testing.T) {
	w := newTown(t)
	first := good(asked("orders", "a1", w.ask("a1", "orders")))
	bad := rejected(asked("orders", "b2", w.ask("b2", "orders")), first)
	s, _ := w.speak(bad)
	w.pull("open")
	back := asked("orders", "a1", w.ask("a1", "orders"))
	back.Good, back.Rejected, back.State = first.Good, bad.Rejected, rollout.StateSettled
	s.Note(back)
	w.pull("closed")
	w.says(back.Intent.Commit.SHA, "success", "a1 was verified good")
}

func TestCommitOfSeveralServices(t *testing.T) {
	w := newTown(t)
	sha := w.ask("a1", "menus", "orders", "users")
	orders, menus, users := asked("orders", "a1", sha), asked("menus", "a1", sha), asked("users", "a1", sha)
	s, end := w.speak()
	s.Note(orders)
	s.Note(menus)
	s.Note(users)
	w.says(sha, "pending", "0 of 3 good")
	s.Note(good(menus))
	w.says(sha, "pending", "1 of 3 good; orders: Waits for its window.")
	s.Note(good(orders))
	s.Note(good(users))
	w.says(sha, "success", "3 of 3 good")
	w.await("deployment of each", func() error {
		if n := len(w.server.Deployments()); n != 3 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})

	// A newer ask of one service takes its place; the others' stay what they are.
	later := w.ask("b2", "orders")
	waits := asked("orders", "b2", later)
	waits.Good = good(orders).Good
	s.Note(waits)
	w.says(later, "pending", "orders: Waits")
	newest := w.ask("c3", "orders")
	overtook := asked("orders", "c3", newest)
	overtook.Good = waits.Good
	s.Note(overtook)
	w.says(newest, "pending", "")
	w.says(later, "error", "orders: superseded by "+newest[:7])
	s.Note(good(overtook))
	w.says(newest, "success", "")
	time.Sleep(200 * time.Millisecond)
	end()
	want := map[string]string{"deploy:orders " + sha: "inactive", "deploy:menus " + sha: "success", "deploy:users " + sha: "success",
		"deploy:orders " + later: "inactive", "deploy:orders " + newest: "success"}
	for _, d := range w.server.Deployments() {
		if got := d.Statuses[len(d.Statuses)-1].State; got != want[d.Task+" "+d.SHA] {
			t.Errorf("%s of %s ended as %s, want %s", d.Task, d.SHA[:7], got, want[d.Task+" "+d.SHA])
		}
	}
	w.says(sha, "success", "")
}

func TestLimits(t *testing.T) {
	for name, no := range map[string]func() *standin.Refusal{
		"secondary": func() *standin.Refusal { return standin.Secondary(2 * time.Second) },
		"primary":   func() *standin.Refusal { return standin.Primary(time.Now().Add(2 * time.Second)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			first := true
			w.server.Refuse(func(*http.Request) *standin.Refusal {
				if !first {
					return nil
				}
				first = false
				return no()
			})
			sha := w.ask("a1", "orders")
			began := time.Now()
			w.speak(good(asked("orders", "a1", sha)))
			w.says(sha, "success", "")
			if took := time.Since(began); took < time.Second || w.server.Refused() != 1 {
				t.Errorf("it was told after %s, with %d requests refused", took, w.server.Refused())
			}
		})
	}
}

// TestRefused is a commit that the host does not know: the others are told all the same, and the host is not asked again and again.
func TestRefused(t *testing.T) {
	w := newTown(t)
	sha := w.ask("a1", "orders")
	unknown := strings.Repeat("0a", 20)
	w.speak(good(asked("menus", "a1", unknown)), good(asked("orders", "a1", sha)))
	w.says(sha, "success", "")
	writes := w.server.Writes()
	time.Sleep(time.Second)
	if n := w.server.Writes(); n != writes {
		t.Errorf("it was asked %d times more", n-writes)
	}
}

// TestTokenIsNotTold holds every error to not having the token in it.
func TestTokenIsNotTold(t *testing.T) {
	w := newTown(t)
	t.Setenv("HOST_TOKEN", "ghs_wrong")
	_, _, err := w.host.deployment(t.Context(), "dev", Word{Service: "orders", Commit: w.ask("a1", "orders")})
	if err == nil || strings.Contains(err.Error(), "ghs_wrong") {
		t.Errorf("%v", err)
	}
	if _, _, refused := judge(err, time.Now()); refused {
		t.Error("a token that ran out is renewed: it must be tried again")
	}
}

// gauge is the value of one metric now.
func (w *town) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	w.t.Fatalf("there is no metric %s", name)
	return 0
}

// A panic while one service is told of is logged and counted, the others are told, and the next word of that service too.
func TestPanicEndsNothing(t *testing.T) {
	w := newTown(t)
	a, b := w.ask("aaaaaaa", "menus"), w.ask("bbbbbbb", "orders")
	w.cursed = "menus"
	s, end := w.speak(good(asked("menus", "aaaaaaa", a)), good(asked("orders", "bbbbbbb", b)))
	w.says(b, "success", "orders")
	if n := w.gauge("deploy_githost_panics_total"); n != 1 {
		t.Errorf("%v panics are counted", n)
	}
	w.await("1 service that waits", func() error {
		if n := w.gauge("deploy_githost_pending"); n != 1 {
			return fmt.Errorf("%v wait", n)
		}
		return nil
	})
	if all := w.log.FilterField(zap.String("service", "menus")).All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()["error"]), "no such history") {
		t.Errorf("logged is %v", all)
	}
	w.mu.Lock()
	w.cursed = ""
	w.mu.Unlock()
	c := w.ask("ccccccc", "menus")
	s.Note(good(asked("menus", "ccccccc", c)))
	w.says(c, "success", "menus")
	w.await("nothing that waits", func() error {
		if n := w.gauge("deploy_githost_pending"); n != 0 {
			return fmt.Errorf("%v wait", n)
		}
		return nil
	})
	s.Note(asked("menus", "ddddddd", w.ask("ddddddd", "menus")))
	end()
	if n := w.gauge("deploy_githost_pending"); n != 0 {
		t.Errorf("%v services wait for a controller that does not act", n)
	}
}
