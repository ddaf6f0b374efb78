package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/pgtest"
	"github.com/canteen/deploy/worker/store"
)

// The test binary is the worker, too: with this variable set it runs main, so that signals, exit codes and several
// processes on one database are the real thing.
const asWorker = "TEST_RUN_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
		return
	}
	if as := os.Getenv(asWorld); as != "" {
		if err := runAsWorld(as); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(pgtest.Main(m))
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{asWorker + "=1", "PORT=0", "DRAIN=0s"}, env...) // nothing of the environment of the tests
	return cmd
}

// line is a log line.
type line struct {
	Level, Msg, Error, Version string
	Port                       int
	Status                     int
	Schema                     int64
	Applied                    any
}

func parse(t *testing.T, text string) line {
	t.Helper()
	var l line
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatalf("log line %q: %v", text, err)
	}
	return l
}

// runToEnd runs a command and returns its exit code and log lines.
func runToEnd(t *testing.T, env []string, args ...string) (int, []line) {
	t.Helper()
	cmd := command(t, env, args...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok && len(exit.Stderr) > 0 {
		t.Errorf("%v wrote to stderr: %s", args, exit.Stderr)
	}
	var lines []line
	for text := range strings.Lines(string(out)) {
		lines = append(lines, parse(t, text))
	}
	return cmd.ProcessState.ExitCode(), lines
}

// server is a running `worker serve`.
type server struct {
	url   string
	port  int
	cmd   *exec.Cmd
	lines chan line // the rest of its log; closed at its end
}

func start(t *testing.T, env []string) *server {
	t.Helper()
	cmd := command(t, env, "serve")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // a failed test left it running
			_ = cmd.Wait()
		}
	})
	s := &server{cmd: cmd, lines: make(chan line, 100_000)}
	go func() {
		defer close(s.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			var l line
			if json.Unmarshal(in.Bytes(), &l) != nil {
				l = line{Msg: "not JSON: " + in.Text()}
			}
			s.lines <- l
		}
	}()
	select {
	case first := <-s.lines:
		if first.Msg != "listening" || first.Port == 0 || first.Version == "" {
			t.Fatalf("first log line is %+v", first)
		}
		s.port, s.url = first.Port, fmt.Sprintf("http://127.0.0.1:%d", first.Port)
	case <-time.After(2 * time.Minute):
		t.Fatal("the server does not say that it listens")
	}
	return s
}

// terminate sends SIGTERM and waits: exit code 0 within ECS's stopTimeout of 30 s.
func (s *server) terminate(t *testing.T) (rest []line) {
	t.Helper()
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for l := range s.lines { // read to the end before Wait, which closes the pipe
		rest = append(rest, l)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("stopping took %s", took)
	}
	return rest
}

func place(ctx context.Context, client *http.Client, url, key string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, "POST", url+"/orders",
		strings.NewReader(`{"school": "north", "date": "2099-12-01", "lines": [{"item": "soup", "quantity": 3}]}`))
	if err != nil {
		return 0, err
	}
	// Without it net/http cannot quietly send a request again: the test wants to see each failure.
	request.GetBody = nil
	request.Header.Set("Idempotency-Key", key)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func databases(t *testing.T, test func(t *testing.T, env []string, source store.Source)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "orders.db")
		test(t, []string{"SQLITE_PATH=" + path}, store.SQLite(path))
	})
	t.Run("postgres", func(t *testing.T) {
		url := pgtest.URL(t)
		test(t, []string{"DATABASE_URL=" + url}, store.Postgres(url))
	})
}

