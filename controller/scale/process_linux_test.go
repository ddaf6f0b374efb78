package scale_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/sim"
)

var (
	processServices = flag.Int("services", 10_000, "how many services BenchmarkProcess has")
	processWindow   = flag.Duration("window", 2*time.Minute, "for how long BenchmarkProcess watches the processor")
)

// BenchmarkProcess is the program itself, built as it is shipped, as a process of its own, over an account of many services in which
// nothing happens: what it has of the machine's memory, and of one of its cores, at its default pace and share. It takes real time:
// ten minutes for ten thousand services. Only what is read once about each service, its task definitions, is read faster than AWS
// would let it, since that alone would take forty minutes.
func BenchmarkProcess(b *testing.B) {
	services := *processServices
	w := newWorld(b, services)
	defer w.close()
	w.start(1e6, 20*time.Second)
	w.await(time.Hour, healthy)
	w.quiet(45 * time.Second) // what is due after the verdicts is written
	w.end()
	for b.Loop() {
		w.sim.Throttle(false)
		w.sim.Calls.Reset()
		p := startProgram(b, w)
		p.until(func() bool { return w.looks() >= services })
		read := func() int { return w.sim.Calls.Count("ecs", "DescribeTaskDefinition") }
		for before := -1; before != read() || before < 2*services; { // until all is read that is read once: a template and a revision each
			before = read()
			time.Sleep(30 * time.Second)
			p.alive()
		}
		w.sim.Throttle(true)
		w.sim.Calls.Reset()
		p.until(func() bool { return w.looks() >= services }) // all caches are warm
		before := p.cpu()
		time.Sleep(*processWindow)
		b.ReportMetric(100*(p.cpu()-before).Seconds()/processWindow.Seconds(), "%core")
		p.memory(b, "")
		if _, writes, throttled, list := w.calls(); writes > 0 || throttled > 0 {
			b.Errorf("%d writes, %d throttles: %s", writes, throttled, list)
		}
		p.get("/")
		p.get("/metrics")
		p.memory(b, "-then") // with the page made and the metrics told once
		p.stop()
	}
}

// quiet waits until nothing has been written to the account for so long.
func (w *world) quiet(long time.Duration) {
	before := 0
	for since := time.Now(); time.Since(since) < long; time.Sleep(time.Second) {
		if _, writes, _, _ := w.calls(); writes != before {
			before, since = writes, time.Now()
		}
	}
}

// looks is how many services DescribeServices was asked about since the last reset, where all its requests were full.
func (w *world) looks() int { return w.sim.Calls.Count("ecs", "DescribeServices") * 10 }

// program is the controller's process.
type program struct {
	tb     testing.TB
	cmd    *exec.Cmd
	listen string
	ended  chan error
	log    bytes.Buffer // read once it has ended
}

func startProgram(tb testing.TB, w *world) *program {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "controller")
	build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", binary, "../cmd/controller")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build the controller: %v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.sim.Serve(ctx, listener) }()
	tb.Cleanup(func() {
		cancel()
		must(tb, <-served)
	})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	p := &program{tb: tb, listen: free.Addr().String(), ended: make(chan error, 1)}
	must(tb, free.Close())
	p.cmd = exec.Command(binary, "run", "--env", "dev", "--source", filepath.Join(w.dir, "git"), "--ledger", filepath.Join(w.dir, "ledger.db"), "--listen", p.listen, "--log-level", "warn",
		"--api-limit", "ecs task definition read=1000/1000")
	p.cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL=http://"+listener.Addr().String(), "AWS_REGION="+sim.DefaultRegion,
		"AWS_ACCESS_KEY_ID="+sim.AccessKey, "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true")
	p.cmd.Stderr = &p.log
	must(tb, p.cmd.Start())
	go func() { p.ended <- p.cmd.Wait() }()
	tb.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func (p *program) alive() {
	p.tb.Helper()
	select {
	case err := <-p.ended:
		p.tb.Fatalf("the controller ended: %v\n%s", err, p.log.String())
	default:
	}
}

func (p *program) stop() {
	p.tb.Helper()
	must(p.tb, p.cmd.Process.Signal(syscall.SIGTERM))
	if err := <-p.ended; err != nil {
		p.tb.Errorf("the controller ended: %v\n%s", err, p.log.String())
	}
}

// until waits until it is so.
func (p *program) until(is func() bool) {
	p.tb.Helper()
	for !is() {
		time.Sleep(time.Second)
		p.alive()
	}
}

// memory reports what the process has: resident at all, its own, files' (the program itself and the ledger), and the most it ever had.
func (p *program) memory(b *testing.B, when string) {
	b.Helper()
	for name, unit := range map[string]string{"VmRSS": "MiB-resident", "RssAnon": "MiB-own", "RssFile": "MiB-files", "VmHWM": "MiB-highest"} {
		b.ReportMetric(float64(p.status(name))/1024, unit+when)
	}
}

// get reads an answer of the program's to its end.
func (p *program) get(path string) {
	p.tb.Helper()
	answer, err := http.Get("http://" + p.listen + path)
	must(p.tb, err)
	defer func() { _ = answer.Body.Close() }()
	n, err := io.Copy(io.Discard, answer.Body)
	must(p.tb, err)
	if answer.StatusCode != http.StatusOK {
		p.tb.Fatalf("%s answers %s", path, answer.Status)
	}
	p.tb.Logf("%s has %d bytes", path, n)
}

// status is a line of /proc/PID/status, in KiB.
func (p *program) status(name string) int {
	p.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(p.tb, err)
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			must(p.tb, err)
			return n
		}
	}
	p.tb.Fatalf("no %s in\n%s", name, text)
	return 0
}

// cpu is the processor's time that the process has had. The kernel tells it in hundredths of a second.
func (p *program) cpu() time.Duration {
	p.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	must(p.tb, err)
	_, after, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(after) // from field 3 on: utime is 14, stime 15
	user, err := strconv.Atoi(f[11])
	must(p.tb, err)
	system, err := strconv.Atoi(f[12])
	must(p.tb, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}
