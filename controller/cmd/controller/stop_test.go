package main

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

// TestEndsWhateverItWaitsFor: SIGTERM ends the controller in time while somebody else keeps it waiting.
func TestEndsWhateverItWaitsFor(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, by the kernel's hand, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	tests := []struct {
		name string
		args []string
		env  []string
		then func(*testing.T, *world, *program)
	}{
		{name: "git that is not there", args: []string{"--source", "/nowhere"}},
		{name: "git that hangs", args: []string{"--source", "http://" + silent.Addr().String() + "/repository.git"}},
		{name: "an account that hangs", env: []string{"AWS_ENDPOINT_URL=http://" + silent.Addr().String()}},
		{name: "an account that fails", then: func(_ *testing.T, w *world, p *program) {
			w.account.Faults.Add(wire.Fault{Before: &wire.StatusError{Status: http.StatusInternalServerError, Code: "ServerException", Message: "it is broken"}})
			w.ask("1a11111", "orders")
			p.await("a failed call", func() error {
				if calls := w.account.Calls.Recent(); len(calls) == 0 || calls[len(calls)-1].Error == "" {
					return errors.New("no call has failed")
				}
				return nil
			})
		}},
		{name: "clients that say nothing", then: silentClients},
		{name: "a client that listens for events", then: func(t *testing.T, _ *world, p *program) {
			res, err := http.Get("http://" + p.addr + "/api/v1/events")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = res.Body.Close() })
			if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sim.Config{}, simple("orders"))
			p := w.startWith(tt.env, tt.args...)
			if tt.then != nil {
				tt.then(t, w, p)
			}
			p.stop()
		})
	}
}

// silentClients open connections as browsers do ahead of need, and as slow lines do: one with nothing, one with half a request.
func silentClients(t *testing.T, _ *world, p *program) {
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHost: ", "POST /webhook/github HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"} {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	// Answered after those were accepted.
	if code, _, err := p.get("/healthz"); code != http.StatusOK || err != nil {
		t.Fatal(code, err)
	}
}
