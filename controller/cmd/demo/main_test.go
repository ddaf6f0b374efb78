package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/canteen/deploy/controller/sim"
)

// safe is a buffer that the story writes to while the test reads it.
type safe struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// The story comes out as told, with real processes, and no request fails; also when the controller is killed over and
// over, which must change nothing that the visitor or the history could tell.
func TestStory(t *testing.T) {
	for name, args := range map[string][]string{
		"undisturbed": nil,
		"killed":      {"--kill-controller-every", "4s", "--kill-seed", "7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs safe
			args := append([]string{"--exit-when-done", "--aws-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, args...)
			if code := run(t.Context(), args, &out, &errs); code != 0 {
				t.Fatalf("exit code %d: %s\n%s", code, errs.String(), out.String())
			}
			if !strings.Contains(out.String(), "orders that were answered 201 is there once") {
				t.Error("the orders were not counted")
			}
			if !strings.Contains(out.String(), "\nfailed requests: 0 of ") || strings.Count(out.String(), "✔ as expected") != 7 {
				t.Errorf("the story reads:\n%s", out.String())
			}
			if name == "undisturbed" {
				holdSample(t, out.String())
			}
			if name == "killed" && strings.Count(out.String(), "✂") < 10 {
				t.Errorf("the controller was killed %d times only", strings.Count(out.String(), "✂"))
			}
		})
	}
}

// holdSample holds the README's sample of the demo's output to what it prints: line after line, whatever is left out in between. What
// differs from run to run may differ, and of what is told of a moment (▶, and ↩ before it is over) a slow machine may miss some.
func holdSample(t *testing.T, printed string) {
	t.Helper()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(readme), "Shortened, it prints:\n\n```\n")
	sample, _, _ = strings.Cut(sample, "```")
	rest, held := strings.Split(printed, "\n"), 0
	for line := range strings.Lines(sample) {
		want, prefix := strings.CutSuffix(steady(line), "…")
		if want == "" || strings.Contains(line, "▶") || strings.Contains(line, "↩ Reverting") {
			continue
		}
		at := slices.IndexFunc(rest, func(l string) bool { l = steady(l); return l == want || prefix && strings.HasPrefix(l, want) })
		if at < 0 {
			t.Errorf("the demo does not print, at this place, what README.md says it does: %s", line)
			continue
		}
		rest, held = rest[at+1:], held+1
	}
	if held < 20 {
		t.Errorf("README.md has %d lines of the demo's output", held)
	}
}

// differs is what differs between two runs: times, hashes of commits, and how much there was of what.
var differs = regexp.MustCompile(`\[ *[\d.]+m?s\]|\b(\d+m)?[\d.]+m?s\b|committed [0-9a-f]+|\d+ orders|of \d+$`)

// many is left away where it was one.
var many = regexp.MustCompile(`\d+ tasks stopped: `)

func steady(line string) string {
	line = many.ReplaceAllString(line, "")
	return strings.Join(strings.Fields(differs.ReplaceAllString(strings.TrimSpace(line), "~")), " ")
}

func TestWrongCalls(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(bad, []byte("clusters: [a]\nclusterz: [b]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--no-such-flag"}, 2, "no-such-flag"},
		{[]string{"something"}, 2, "takes flags only"},
		{[]string{"--seed", bad}, 2, "--seed only with --account-only"},
		{[]string{"--account-only", "--seed", bad}, 1, "clusterz"},
		{[]string{"--account-only", "--seed", "/no/such/file"}, 1, "/no/such/file"},
		{[]string{"--account-only", "--aws-listen", "0.0.0.0:0"}, 1, "this machine only"},
	} {
		var out, errs safe
		if code := run(t.Context(), tc.args, &out, &errs); code != tc.code || !strings.Contains(errs.String(), tc.want) {
			t.Errorf("%v: exit code %d, want %d: %s", tc.args, code, tc.code, errs.String())
		}
	}
}

// The controller may do what the infrastructure's policy allows; others in the story are not held to it.
func TestControllerIsHeldToItsPolicy(t *testing.T) {
	account, err := openAccount(t.Context(), t.TempDir(), "", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = account.Close() }()
	for key, allowed := range map[string]bool{controllerKey: false, sim.AccessKey: true} {
		cfg := account.AWSConfig()
		cfg.Credentials = credentials.NewStaticCredentialsProvider(key, "local", "")
		if _, err := ecs.NewFromConfig(cfg).DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}}); err != nil {
			t.Errorf("%s may not look at its own service: %v", key, err)
		}
		_, err := ecs.NewFromConfig(cfg).DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{"other"}})
		if allowed != (err == nil) || !allowed && !strings.Contains(err.Error(), "is not authorized to perform: ecs:DescribeServices") {
			t.Errorf("%s looks at another service: %v, want it allowed %t", key, err, allowed)
		}
	}
}

// What serves is asked of the account, which answers also while the controller is killed, and tells a hand's deployment from the one
// before.
func TestWhatServes(t *testing.T) {
	account, err := openAccount(t.Context(), t.TempDir(), "", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = account.Close() }()
	before, err := serving(t.Context(), account.AWSConfig())
	if err != nil || !strings.HasPrefix(before, "ecs-svc/") {
		t.Fatalf("%q serves: %v", before, err)
	}
	if _, err := deployByHand(t.Context(), account.AWSConfig()); err != nil {
		t.Fatal(err)
	}
	if after, err := serving(t.Context(), account.AWSConfig()); err != nil || after == before {
		t.Errorf("%q serves after another deployment, before it %q did: %v", after, before, err)
	}
}

// The account alone answers any client, and ends when it is told to.
func TestAccountOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs safe
	done := make(chan int)
	go func() { done <- run(ctx, []string{"--account-only", "--aws-listen", addr}, &out, &errs) }()
	var answer string
	for end := time.Now().Add(20 * time.Second); answer == "" && time.Now().Before(end); {
		answer = listClusters(ctx, addr)
	}
	if !strings.Contains(answer, "cluster/order-processing-dev") {
		t.Errorf("ListClusters or DescribeClusters answered %q; output %s%s", answer, out.String(), errs.String())
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func listClusters(ctx context.Context, addr string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/", strings.NewReader(`{"clusters":["order-processing-dev"]}`))
	if err != nil {
		return ""
	}
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeClusters")
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}
