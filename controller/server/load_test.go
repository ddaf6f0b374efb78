package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canteen/deploy/controller/server"
)

// wires is a listener whose connections are wires without any store: what nobody reads holds who writes it up. In a bubble, its
// time is virtual.
type wires struct {
	calls chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newWires() *wires { return &wires{calls: make(chan net.Conn), over: make(chan struct{})} }

func (w *wires) Accept() (net.Conn, error) {
	select {
	case c := <-w.calls:
		return c, nil
	case <-w.over:
		return nil, net.ErrClosed
	}
}

func (w *wires) Close() error   { w.once.Do(func() { close(w.over) }); return nil }
func (w *wires) Addr() net.Addr { return &net.UnixAddr{Name: "wires"} }

func (w *wires) dial() net.Conn {
	here, there := net.Pipe()
	w.calls <- there
	return here
}

// serveWires runs the real server in a bubble until the returned function ends it.
func serveWires(t *testing.T, h http.Handler) (*wires, func()) {
	l := newWires()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l, h) }()
	return l, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// lastsFor is how long the server lets a client go on who sends so much at a time, and what it answered.
func lastsFor(t *testing.T, c net.Conn, first, drip string, every time.Duration) (time.Duration, string) {
	t.Helper()
	start := time.Now()
	answer := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(c)
		answer <- string(text)
	}()
	_, err := io.WriteString(c, first)
	for err == nil && time.Since(start) < time.Hour {
		time.Sleep(every)
		_, err = io.WriteString(c, drip)
	}
	text := <-answer
	_ = c.Close()
	return time.Since(start), text
}

// Who sends slowly is cut off: headers after 5 s, bodies after 15 s, whatever they drip.
func TestSlowClientsAreCutOff(t *testing.T) {
	const post = "POST /webhook/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: sha256="
	zeros := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name, first, drip string
		every             time.Duration
		least, most       time.Duration
		answer            string
	}{
		{"says nothing", "", "", time.Second, 0, 6 * time.Second, ""},
		{"a header without end", "GET / HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", time.Second, 0, 7 * time.Second, ""},
		{"one byte of a header at a time", "G", "E", 2 * time.Second, 0, 9 * time.Second, "HTTP/1.1 400"},
		{"a body without end", post + zeros + "\r\nContent-Length: 1000\r\n\r\n", "x", time.Second, 0, 17 * time.Second, "HTTP/1.1 400"},
		{"chunks without end", post + zeros + "\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", time.Second, 0, 17 * time.Second, "HTTP/1.1 400"},
		{"nothing after the first request", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "", time.Second, 70 * time.Second, 77 * time.Second, "HTTP/1.1 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				l, end := serveWires(t, h)
				defer end()
				took, answer := lastsFor(t, l.dial(), tt.first, tt.drip, tt.every)
				if took < tt.least || took > tt.most || !strings.HasPrefix(answer, tt.answer) || h.wakes != 0 {
					t.Errorf("cut off after %s, %d wakes, with %.100q; want %s to %s and %q", took, h.wakes, answer, tt.least, tt.most, tt.answer)
				}
			})
		})
	}
}

// What is too large is refused before it is read whole: huge headers, a body that says how large it is, one that does not.
func TestWhatIsTooLargeIsRefusedEarly(t *testing.T) {
	post := "POST /webhook/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\n"
	chunk := "10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n"
	for _, tt := range []struct {
		name, first, more, answer string
		most                      int
	}{
		{"a huge header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: ", strings.Repeat("a", 1<<16), "HTTP/1.1 431", 1 << 20},
		{"many headers", "GET / HTTP/1.1\r\nHost: x\r\n", strings.Repeat("X-A: b\r\n", 1<<13), "HTTP/1.1 431", 1 << 20},
		{"a body that says so", post + "Content-Length: 1048577\r\n\r\n", strings.Repeat("x", 1<<16), "HTTP/1.1 413", 1 << 20},
		{"a body without a word", post + "Transfer-Encoding: chunked\r\n\r\n", chunk, "HTTP/1.1 413", 4 << 20},
		{"a body that nobody signed", strings.Replace(post, "sha256=", "sha1=", 1) + "Transfer-Encoding: chunked\r\n\r\n", chunk, "HTTP/1.1 401", 1 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				l, end := serveWires(t, h)
				defer end()
				c := l.dial()
				answer := make(chan string, 1)
				go func() {
					line, _ := bufio.NewReader(c).ReadString('\n')
					answer <- line
					_, _ = io.Copy(io.Discard, c)
				}()
				_, err := io.WriteString(c, tt.first)
				sent := 0
				for err == nil && sent < 64<<20 {
					var n int
					n, err = io.WriteString(c, tt.more)
					sent += n
				}
				_ = c.Close()
				if got := <-answer; !strings.HasPrefix(got, tt.answer) || sent > tt.most || h.wakes != 0 {
					t.Errorf("%d bytes were taken, %d wakes, answer %q; want %d and %s", sent, h.wakes, got, tt.most, tt.answer)
				}
			})
		})
	}
}

