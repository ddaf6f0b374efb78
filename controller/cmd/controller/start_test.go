package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/sim"
)

// lastLine is what the program says when it gives up. It must be one line, and nothing must follow it.
func lastLine(t *testing.T, stderr string) string {
	t.Helper()
	_, line, ok := strings.Cut("\n"+stderr, "\ncontroller: ")
	if line = strings.TrimSuffix(line, "\n"); !ok || strings.Contains(line, "\n") {
		t.Fatalf("standard error does not end with one line of the controller's:\n%s", stderr)
	}
	return line
}

func TestWrongCalls(t *testing.T) {
	const secret = "planted-in-the-address"
	good := []string{"run", "--env", "dev", "--source", "/nowhere", "--listen", ""}
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no environment", []string{"run", "--source", "."}, 2, "--env must name a folder"},
		{"an environment outside", []string{"run", "--source", ".", "--env", "../prod"}, 2, "--env must name a folder"},
		{"no source", []string{"run", "--env", "dev"}, 2, "--source must name the repository"},
		{"an unknown flag", append(good, "--polll", "1s"), 2, "unknown flag: --polll"},
		{"no duration", append(good, "--poll", "often"), 2, `invalid argument "often"`},
		{"too often", append(good, "--poll", "1ms"), 2, "at least 1s"},
		{"no workers", append(good, "--workers", "0"), 2, "--workers must be 1 to 256"},
		{"more than there is", append(good, "--api-share", "2"), 2, "--api-share must be above 0 and at most 1"},
		{"no budget", append(good, "--api-limit", "ecs=1/1"), 2, `--api-limit: "ecs" is no budget; the budgets are: cloudformation read, `},
		{"no limit", append(good, "--api-limit", "ecs service modify=many"), 2, `--api-limit: "many" are not the limits of a budget; write ecs service modify=BURST/REFILL, such as ecs service modify=50/5`},
		{"no peer", append(good, "--peer", "dev"), 2, `--peer: "dev" is no peer; write its environment and its address, such as dev=https://deploy.dev.example`},
		{"no queue", append(good, "--events", "deploy-events"), 2, `--events: "deploy-events" is not the URL of an SQS queue; write the queue's URL`},
		{"a FIFO queue", append(good, "--events", "https://sqs.eu-central-1.amazonaws.com/123456789012/x.fifo"), 2, "name a standard queue"},
		{"no collector", append(good, "--otlp", "localhost:4318"), 2, "--otlp: it must be the collector's address, such as http://localhost:4318"},
		{"a password in the collector's address", append(good, "--otlp", "https://me:"+secret+"@otel.example"), 2, "what lets somebody in belongs into OTEL_EXPORTER_OTLP_HEADERS"},
		{"no format", append(good, "--log", "xml"), 2, "write json or console"},
		{"no level", append(good, "--log-level", "loud"), 2, "write debug, info, warn or error"},
		{"an argument", append(good, "now"), 2, `unknown command "now"`},
		{"a password in the source", append(good, "--source", "https://x:"+secret+"@git.example/r.git"), 2, "source holds a password"},
		{"no folder for the ledger", append(good, "--ledger", "/nowhere/ledger.db"), 1, "/nowhere/ledger.db"},
		{"no file with the webhook's secret", append(good, "--webhook-secret-file", "/nowhere/secret"), 1, "/nowhere/secret"},
		{"no address", append(good, "--listen", "8080"), 1, "name another address with --listen"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := callProgram(t, nil, tt.args...)
			said := strings.TrimSuffix(stderr, "\nsee controller --help\n")
			if code != tt.code || (code == 2) != (said != stderr) || stdout != "" {
				t.Errorf("exit code %d, want %d; standard output %q, standard error:\n%s", code, tt.code, stdout, stderr)
			}
			if line := lastLine(t, said); !strings.Contains(line, tt.want) || strings.Contains(stderr, secret) {
				t.Errorf("it says %q, want %q and no secret", line, tt.want)
			}
		})
	}
}

func TestThePortIsTaken(t *testing.T) {
	w := newWorld(t, sim.Config{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer taken.Close()
	code, _, stderr := w.call(nil, w.args("--listen", taken.Addr().String())...)
	if line := lastLine(t, stderr); code != 1 || !strings.Contains(line, taken.Addr().String()) || !strings.Contains(line, "address already in use") {
		t.Errorf("exit code %d: %s", code, line)
	}
}

func TestASecondControllerIsRefused(t *testing.T) {
	w := newWorld(t, sim.Config{}, simple("orders"))
	w.ask("1a11111", "orders")
	first := w.start()
	began := time.Now()
	code, _, stderr := w.call(nil, w.args()...)
	if line := lastLine(t, stderr); code != 1 || !strings.Contains(line, "ledger.db") || !strings.Contains(line, "another") {
		t.Errorf("exit code %d: %s", code, line)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to refuse", took)
	}
	if n := w.account.Calls.Count("sts", "GetCallerIdentity"); n > 1 {
		t.Errorf("the refused controller asked the account: %d times", n)
	}
	first.stop()
	w.start().awaitPhase(condition.PhaseVerifying, "orders")
}

func TestCredentialsOfAnotherAccount(t *testing.T) {
	w := newWorld(t, sim.Config{Account: "111111111111"}, simple("orders"))
	w.ask("1a11111", "orders")
	code, _, stderr := w.call(nil, w.args("--log", "console")...)
	line := ""
	for l := range strings.Lines(stderr) {
		if strings.HasPrefix(l, "controller: ") {
			line += l
		}
	}
	if code != 1 || strings.Count(line, "\n") != 1 || !strings.Contains(line, "111111111111") || !strings.Contains(line, "000000000000") || !strings.HasSuffix(stderr, line) {
		t.Errorf("exit code %d, want 1 and one last line that names both accounts:\n%s", code, stderr)
	}
	for operation, n := range w.account.Calls.Counts() {
		if operation != "sts.GetCallerIdentity" {
			t.Errorf("it asked the foreign account %s, %d times", operation, n)
		}
	}
}

func TestGitIsMissingAtFirst(t *testing.T) {
	w := newWorld(t, sim.Config{})
	away := filepath.Join(w.dir, "not-yet")
	w.must(os.Rename(w.source, away))
	p := w.start()
	p.await("the reason in /readyz", func() error {
		code, body, err := p.get("/readyz")
		if err == nil && (code != http.StatusServiceUnavailable || !strings.Contains(body, w.source+" is not a git repository")) {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	})
	if code, _, err := p.get("/healthz"); code != http.StatusOK || err != nil {
		t.Errorf("/healthz says %d (%v): a restart would not help", code, err)
	}
	if _, body, _ := p.get("/"); !strings.Contains(body, "is not a git repository") {
		t.Errorf("the page does not tell why nothing is known:\n%s", body)
	}
	w.must(os.Rename(away, w.source))
	p.await("readiness", func() error {
		code, body, err := p.get("/readyz")
		if err == nil && code != http.StatusOK {
			err = errors.New(body)
		}
		return err
	})
	p.stop()
}