func TestMigrateThenServe(t *testing.T) {
	databases(t, func(t *testing.T, env []string, _ store.Source) {
		code, lines := runToEnd(t, env, "serve")
		if code != 1 || len(lines) != 1 || !strings.Contains(lines[0].Error, "run `worker migrate` first") {
			t.Fatalf("serve on an empty database: exit %d, %+v", code, lines)
		}
		for _, want := range []string{"[1 2 3 4]", "[]"} { // the second time there is nothing to do
			code, lines = runToEnd(t, env, "migrate")
			applied := []int64{}
			for _, l := range lines {
				if l.Msg == "migration applied" {
					applied = append(applied, l.Schema)
				}
			}
			if code != 0 || fmt.Sprint(applied) != want {
				t.Errorf("migrate: exit %d, applied %v, want %s", code, applied, want)
			}
		}
		if code, lines = runToEnd(t, env, "migrate", "version"); code != 0 || lines[len(lines)-1].Schema != 4 {
			t.Errorf("migrate version: exit %d, %+v", code, lines)
		}
		if code, lines = runToEnd(t, env, "migrate", "status"); code != 0 || len(lines) != 5 || lines[0].Applied != true {
			t.Errorf("migrate status: exit %d, %+v", code, lines)
		}
		s := start(t, env)
		if code, lines := runToEnd(t, []string{fmt.Sprint("PORT=", s.port)}, "health"); code != 0 {
			t.Errorf("health: exit %d, %+v", code, lines)
		}
		s.terminate(t)
		if code, lines := runToEnd(t, []string{fmt.Sprint("PORT=", s.port)}, "health"); code != 1 || !strings.Contains(lines[0].Error, "refused") {
			t.Errorf("health of nothing: exit %d, %+v", code, lines)
		}
	})
}

func TestMigrationsAtOnceInSeveralProcesses(t *testing.T) {
	databases(t, func(t *testing.T, env []string, _ store.Source) {
		var applied atomic.Int64
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				code, lines := runToEnd(t, env, "migrate")
				if code != 0 {
					t.Errorf("migrate: exit %d, %+v", code, lines)
				}
				for _, l := range lines {
					if l.Msg == "migration applied" {
						applied.Add(1)
					}
				}
			})
		}
		all.Wait()
		if applied.Load() != 4 {
			t.Errorf("%d migrations applied, want 4", applied.Load())
		}
	})
}

func TestWrongUseIsNamed(t *testing.T) {
	for _, tc := range []struct {
		args, env []string
		want      string
	}{
		{[]string{"serve"}, []string{"PORT=http"}, "PORT must be a number from 0 to 65535"},
		{[]string{"serve"}, []string{"MAX_IN_FLIGHT=0"}, "MAX_IN_FLIGHT must be a number from 1"},
		{[]string{"serve"}, []string{"DRAIN=1h"}, "DRAIN must be a duration from 0s to 3s"},
		{[]string{"serve"}, []string{"DB_POOL_MAX=0"}, "DB_POOL_MAX must be a number from 1"},
		{[]string{"serve"}, []string{"QUEUE_POLLERS=many"}, "QUEUE_POLLERS must be a number from 1"},
		{[]string{"serve"}, []string{"QUEUE_VISIBILITY=1s"}, "QUEUE_VISIBILITY must be a duration from 3s"},
		{[]string{"serve"}, []string{"QUEUE_URL=orders.fifo"}, "QUEUE_URL must be the queue's URL"},
		{[]string{"migrate"}, []string{"MIGRATE_DB_USER=owner"}, "MIGRATE_DB_USER and MIGRATE_DB_PASSWORD belong together"},
		{[]string{"migrate"}, []string{"MIGRATE_DB_SECRET=owner", "MIGRATE_DB_USER=owner"}, "MIGRATE_DB_SECRET and MIGRATE_DB_USER are both set"},
		{[]string{"serve"}, []string{"DATABASE_URL=mysql://x"}, "DATABASE_URL must start with postgres://"},
		{[]string{"serve"}, []string{"DB_HOST=db"}, "DB_HOST set without DB_NAME"},
		{[]string{"serve"}, []string{"DB_PASSWORD=x"}, "DB_PASSWORD set without DB_HOST"},
		{[]string{"migrate"}, []string{"SQLITE_PATH=/nowhere/orders.db"}, "unable to open database file"},
		{[]string{"migrate"}, []string{"SQLITE_PATH=/nowhere/orders.db", "DB_PASSWORD=x"}, "unable to open database file"},
		{[]string{"migrate"}, []string{"SQLITE_PATH=/nowhere/orders.db", "DB_PASSWORD=x", "DB_HOST=db"}, "DB_HOST, DB_PASSWORD set without DB_NAME"},
		{[]string{"migrate", "down"}, nil, `invalid argument "down" for "worker migrate"`},
		{[]string{"server"}, nil, `unknown command "server" for "worker"`},
	} {
		code, lines := runToEnd(t, tc.env, tc.args...)
		if code != 1 || len(lines) == 0 || !strings.Contains(lines[len(lines)-1].Error, tc.want) {
			t.Errorf("%v %v: exit %d, %+v, want %q", tc.env, tc.args, code, lines, tc.want)
		}
	}
}