// Clients of the event stream that never read are cut off, and their places are given to others.
func TestStreamsThatNobodyReadsAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l, end := serveWires(t, h)
		defer end()
		listen := func() (net.Conn, string) {
			c := l.dial()
			_, _ = io.WriteString(c, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
			line, _ := bufio.NewReaderSize(c, 16).ReadString('\n')
			return c, line
		}
		var deaf []net.Conn
		for range 64 {
			c, line := listen()
			if !strings.HasPrefix(line, "HTTP/1.1 200") {
				t.Fatalf("answer %q", line)
			}
			deaf = append(deaf, c)
		}
		before := runtime.NumGoroutine()
		c, line := listen()
		if !strings.HasPrefix(line, "HTTP/1.1 503") {
			t.Errorf("client 65 is answered %q", line)
		}
		_ = c.Close()
		h.tell(1)
		time.Sleep(12 * time.Second) // one event, and the 10 s in which it is to be taken
		synctest.Wait()
		if left := before - runtime.NumGoroutine(); left < 64 {
			t.Errorf("%d goroutines are gone with 64 clients that do not read", left)
		}
		if c, line = listen(); !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Errorf("their places are not free: %q", line)
		}
		_ = c.Close()
		for _, c := range deaf {
			_ = c.Close()
		}
	})
}

// A stream ends after an hour, so that a client behind a machine that takes everything and tells nobody gives its place back.
func TestStreamsEndAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l, end := serveWires(t, h)
		defer end()
		took := time.Now()
		c := l.dial()
		go func() {
			_, _ = io.WriteString(c, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		}()
		text, _ := io.ReadAll(c)
		answer := string(text)
		if d := time.Since(took); d < 59*time.Minute || d > 61*time.Minute || strings.Count(answer, ": still here") < 170 {
			t.Errorf("it ended after %s with %d heartbeats", d, strings.Count(answer, ": still here"))
		}
	})
}

// serveTCP runs the real server on a real port.
func serveTCP(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// A thousand strangers who have sent nearly a MiB each, and stay, cost no more than their connections; the page answers meanwhile. One
// more than there is room for is closed, and the room comes back.
func TestAThousandOpenConnectionsCostLittle(t *testing.T) {
	h := newHouse(t)
	addr := serveTCP(t, h)
	before, goroutines := heap(), runtime.NumGoroutine()
	const many = 1000
	head := "POST /webhook/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\nContent-Length: 1048576\r\n\r\n"
	body := strings.Repeat("x", 1<<16)
	var conns []net.Conn
	for range many {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	var senders sync.WaitGroup
	for _, c := range conns {
		senders.Go(func() {
			_, _ = io.WriteString(c, head)
			for range 12 {
				_, _ = io.WriteString(c, body)
			}
		})
	}
	senders.Wait()
	// The other ends of the wires are this test's own, with a goroutine for none of them.
	if cost := heap() - before; cost > 200<<20 {
		t.Errorf("%d MiB for %d connections", cost>>20, many)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 3*many {
		t.Errorf("%d goroutines for %d connections", n, many)
	}
	res, err := http.Get("http://" + addr + "/healthz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", res, err)
	}
	_ = res.Body.Close()
	for _, c := range conns {
		_ = c.Close()
	}
}

func TestOneConnectionTooManyIsClosed(t *testing.T) {
	addr := serveTCP(t, newHouse(t))
	var conns []net.Conn
	dial := func() (net.Conn, error) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(4 * time.Second))
		_, err = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if err == nil {
			_, err = bufio.NewReader(c).ReadString('\n')
		}
		return c, err
	}
	for range 2000 {
		c, err := dial()
		if err != nil {
			t.Fatalf("connection %d: %v", len(conns)+1, err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if c, err := dial(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("connection 2001 is answered, or left waiting: %v", err)
	} else {
		_ = c.Close()
	}
	for _, c := range conns[:100] {
		_ = c.Close()
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := dial()
		_ = c.Close()
		if err == nil {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("the room does not come back: %v", err)
		}
	}
}

// Thousands of signed deliveries wake as often as they come, and each is answered with 202 at once; whoever is woken bounds what that costs.
func TestAFloodOfDeliveriesIsAnswered(t *testing.T) {
	h := newHouse(t)
	var wakes atomic.Int64
	h.config.Wake = func() { wakes.Add(1) }
	h.Handler = server.New(h.config)
	addr := serveTCP(t, h)
	before, goroutines := heap(), runtime.NumGoroutine()
	body := strings.Repeat("a push of some kilobytes ", 400)
	const clients, each = 20, 200
	var all sync.WaitGroup
	var failed atomic.Int64
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			for i := range each {
				r, _ := http.NewRequest(http.MethodPost, fmt.Sprintf("http://%s/webhook/github", addr), strings.NewReader(body))
				want := http.StatusAccepted
				r.Header.Set("X-GitHub-Event", "push")
				r.Header.Set("X-Hub-Signature-256", sign(body))
				if i%10 == 0 {
					want = http.StatusUnauthorized
					r.Header.Set("X-Hub-Signature-256", sign(body+"x"))
				}
				res, err := client.Do(r)
				if err != nil || res.StatusCode != want {
					failed.Add(1)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 || wakes.Load() != clients*each*9/10 {
		t.Errorf("%d were not answered as they should, %d woke", failed.Load(), wakes.Load())
	}
	if cost := int64(heap()) - int64(before); cost > 64<<20 {
		t.Errorf("%d MiB stay", cost>>20)
	}
	for start := time.Now(); runtime.NumGoroutine() > goroutines+2*clients; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d goroutines stay, %d were there", runtime.NumGoroutine(), goroutines)
		}
	}
}
