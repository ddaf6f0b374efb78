package web_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// While it drains, the server still takes new connections, tells each client to go, and lets the request that is on
// its way end.
func TestDrainBreaksNoRequest(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, logs := newServer(fake{
		place: func(context.Context) error { close(entered); <-release; return nil },
		ping:  func(context.Context) error { return nil },
	}, 4)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	ctx, terminate := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, 500*time.Millisecond) }()

	keptAlive, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer keptAlive.Close()
	in := bufio.NewReader(keptAlive)
	ask := func() *http.Response {
		t.Helper()
		if _, err := io.WriteString(keptAlive, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("kept-alive connection: %v", err)
		}
		if _, err := io.Copy(io.Discard, got.Body); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(); got.Close || got.StatusCode != http.StatusOK {
		t.Fatalf("before: status %d, close %v", got.StatusCode, got.Close)
	}

	slow := make(chan int, 1)
	go func() {
		request, _ := http.NewRequest("POST", url+"/orders", strings.NewReader(soup))
		request.Header.Set("Idempotency-Key", "key")
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Errorf("request in flight: %v", err)
			slow <- 0
			return
		}
		defer response.Body.Close()
		slow <- response.StatusCode
	}()
	<-entered
	terminate()
	awaitLog(t, func() bool { return logs.FilterMessage("draining").Len() == 1 })

	if got := ask(); !got.Close || got.StatusCode != http.StatusOK {
		t.Errorf("kept-alive connection while draining: status %d, close %v", got.StatusCode, got.Close)
	}
	fresh, err := (&http.Client{Transport: &http.Transport{}}).Get(url + "/health")
	if err != nil {
		t.Fatalf("new connection while draining: %v", err)
	}
	fresh.Body.Close()
	if fresh.StatusCode != http.StatusOK {
		t.Errorf("/health while draining: %d", fresh.StatusCode)
	}
	if got := get(s.Handler(), "/ready"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("/ready while draining: %d", got.Code)
	}

	select {
	case err := <-ended:
		t.Fatalf("Serve ended (%v) before its request", err)
	case <-time.After(time.Second): // past the drain: it waits for the request now
	}
	close(release)
	if status := <-slow; status != http.StatusCreated {
		t.Errorf("request in flight: %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("still listening after the end")
	}
}

func awaitLog(t *testing.T, there func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for !there() {
		select {
		case <-deadline:
			t.Fatal("the log line did not come")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// net/http's own Shutdown drops a request whose headers arrive while it waits. Ours answers it, and does not wait for
// a connection that stays silent.
func TestRequestThatArrivesAfterTheListenerClosedIsAnswered(t *testing.T) {
	s, _ := newServer(fake{ping: func(context.Context) error { return nil }}, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, terminate := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, 200*time.Millisecond) }()
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	terminate()
	silent, late := dial(), dial()
	if _, err := io.WriteString(late, "GET /health HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	for gone := time.After(2 * time.Minute); ; {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break // it no longer listens
		}
		conn.Close()
		select {
		case <-gone:
			t.Fatal("it listens for ever")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if _, err := io.WriteString(late, "Host: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(bufio.NewReader(late), nil)
	if err != nil || got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("late request: %+v, error %v", got, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Serve waits for a silent connection")
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection was answered")
	}
}
