package browser

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

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
