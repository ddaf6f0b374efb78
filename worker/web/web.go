// Package web serves orders over HTTP: the endpoints, their limits, and an end of service that breaks no request.
package web

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

const (
	// bodyMax holds an order of order.LinesMax lines several times over.
	bodyMax = 64 << 10
	// requestTimeout is what one request has, database included.
	requestTimeout = 5 * time.Second
	// healthTimeout is when a database counts as not answering. Load balancers give up after 5 s or so.
	healthTimeout = time.Second
	// failoverMax is how long a task that was able stays so for the load balancer while its database is away. A failover of RDS typically
	// takes 60 to 120 s (docs/decisions/023-a-failover-kills-no-task.md).
	failoverMax = 150 * time.Second
)

// Orders is what the endpoints need of the store; its errors wrap those of package order.
type Orders interface {
	Place(ctx context.Context, key string, draft order.Draft) (placed order.Order, created bool, err error)
	Get(ctx context.Context, id string) (order.Order, error)
	List(ctx context.Context, school, date, after string, limit int) (page []order.Order, more bool, err error)
	Ping(ctx context.Context) error
}

// Config is what a Server is made of.
type Config struct {
	Orders   Orders
	Log      *zap.Logger
	Registry *prometheus.Registry // gets the server's metrics, and is what /metrics shows
	// InFlightMax bounds the requests worked on at once; one more is answered 503 at once, for the client to try again.
	// /health, /live and /metrics do not count: a busy task is not an unhealthy one.
	InFlightMax int
	// Placed is called after each new order; it must not wait. Nil is nobody.
	Placed func()
}

// Server serves the API. Make one with New; Handler is its http.Handler, Serve runs it.
type Server struct {
	orders   Orders
	log      *zap.Logger
	metrics  metrics
	slots    chan struct{}
	placed   func()
	answered atomic.Pointer[time.Time] // when the database answered last that was asked for its health; nil: never
	draining atomic.Bool
	handler  http.Handler
}

// New builds a server and registers its metrics.
func New(c Config) *Server {
	s := &Server{orders: c.Orders, log: c.Log, metrics: newMetrics(c.Registry), slots: make(chan struct{}, c.InFlightMax), placed: c.Placed}
	if s.placed == nil {
		s.placed = func() {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /ready", s.ready)
	mux.HandleFunc("GET /live", s.live)
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(c.Log)}))
	mux.Handle("POST /orders", s.limited(s.placeOrder))
	mux.Handle("GET /orders", s.limited(s.listOrders))
	mux.Handle("GET /orders/{id}", s.limited(s.getOrder))
	s.handler = s.observed(mux)
	return s
}

// Handler answers requests; safe for concurrent use.
func (s *Server) Handler() http.Handler { return s.handler }

// live answers 200 while the process answers at all. A container is killed for the opposite, and a new
// process mends no database.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	s.json(w, r, http.StatusOK, map[string]string{"status": "live"})
}

// health answers 200 while the process lives and is able, which is while the database answers and for as long as a failover takes
// after it last did: ECS replaces tasks that the load balancer finds unhealthy, in a failover all of them at once. It does so also while
// the server drains: the load balancer has already been told to send nothing more, and a red check would only raise a false alarm.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	reason, away := s.askDatabase(r)
	if reason == "" {
		s.json(w, r, http.StatusOK, map[string]string{"status": "ok"})
		return
	}
	if last := s.answered.Load(); away && last != nil && time.Since(*last) <= failoverMax {
		s.json(w, r, http.StatusOK, map[string]string{"status": "ok", "database": reason + "; it answered last " + time.Since(*last).Round(time.Second).String() + " ago"})
		return
	}
	s.problem(w, r, problem{Status: http.StatusServiceUnavailable, Detail: reason})
}

// ready answers 200 while new requests are welcome: while the database answers, and not while the server drains.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		s.problem(w, r, problem{Status: http.StatusServiceUnavailable, Detail: "this process is stopping: ask another one"})
		return
	}
	if reason, _ := s.askDatabase(r); reason != "" {
		s.problem(w, r, problem{Status: http.StatusServiceUnavailable, Detail: reason})
		return
	}
	s.json(w, r, http.StatusOK, map[string]string{"status": "ready"})
}

// askDatabase answers why the database did not answer as it should, and whether it is away, in contrast to an answer that something
// is wrong.
func (s *Server) askDatabase(r *http.Request) (reason string, away bool) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	err := s.orders.Ping(ctx)
	if err == nil {
		now := time.Now()
		s.answered.Store(&now)
		return "", false
	}
	s.logger(r).Warn("unhealthy", zap.Error(err))
	if errors.Is(err, context.DeadlineExceeded) {
		return "the database did not answer within " + healthTimeout.String(), true
	}
	return "the database cannot be asked", errors.Is(err, order.ErrUnavailable)
}
