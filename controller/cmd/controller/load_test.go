package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/sim"
)

// gitServer is the world's repository behind the real git http-backend.
type gitServer struct {
	source string
	asked  atomic.Int64                                             // how often for the branch's tip
	broken atomic.Pointer[func(http.ResponseWriter, *http.Request)] // what answers instead, while something does
}

func (w *world) throughGit() *gitServer {
	w.t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		w.t.Skip("no git on this machine to serve a repository")
	}
	g := &gitServer{}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(w.source), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			g.asked.Add(1)
		}
		if broken := g.broken.Load(); broken != nil {
			(*broken)(rw, r)
			return
		}
		backend.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(server.Close)
	g.source = server.URL + "/" + filepath.Base(w.source) + "/.git"
	return g
}

// breaks lets something else answer; nil lets git answer again.
func (g *gitServer) breaks(how func(http.ResponseWriter, *http.Request)) {
	if how == nil {
		g.broken.Store(nil)
		return
	}
	g.broken.Store(&how)
}

// number is the value of a series now.
func (p *program) number(series string) float64 {
	p.t.Helper()
	_, body, err := p.get("/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	n, ok := sample(body, series)
	if !ok {
		p.t.Fatalf("no series %s", series)
	}
	return n
}

// TestAFloodOfWebhooks: a thousand signed deliveries a second, a thousand connections that only sit there, others that send a byte a second,
// and event streams that nobody reads cost bounded memory; git is asked about once a second, and a push in the midst of it is deployed.
func TestAFloodOfWebhooks(t *testing.T) {
	w := newWorld(t, sim.Config{}, simple("orders"))
	g := w.throughGit()
	const secret = "of-the-webhook"
	p := w.startWith([]string{webhookSecretEnv + "=" + secret}, "--source", g.source, "--poll", "1h")
	p.await("the first look", func() error { return p.fetched(1) })
	goroutines, heap := p.number("go_goroutines"), p.number("go_memstats_heap_inuse_bytes")
	began, asked := time.Now(), g.asked.Load()

	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	const idle, slow, deaf = 1000, 100, 30
	for i := range idle + slow + deaf {
		c, err := net.Dial("tcp", p.addr)
		w.must(err)
		conns = append(conns, c)
		switch {
		case i < idle:
		case i < idle+slow:
			_, _ = io.WriteString(c, "POST /webhook/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256="+strings.Repeat("0", 64)+"\r\nContent-Length: 1000000\r\n\r\n")
			_, _ = io.WriteString(c, strings.Repeat("x", 100_000))
		default:
			_, _ = io.WriteString(c, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}
	flood := newFlood(p.addr, secret)
	time.Sleep(1500 * time.Millisecond)
	w.ask("1a11111", "orders") // the newest of the deliveries after it finds it
	p.await("the rollout", func() error {
		s, err := p.look("orders")
		if err == nil && s.Phase != condition.PhaseMigrating && s.Phase != condition.PhaseRollingOut {
			err = errors.New(s.Why)
		}
		return err
	})
	during, held := p.number("go_goroutines"), p.number("go_memstats_heap_inuse_bytes")
	time.Sleep(1500 * time.Millisecond)
	answered, failed, slowest := flood.end()
	took := time.Since(began)
	p.awaitPhase(condition.PhaseHealthy, "orders")
	w.wasRolledOnce(p, "orders")

	t.Logf("%d deliveries in %s, the slowest took %s; git was asked %d times; %.0f goroutines, %.0f MiB", answered, took, slowest, g.asked.Load()-asked, during, held/(1<<20))
	if answered < 1000 || failed > 0 || slowest > 20*time.Second {
		t.Errorf("%d answered as they should, %d not, the slowest after %s", answered, failed, slowest)
	}
	// A fetch of something new asks twice for the tip.
	if n, most := g.asked.Load()-asked, int64(took/time.Second)+4; n > most {
		t.Errorf("git was asked %d times in %s, want at most %d", n, took, most)
	}
	if during > goroutines+3*(idle+slow+deaf)+300 || held > heap+256<<20 {
		t.Errorf("%.0f goroutines, %.0f before; %.0f MiB, %.0f before", during, goroutines, held/(1<<20), heap/(1<<20))
	}
	p.stop()
}

// flood is clients that deliver signed pushes, about a thousand a second in all.
type flood struct {
	stop             context.CancelFunc
	clients          sync.WaitGroup
	answered, failed atomic.Int64
	slowest          atomic.Int64
}

func newFlood(addr, secret string) *flood {
	ctx, stop := context.WithCancel(context.Background())
	f := &flood{stop: stop}
	body := `{"ref":"refs/heads/main","padding":"` + strings.Repeat("x", 5000) + `"}`
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	for range 10 {
		f.clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				r, _ := http.NewRequest(http.MethodPost, "http://"+addr+"/webhook/github", strings.NewReader(body))
				r.Header.Set("X-GitHub-Event", "push")
				r.Header.Set("X-Hub-Signature-256", signature)
				start := time.Now()
				res, err := client.Do(r)
				f.slowest.Store(max(f.slowest.Load(), int64(time.Since(start))))
				if err != nil || res.StatusCode != http.StatusAccepted {
					f.failed.Add(1)
					continue
				}
				_ = res.Body.Close()
				f.answered.Add(1)
			}
		})
	}
	return f
}

func (f *flood) end() (answered, failed int64, slowest time.Duration) {
	f.stop()
	f.clients.Wait()
	return f.answered.Load(), f.failed.Load(), time.Duration(f.slowest.Load())
}

// TestAGitServerThatMisbehaves: pages and silence are told, in the log, by metric and on the page; what git last said
// goes on being kept; and what it says next is found once it is well again, without anybody's help.
func TestAGitServerThatMisbehaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{}, simple("orders"), simple("menus"))
	g := w.throughGit()
	w.ask("1a11111", "orders")
	p := w.start("--source", g.source)
	p.awaitPhase(condition.PhaseHealthy, "orders")
	silent := make(chan struct{})
	defer close(silent)
	for _, trouble := range []struct {
		name, says string
		how        func(http.ResponseWriter, *http.Request)
	}{
		{"a page", "git cannot be read", func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "<html>"+strings.Repeat("Log in, please. ", 10_000)+"</html>")
		}},
		{"silence", "git cannot be read", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-silent:
			}
		}},
	} {
		failures, before := p.number(`deploy_git_fetch_total{result="error"}`), p.out.String()
		g.breaks(trouble.how)
		p.await("word of "+trouble.name, func() error {
			if n := p.number(`deploy_git_fetch_total{result="error"}`); n <= failures {
				return fmt.Errorf("%v failures", n)
			}
			return nil
		})
		said := strings.TrimPrefix(p.out.String(), before)
		if !strings.Contains(said, trouble.says) || strings.Contains(said, "Log in") {
			t.Errorf("%s: the log says %.1000s", trouble.name, said)
		}
		if _, body, err := p.get("/api/v1/services"); err != nil || !strings.Contains(body, `"error":"`) {
			t.Errorf("%s: the API tells of no trouble: %v %.500s", trouble.name, err, body)
		}
		if s, err := p.look("orders"); err != nil || s.Phase != condition.PhaseHealthy {
			t.Errorf("%s: orders is %s, %v", trouble.name, s.Phase, err)
		}
		g.breaks(nil)
	}
	w.ask("1a11111", "menus")
	p.awaitPhase(condition.PhaseHealthy, "menus")
	p.stop()
}
