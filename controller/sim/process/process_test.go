package process_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/process"
)

// The test's own executable is the program that the images run.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Getenv("TEST_PROGRAM") == "yes" {
		os.Exit(program(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func program(args []string) int {
	switch args[0] {
	case "env":
		for _, e := range os.Environ() {
			fmt.Println(e)
		}
		dir, err := os.Getwd()
		fmt.Println("in", dir, err)
		return 0
	case "exit":
		code, err := strconv.Atoi(args[1])
		fmt.Fprintln(os.Stderr, "going", err)
		return code
	case "serve":
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") })
		s := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: time.Second}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		go func() {
			<-ctx.Done()
			fmt.Println("stopping")
			_ = s.Shutdown(context.Background())
		}()
		if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println(err)
			return 3
		}
		return 7
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("deaf")
		select {}
	case "parent": // leaves a child behind that writes its id
		child := exec.Command(os.Args[0], "deaf")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("child", child.Process.Pid)
		time.Sleep(200 * time.Millisecond)
		return 0
	case "account": // runs a task and waits to be killed
		r, err := process.New(args[1])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		_, err = r.Start(ecs.Launch{TaskID: "1", Containers: []ecs.ContainerSpec{{
			Name: "app", Command: []string{"pid"}, Log: func(_ time.Time, line string) { fmt.Println(line) },
			Spec: &process.Spec{Files: map[string]string{"/app": os.Args[0]}, EntryPoint: []string{"/app"}, Env: map[string]string{"TEST_PROGRAM": "yes"}},
		}}}, func(ecs.Report) {})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		select {}
	case "pid":
		fmt.Println("child", os.Getpid())
		time.Sleep(time.Hour)
		return 0
	case "file":
		_, err := os.Stat(args[1])
		if err != nil {
			return 1
		}
		return 0
	}
	return 99
}

// bed runs one container and collects what is told of it.
type bed struct {
	runner *process.Runner
	exits  chan ecs.Exit

	mu     sync.Mutex
	lines  []string
	health []types.HealthStatus
}

func newBed(t *testing.T) *bed {
	t.Helper()
	r, err := process.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &bed{runner: r, exits: make(chan ecs.Exit, 1)}
}

func (b *bed) start(c ecs.ContainerSpec) (ecs.Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c.Name = "app"
	c.Spec = &process.Spec{Files: map[string]string{"/app": exe}, EntryPoint: []string{"/app"}, Cmd: []string{"env"}, Env: map[string]string{"TEST_PROGRAM": "yes", "FROM": "image"}}
	c.Log = func(_ time.Time, line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, line)
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = 10 * time.Second
	}
	return b.runner.Start(ecs.Launch{TaskID: "0123", Containers: []ecs.ContainerSpec{c}}, func(r ecs.Report) {
		if r.Exit != nil {
			b.exits <- *r.Exit
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.health = append(b.health, r.Health)
	})
}

func (b *bed) output() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.lines...)
}

