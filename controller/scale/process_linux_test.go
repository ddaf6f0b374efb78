package scale_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/sim"
)

// BenchmarkProcess is the program itself, as a process of its own, over an account of ten thousand services in which nothing
// happens: what it has of the machine's memory, and of one of its cores, at its default pace and share. It takes real time, most of
// it to deploy ten thousand services first.
func BenchmarkProcess(b *testing.B) {
	const services = 10_000
	w := newWorld(b, services)
	defer w.close()
	w.start(1e6, app.DefaultIdle)
	w.await(time.Hour, healthy)
	w.end()
	w.sim.Throttle(true)
	for b.Loop() {
		p := startProgram(b, w)
		// A sweep at the default share takes two minutes and more. In the first one what is due after the verdicts is written down, the
		// second one finds all caches warm.
		for range 2 {
			w.sim.Calls.Reset()
			for w.sim.Calls.Count("ecs", "DescribeServices") < services/10 {
				time.Sleep(time.Second)
				p.alive()
			}
		}
		const window = 2 * time.Minute
		before := p.cpu()
		time.Sleep(window)
		b.ReportMetric(100*(p.cpu()-before).Seconds()/window.Seconds(), "%core")
		b.ReportMetric(float64(p.status("VmRSS"))/1024, "MiB-resident")
		b.ReportMetric(float64(p.status("VmHWM"))/1024, "MiB-highest")
		p.stop()
	}
	if _, writes, throttled, list := w.calls(); writes > 0 || throttled > 0 {
		b.Errorf("%d writes, %d throttles: %s", writes, throttled, list)
	}
}

// program is the controller's process.
type program struct {
	tb    testing.TB
	cmd   *exec.Cmd
	ended chan error
	log   bytes.Buffer // read once it has ended
}

func startProgram(tb testing.TB, w *world) *program {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "controller")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/controller").CombinedOutput(); err != nil {
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
	p := &program{tb: tb, ended: make(chan error, 1)}
	p.cmd = exec.Command(binary, "run", "--env", "dev", "--source", filepath.Join(w.dir, "git"), "--ledger", filepath.Join(w.dir, "ledger.db"), "--listen", "", "--log-level", "warn")
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
