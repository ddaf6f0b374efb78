// Package pgtest gives a test a real PostgreSQL: a fresh database on the server of TEST_DATABASE_URL, or on a throw-away
// server if its programs are installed.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// URL returns the URL of an empty database that lives as long as the test. Where no PostgreSQL can be had it skips the
// test and says what is missing.
func URL(t *testing.T) string {
	t.Helper()
	if given := os.Getenv("TEST_DATABASE_URL"); given != "" {
		return freshDatabase(t, given)
	}
	shared.once.Do(func() {
		shared.server = begin(t)
		// Of the whole program, not of this test: see Main.
		shared.server.t = program{}
	})
	if shared.server == nil {
		t.Skip("no PostgreSQL: see the first test that was skipped")
	}
	return freshDatabase(t, shared.server.URL)
}

// shared is the server of all tests of a program that want no more than a database.
var shared struct {
	once   sync.Once
	server *Server
}

// Main runs a program's tests and then ends the server that URL may have started. TestMain must exit with its result.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		shared.server.Stop()
		if err := os.RemoveAll(shared.server.dir); err != nil {
			program{}.Errorf("remove the PostgreSQL cluster: %v", err)
		}
	}
	return code
}

// tester is what a server tells its troubles: a test, or the program.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

type program struct{}

func (program) Helper() {}
func (program) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "pgtest: "+format+"\n", args...)
}
func (p program) Fatal(args ...any) { p.Fatalf("%s", fmt.Sprint(args...)) }
func (p program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	os.Exit(1)
}

func freshDatabase(t *testing.T, server string) string {
	t.Helper()
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is not a URL") // not repeated: it holds a password
	}
	name := "test_" + strings.ToLower(rand.Text())
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	at.Path = "/" + name
	return at.String()
}

func execute(t *testing.T, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	_, err = conn.Exec(ctx, statement)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Server is a PostgreSQL of the test's own, reached by a Unix socket, that may be stopped and resumed.
type Server struct {
	URL     string // as its superuser, without a password, over its socket
	t       tester
	bin     string
	dir     string
	account *syscall.Credential
	args    []string
	process *exec.Cmd
	log     bytes.Buffer
}

// Start makes a server and runs it until the test ends. It skips the test if the server's programs are not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s := begin(t)
	t.Cleanup(func() {
		s.Stop()
		if err := os.RemoveAll(s.dir); err != nil {
			t.Errorf("remove the PostgreSQL cluster: %v", err)
		}
	})
	return s
}

func begin(t testing.TB) *Server {
	t.Helper()
	bin := programs()
	if bin == "" {
		t.Skip("no PostgreSQL: set TEST_DATABASE_URL, or install the server (apt-get install postgresql)")
	}
	// Not t.TempDir: the server's user could not enter its parent, and a socket's path must be short.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: bin, dir: dir, account: unprivileged(t), args: []string{"-h", "", "-F"}}
	if s.account != nil {
		if err := os.Chown(dir, int(s.account.Uid), int(s.account.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := s.command("initdb", "--pgdata", filepath.Join(dir, "data"), "--username", "postgres",
		"--auth-local", "trust", "--auth-host", "scram-sha-256",
		"--encoding", "UTF8", "--no-locale", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.URL = "postgres://postgres@/postgres?" + url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode()
	s.Resume()
	return s
}

// Restart starts the server again with other arguments; without "-F" it writes through to the disk as it does in earnest.
func (s *Server) Restart(args ...string) {
	s.t.Helper()
	s.Stop()
	s.args = args
	// The socket's name has the port in it.
	at := url.Values{"host": {s.dir}, "sslmode": {"disable"}}
	if i := slices.Index(args, "-p"); i >= 0 {
		at.Set("port", args[i+1])
	}
	s.URL = "postgres://postgres@/postgres?" + at.Encode()
	s.Resume()
}

// Resume runs the server, again after Stop, and waits until it answers.
func (s *Server) Resume() {
	s.t.Helper()
	s.process = s.command("postgres", append([]string{"-D", filepath.Join(s.dir, "data"), "-k", s.dir}, s.args...)...)
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("start postgres: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			if err := conn.Close(ctx); err != nil {
				s.t.Fatal(err)
			}
			return
		}
		select {
		case <-ctx.Done():
			s.Stop()
			s.t.Fatalf("postgres does not answer: %v\n%s", err, s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server and every connection to it (PostgreSQL's fast shutdown, SIGINT). It may be called twice.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Errorf("stop postgres: %v", err)
	}
	if err := s.process.Wait(); err != nil {
		s.t.Errorf("postgres ended with %v\n%s", err, s.log.String())
	}
	s.process = nil
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
	return cmd
}

// programs returns the folder of the newest installed server, or "".
func programs() string {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(candidates, func(a, b string) int { return version(b) - version(a) })
	if found, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(found); err == nil {
			candidates = append(candidates, filepath.Dir(real))
		}
	}
	for _, dir := range candidates {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir
		}
	}
	return ""
}

// unprivileged is whom to run the server as: PostgreSQL refuses to be root.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Skip("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
	return nil
}