func (b *bed) exit(t *testing.T) int32 {
	t.Helper()
	select {
	case x := <-b.exits:
		return x.Code
	case <-time.After(20 * time.Second):
		t.Fatal("no exit within 20 s")
		return 0
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func TestEnvironmentIsTheTasksOwn(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of this machine")
	b := newBed(t)
	p, err := b.start(ecs.ContainerSpec{Env: map[string]string{"FROM": "task", "DB_PASSWORD": "s3"}, Ports: []int32{8080, 9090}})
	if err != nil {
		t.Fatal(err)
	}
	if code := b.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	port := func(n int32) string { return strings.TrimPrefix(p.Address(n), "127.0.0.1:") }
	var dir string
	got := map[string]string{}
	for _, l := range b.output() {
		if where, ok := strings.CutPrefix(l, "in "); ok {
			dir = strings.TrimSuffix(where, " <nil>")
			continue
		}
		k, v, _ := strings.Cut(l, "=")
		got[k] = v
	}
	want := map[string]string{
		"TEST_PROGRAM": "yes", "FROM": "task", "DB_PASSWORD": "s3", "PATH": os.Getenv("PATH"), "HOME": dir, "TMPDIR": dir,
		"PORT": port(8080), "PORT_8080": port(8080), "PORT_9090": port(9090),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if filepath.Base(dir) != "0123" {
		t.Errorf("works in %s, want a folder of the task's", dir)
	}
	eventually(t, "the task's folder is gone", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	})
}

func TestExitCodesAndSignals(t *testing.T) {
	for _, c := range []struct {
		name string
		spec ecs.ContainerSpec
		stop bool
		want int32
	}{
		{"own code", ecs.ContainerSpec{Command: []string{"exit", "42"}}, false, 42},
		{"answers SIGTERM", ecs.ContainerSpec{Command: []string{"serve"}, Ports: []int32{80}}, true, 7},
		{"deaf to SIGTERM", ecs.ContainerSpec{Command: []string{"deaf"}, StopTimeout: 100 * time.Millisecond}, true, 128 + 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			p, err := b.start(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			if c.stop {
				eventually(t, "it runs", func() bool {
					if at := p.Address(80); at != "" {
						resp, err := http.Get("http://" + at)
						if err == nil {
							resp.Body.Close()
						}
						return err == nil
					}
					return len(b.output()) > 0
				})
				p.Stop()
				p.Stop()
			}
			if got := b.exit(t); got != c.want {
				t.Errorf("exit code %d, want %d; output %q", got, c.want, b.output())
			}
		})
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil && !zombie(pid) }

// zombie: an orphan that is dead but not yet reaped by init, which some containers lack, is not alive.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func childOf(t *testing.T, b *bed) int {
	t.Helper()
	var pid int
	eventually(t, "the child runs", func() bool {
		for _, l := range b.output() {
			if n, ok := strings.CutPrefix(l, "child "); ok {
				pid, _ = strconv.Atoi(n)
			}
		}
		return pid != 0
	})
	return pid
}

func TestChildrenDoNotOutliveTheirContainer(t *testing.T) {
	b := newBed(t)
	if _, err := b.start(ecs.ContainerSpec{Command: []string{"parent"}}); err != nil {
		t.Fatal(err)
	}
	pid := childOf(t, b)
	if code := b.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "the child is gone", func() bool { return !alive(pid) })
}

// Whoever kills the account's process with SIGKILL must not be left with its tasks.
func TestTasksDoNotOutliveAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells children of their parent's death")
	}
	b := newBed(t)
	p, err := b.start(ecs.ContainerSpec{Command: []string{"account", t.TempDir()}, StopTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	pid := childOf(t, b)
	// The task is in a process group of its own, so that this reaches its parent only.
	p.Stop()
	if code := b.exit(t); code <= 128 {
		t.Errorf("the parent ended with %d, want death by a signal", code)
	}
	eventually(t, "the task is gone", func() bool { return !alive(pid) })
}

func TestCloseLeavesNothing(t *testing.T) {
	b := newBed(t)
	if _, err := b.start(ecs.ContainerSpec{Command: []string{"deaf"}, StopTimeout: time.Hour}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs", func() bool { return len(b.output()) > 0 })
	if err := b.runner.Close(); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(t); code != 128+9 {
		t.Errorf("exit code %d", code)
	}
	if _, err := b.start(ecs.ContainerSpec{}); err == nil {
		t.Error("a closed runner started a task")
	}
}

func TestWhatCannotStart(t *testing.T) {
	b := newBed(t)
	_, err := b.start(ecs.ContainerSpec{EntryPoint: []string{"/other"}, Command: []string{"x"}})
	want := `CannotStartContainerError: Error response from daemon: failed to create task for container: failed to start container process: exec: "/other": executable file not found in $PATH (the image has [/app])`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestContainerHealth(t *testing.T) {
	b := newBed(t)
	flag := filepath.Join(t.TempDir(), "flag")
	p, err := b.start(ecs.ContainerSpec{Command: []string{"serve"}, Ports: []int32{80}, HealthCheck: &ecs.HealthCheck{
		Command: []string{"CMD", "/app", "file", flag}, Interval: 20 * time.Millisecond, Timeout: 5 * time.Second, Retries: 2,
	}})
	if err != nil {
		t.Fatal(err)
	}
	told := func(want ...types.HealthStatus) func() bool {
		return func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return cmp.Equal(want, b.health)
		}
	}
	eventually(t, "unhealthy", told("UNHEALTHY"))
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "healthy", told("UNHEALTHY", "HEALTHY"))
	p.Stop()
	if code := b.exit(t); code != 7 {
		t.Errorf("exit code %d", code)
	}
}
