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
	// /health and /metrics do not count: a busy task is not an unhealthy one.
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
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(c.Log)}))
	mux.Handle("POST /orders", s.limited(s.placeOrder))
	mux.Handle("GET /orders", s.limited(s.listOrders))
	mux.Handle("GET /orders/{id}", s.limited(s.getOrder))
	s.handler = s.observed(mux)
	return s
}

// Handler answers requests; safe for concurrent use.
func (s *Server) Handler() http.Handler { return s.handler }

// health answers 200 while the process lives and the database answers, also while the server drains: the load balancer
// has already been told to send nothing more, and a red check would only raise a false alarm.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if !s.databaseAnswers(w, r) {
		return
	}
	s.json(w, r, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 while new requests are welcome: as health, and not while the server drains.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		s.problem(w, r, problem{Status: http.StatusServiceUnavailable, Detail: "this process is stopping: ask another one"})
		return
	}
	if !s.databaseAnswers(w, r) {
		return
	}
	s.json(w, r, http.StatusOK, map[string]string{"status": "ready"})
}

// databaseAnswers asks the database, and answers the request where it does not.
func (s *Server) databaseAnswers(w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	err := s.orders.Ping(ctx)
	if err == nil {
		return true
	}
	s.logger(r).Warn("unhealthy", zap.Error(err))
	reason := "the database cannot be asked"
	if errors.Is(err, context.DeadlineExceeded) {
		reason = "the database did not answer within " + healthTimeout.String()
	}
	s.problem(w, r, problem{Status: http.StatusServiceUnavailable, Detail: reason})
	return false
}
