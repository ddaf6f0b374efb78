package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/pgtest"
)

// TestFailoverKillsNoTask takes the database away and back: neither the container's check nor the load balancer's finds anything that
// would have ECS stop the task, and the same process serves on.
func TestFailoverKillsNoTask(t *testing.T) {
	pg := pgtest.Start(t)
	env := []string{"DATABASE_URL=" + pg.URL}
	if code, lines := runToEnd(t, env, "migrate"); code != 0 {
		t.Fatalf("migrate: exit %d, %+v", code, lines)
	}
	s := start(t, env)
	status := func(path string) int {
		t.Helper()
		answer, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	if got := status("/health"); got != http.StatusOK {
		t.Fatalf("/health answers %d at first", got)
	}
	pg.Stop()
	if got := status("/ready"); got != http.StatusServiceUnavailable {
		t.Errorf("/ready answers %d without a database", got)
	}
	if got := status("/health"); got != http.StatusOK {
		t.Errorf("/health answers %d without a database", got)
	}
	if code, lines := runToEnd(t, []string{fmt.Sprint("PORT=", s.port)}, "health"); code != 0 {
		t.Errorf("the container's check without a database: exit %d, %+v", code, lines)
	}
	if got, err := place(t.Context(), http.DefaultClient, s.url, "one"); err != nil || got != http.StatusServiceUnavailable {
		t.Errorf("an order without a database: %d, %v", got, err)
	}
	pg.Resume()
	for from := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		got, err := place(t.Context(), http.DefaultClient, s.url, "one")
		if err == nil && got == http.StatusCreated {
			break
		}
		if time.Since(from) > 30*time.Second {
			t.Fatalf("an order half a minute after the database came back: %d, %v", got, err)
		}
	}
	s.terminate(t)
}
