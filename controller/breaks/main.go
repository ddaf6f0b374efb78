// Command breaks breaks the controller on purpose, one line at a time, and tells which test caught it. A rule that can be
// broken without a test going red is not held. Nothing in the work tree is changed: the go command is given the broken
// file in place of the real one.
//
//	go run ./controller/breaks [invariant …]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// target is one package whose tests are run.
type target struct {
	pkg   string
	flags []string
}

// quick are the packages whose tests hold the invariants, the fastest first: one that goes red is enough.
var quick = []target{
	{"./controller/rollout", []string{"-rapid.nofailfile"}}, // what a broken rule's counterexample was is of no use later
	{"./controller/health", nil},
	{"./controller/strategy/...", nil},
	{"./controller/ledger", []string{"-rapid.nofailfile"}},
	{"./controller/ledger/lease", nil},
	{"./controller/events", []string{"-rapid.nofailfile"}},
	{"./controller/reconcile", nil},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	uncaught, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "breaks: %v\n", err)
		os.Exit(2)
	}
	if uncaught > 0 {
		fmt.Fprintf(os.Stderr, "breaks: %d were not caught\n", uncaught)
		os.Exit(1)
	}
}

func run(ctx context.Context, only []string) (uncaught int, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return 0, fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "breaks-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprintln(w, "INVARIANT\tBREAK\tCAUGHT BY")
	for _, b := range breakages {
		if len(only) > 0 && !slices.Contains(only, strconv.Itoa(b.invariant)) {
			continue
		}
		caught, err := b.apply(ctx, strings.TrimSpace(string(root)), dir)
		if ctx.Err() != nil {
			return uncaught, ctx.Err()
		}
		if err != nil {
			uncaught++
			caught = []string{"NOT TRIED: " + err.Error()}
		}
		by := strings.Join(caught, ", ")
		if len(caught) == 0 {
			uncaught++
			by = "NOTHING"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", b.invariant, b.what, by)
		_ = w.Flush()
	}
	return uncaught, nil
}

// apply runs the tests with one line broken, and returns those that failed.
func (b breakage) apply(ctx context.Context, root, dir string) ([]string, error) {
	file := filepath.Join(root, "controller", filepath.FromSlash(b.file))
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(source), b.old); n != 1 {
		return nil, fmt.Errorf("%s has %d times %q, want once", b.file, n, b.old)
	}
	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(source), b.old, b.new, 1)), 0o600); err != nil {
		return nil, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: broken}})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return nil, err
	}
	for _, p := range quick {
		caught, err := test(ctx, root, list, p)
		if err != nil || len(caught) > 0 {
			return caught, err
		}
	}
	return nil, nil
}

// test runs one package's tests with the overlay, and returns those that failed.
func test(ctx context.Context, root, overlay string, p target) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-vet=off", "-overlay", overlay, p.pkg}, p.flags...)...)
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if cmd.Run() == nil {
		return nil, ctx.Err()
	}
	if strings.Contains(out.String(), "[build failed]") {
		return nil, fmt.Errorf("it does not compile: %.200s", strings.ReplaceAll(out.String(), "\n", " "))
	}
	return failures(out.String()), ctx.Err()
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^panic: (.{0,60})`)

// failures are the top-level tests that failed, the first few of them.
func failures(out string) []string {
	var names []string
	for _, m := range failure.FindAllStringSubmatch(out, -1) {
		name := m[1]
		if name == "" {
			name = "panic: " + m[2]
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return names
}