// Two servers share the database, and clients order from both at once, each key from both.
func TestTwoServersShareOneDatabase(t *testing.T) {
	databases(t, func(t *testing.T, env []string, source store.Source) {
		if code, lines := runToEnd(t, env, "migrate"); code != 0 {
			t.Fatalf("migrate: %+v", lines)
		}
		servers := []*server{start(t, env), start(t, env)}
		const keys = 40
		var created, repeated atomic.Int64
		var all sync.WaitGroup
		for i := range 2 * 4 {
			all.Go(func() {
				for k := range keys {
					switch status, err := place(t.Context(), http.DefaultClient, servers[i%2].url, fmt.Sprint("key-", k)); {
					case err == nil && status == http.StatusCreated:
						created.Add(1)
					case err == nil && status == http.StatusOK:
						repeated.Add(1)
					default:
						t.Errorf("client %d, key %d: status %d, error %v", i, k, status, err)
					}
				}
			})
		}
		all.Wait()
		if created.Load() != keys || repeated.Load() != 7*keys {
			t.Errorf("%d created, %d repeated, want %d and %d", created.Load(), repeated.Load(), keys, 7*keys)
		}
		for _, s := range servers {
			s.terminate(t)
		}
		if n := count(t, source); n != keys {
			t.Errorf("%d orders in the database, want %d", n, keys)
		}
	})
}

func count(t *testing.T, source store.Source) (n int) {
	t.Helper()
	s, err := store.Open(source, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for after := ""; ; {
		page, more, err := s.List(t.Context(), "north", "2099-12-01", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page)
		if !more {
			return n
		}
		after = page[len(page)-1].ID
	}
}

// Clients that never stop ordering, as a load balancer that has not heard yet: while the server drains none of their
// requests fails, and after that the only failure is that nobody listens. Every order in the database was answered
// 201 and the other way round: no request that was accepted failed.
func TestSIGTERMUnderLoadBreaksNoRequest(t *testing.T) {
	databases(t, func(t *testing.T, env []string, source store.Source) {
		if code, lines := runToEnd(t, env, "migrate"); code != 0 {
			t.Fatalf("migrate: %+v", lines)
		}
		s := start(t, append(env, "DRAIN=1s"))
		var placed, terminated atomic.Int64 // terminated: Unix nanoseconds
		enough := make(chan struct{})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				// Half of them keep their connections, as load balancers do; the other half make one for each request.
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
				for n := 0; ; n++ {
					status, err := place(t.Context(), client, s.url, fmt.Sprintf("client-%d-order-%d", i, n))
					if err != nil {
						since := time.Since(time.Unix(0, terminated.Load()))
						if terminated.Load() == 0 || since < 900*time.Millisecond || !nobodyListens(err) {
							t.Errorf("client %d, %s after SIGTERM: %v", i, since, err)
						}
						return
					}
					if status != http.StatusCreated {
						t.Errorf("client %d: status %d", i, status)
						return
					}
					if placed.Add(1) == 100 {
						close(enough)
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(2 * time.Minute):
			t.Fatalf("only %d orders", placed.Load())
		}
		terminated.Store(time.Now().UnixNano())
		before := placed.Load()
		rest := s.terminate(t)
		all.Wait()
		logged := 0
		for _, l := range rest {
			if l.Msg == "request" && l.Status == http.StatusCreated {
				logged++
			} else if l.Level != "info" && l.Msg != "events stay in the outbox" { // as a slow database makes them: nothing is lost by it
				t.Errorf("log line %+v", l)
			}
		}
		if int64(logged) != placed.Load() {
			t.Errorf("%d orders answered 201 by the server's log, %d received", logged, placed.Load())
		}
		if n := count(t, source); int64(n) != placed.Load() {
			t.Errorf("%d orders in the database, %d answered", n, placed.Load())
		}
		if placed.Load() <= before {
			t.Error("no request came after SIGTERM: the test showed nothing")
		}
		t.Logf("%d orders, %d of them after SIGTERM", placed.Load(), placed.Load()-before)
	})
}

// nobodyListens is true of errors of a connection that the server never accepted: refused, or reset or closed in the
// kernel's queue together with the listener. That no accepted request hides behind it, the count of orders shows.
func nobodyListens(err error) bool {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
