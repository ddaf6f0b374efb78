package browser

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// site serves a board that fill has filled.
func site(t testing.TB, environment string, fill func(*status.Board), peers ...server.Peer) string {
	registry := prometheus.NewRegistry()
	board := status.New(registry, environment, status.Build{}, zap.NewNop())
	fill(board)
	site := httptest.NewServer(server.New(server.Config{
		Board: board, Gatherer: registry, Wake: func() {}, Ready: func() []string { return nil }, Version: "v1.2.3", Peers: peers,
		History: func(context.Context, string, int) ([]rollout.Entry, error) { return nil, nil },
		Recent:  func(context.Context, int) ([]rollout.Entry, error) { return nil, nil },
	}))
	t.Cleanup(site.Close)
	return site.URL
}

// busy serves a page on which something changes five times a second.
func busy(t testing.TB) string {
	return site(t, "busy", func(b *status.Board) {
		ticker := time.NewTicker(200 * time.Millisecond)
		tick := func(n int) {
			b.Publish(status.View{Record: rollout.Record{Service: "clock"}, Status: condition.Status{Phase: condition.PhasePending, Why: fmt.Sprint("tick ", n)}})
		}
		tick(0)
		go func() {
			for n := 1; t.Context().Err() == nil; n++ {
				<-ticker.C
				tick(n)
			}
			ticker.Stop()
		}()
	})
}
