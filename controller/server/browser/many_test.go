package browser

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// manyServices is how many services the first page must show quickly.
const manyServices = 2000

// many serves the page of an environment that has the shop's services again and again, under other names.
func (s *shop) many(t *testing.T) string {
	return s.site(t, "large", func(b *status.Board) {
		for i := range manyServices {
			v := *s.app.Board().Service("menu")
			if i%10 == 0 {
				v = *s.app.Board().Service("orders")
			}
			v.Record.Service = fmt.Sprintf("service-%04d", i)
			b.Publish(v)
		}
	})
}

// site serves a board that fill has filled.
func (s *shop) site(t *testing.T, environment string, fill func(*status.Board), peers ...server.Peer) string {
	registry := prometheus.NewRegistry()
	board := status.New(registry, environment, status.Build{}, zap.NewNop())
	fill(board)
	site := httptest.NewServer(server.New(server.Config{
		Board: board, Gatherer: registry, Wake: func() {}, Ready: func() []string { return nil }, Version: "v1.2.3", Peers: peers,
		History: func(context.Context, string, int) ([]rollout.Entry, error) { return nil, nil },
	}))
	t.Cleanup(site.Close)
	return site.URL
}
