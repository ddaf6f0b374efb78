package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/server"
)

// stopFor is how long the program may take to end once it was asked to.
const stopFor = 5 * time.Second

var built struct {
	sync.Once
	dir, program string
	err          error
}

// TestMain gives git somebody who commits, whatever the machine's own settings are. The tests wait for processes most of the time, so
// that more of them run at once than there are processors, unless -parallel says how many.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull,
		"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@canteen.example", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@canteen.example"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("6"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// buildTags are those of the image's build.
const buildTags = "grpcnotrace"

// binary is the controller as a user has it, built once and only where a test runs it.
func binary(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "controller-test-"); built.err != nil {
			return
		}
		built.program = filepath.Join(built.dir, "controller")
		args := append(append([]string{"build", "-tags", buildTags}, raceFlags...), "-o", built.program, ".")
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the controller: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.program
}

// program is one run of the controller as a process.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   output
	addr  string
	ended chan struct{} // closed once it has ended
}

// output takes what a process writes while others read it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// command prepares a call of the program that sees nothing of this machine's environment.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Dir = t.TempDir()
	// A program that looks for races ends a second later than others, for no reason that is the program's.
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = childAttributes()
	return cmd
}

// call runs the program to its end, which must come soon.
func (w *world) call(env []string, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	return callProgram(w.t, append(w.env(), env...), args...)
}

func callProgram(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if !overdue.Stop() {
		t.Fatalf("controller %s does not end; it wrote\n%s%s", strings.Join(args, " "), out.String(), errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// env is how an AWS tool is pointed at the world's account.
func (w *world) env() []string {
	return []string{"AWS_ENDPOINT_URL=" + w.endpoint, "AWS_ACCESS_KEY_ID=AKIALOCALACCOUNT", "AWS_SECRET_ACCESS_KEY=local"}
}

// args are the flags of a controller that looks often; later ones win.
func (w *world) args(more ...string) []string {
	return append([]string{"run", "--env", "dev", "--source", w.source, "--ledger", filepath.Join(w.dir, "ledger.db"),
		"--listen", "127.0.0.1:0", "--poll", "1s", "--watch", "500ms", "--resync", "1s", "--api-share", "1"}, more...)
}

// start runs a controller until the test ends, and returns once its port answers.
func (w *world) start(more ...string) *program {
	w.t.Helper()
	return w.startWith(nil, more...)
}

func (w *world) startWith(env []string, more ...string) *program {
	w.t.Helper()
	p := &program{t: w.t, ended: make(chan struct{})}
	p.cmd = command(w.t, w.args(more...)...)
	p.cmd.Env = append(append(p.cmd.Env, w.env()...), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	w.must(p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the exit code is asked of ProcessState
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if w.t.Failed() {
			w.t.Logf("the controller's output:\n%s", p.out.String())
		}
	})
	p.await("its address", func() error {
		found := regexp.MustCompile(`"?listen"?: ?"(127\.0\.0\.1:[0-9]+)"`).FindStringSubmatch(p.out.String())
		if found == nil {
			return errors.New("no line tells it")
		}
		p.addr = found[1]
		return nil
	})
	return p
}

// patience is how long anything is waited for: a slow machine is no failure, and only a failing test waits so long.
const patience = 2 * time.Minute

// await asks again and again until there is no error.
func (p *program) await(what string, ask func() error) {
	p.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			p.t.Fatalf("waiting for %s (%v): the controller ended with %v", what, err, p.cmd.ProcessState)
		case <-deadline:
			p.t.Fatalf("no %s within %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}

// get returns the answer of one path.
func (p *program) get(path string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// look is what the API tells of a service.
func (p *program) look(name string) (server.Service, error) {
	var s server.Service
	code, body, err := p.get("/api/v1/services/" + name)
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, errors.New(body)
	}
	return s, json.Unmarshal([]byte(body), &s)
}

// awaitPhase waits until every service is in the phase.
func (p *program) awaitPhase(phase condition.Phase, names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.await(name+" in phase "+string(phase), func() error {
			s, err := p.look(name)
			if err == nil && s.Phase != phase {
				err = fmt.Errorf("it is %s: %s", s.Phase, s.Why)
			}
			return err
		})
	}
}

// stop asks the program to end, as whoever runs containers does, and wants it gone in time with exit code 0.
func (p *program) stop() {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopFor):
		p.t.Fatalf("still there %s after SIGTERM", stopFor)
	}
	p.t.Logf("ended %s after SIGTERM", time.Since(began).Round(time.Millisecond))
	if code := p.cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(p.out.String(), "stopped") {
		p.t.Fatalf("it ended with %s after SIGTERM, want exit code 0 and a last word:\n%s", p.cmd.ProcessState, p.out.String())
	}
}

// kill ends it as a machine's death does.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
}
