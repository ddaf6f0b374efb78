package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	notReady := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" { // git is down, say; a restart would not help
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer notReady.Close()
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer ill.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	_ = closed.Close()

	tests := []struct {
		name, server, want string
	}{
		{"a real one", runningController(t), ""},
		{"with a slash at its end", runningController(t) + "/", ""},
		{"alive and not ready", notReady.URL, ""},
		{"ill", ill.URL, "/healthz answers 500"},
		{"nobody there", nobody, "connection refused"},
		{"no address", "8080", `--server "8080" is no address`},
	}
	t.Setenv("HTTP_PROXY", ill.URL) // must not be asked
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := execute(t, newHealthCommand(), "--server", tt.server)
			switch {
			case tt.want == "" && (err != nil || out != ""):
				t.Errorf("%v, and it prints %q", err, out)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestHealthNamesItsServerByEnvironment(t *testing.T) {
	t.Setenv("DEPLOY_SERVER", runningController(t))
	if out, err := execute(t, newHealthCommand()); err != nil {
		t.Errorf("%v; it prints %q", err, out)
	}
}

// A check that hangs is killed by Docker and ECS without a word; ours says why before that.
func TestHealthDoesNotHang(t *testing.T) {
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	began := time.Now()
	_, err := execute(t, newHealthCommand(), "--server", hangs.URL)
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "deadline exceeded") || took > 20*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}
