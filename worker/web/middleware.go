package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// known is what a request's context knows about it.
type known struct {
	id  string
	log *zap.Logger // with the id
}

type knownKey struct{}

// safeID is what of a caller's X-Request-Id goes into our logs.
var safeID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func requestID(r *http.Request) string {
	k, _ := r.Context().Value(knownKey{}).(known)
	return k.id
}

func (s *Server) logger(r *http.Request) *zap.Logger {
	if k, ok := r.Context().Value(knownKey{}).(known); ok {
		return k.log
	}
	return s.log
}

// observed gives each request an id and a deadline, counts it, logs it by its route (never by its path, query, headers
// or body, which are the client's), and turns a panic into a 500.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := r.Header.Get("X-Request-Id")
		if !safeID.MatchString(id) {
			id = rand.Text()
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), knownKey{}, known{id, s.log.With(zap.String("request_id", id))}), requestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		w.Header().Set("X-Request-Id", id)
		if s.draining.Load() {
			// Each client that is still here learns with its answer to go elsewhere. Closing its connection instead would
			// break the request that may be on its way.
			w.Header().Set("Connection", "close")
		}
		out := &recorder{ResponseWriter: w}
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		defer s.account(out, r, start) // last, so that a panic is answered before it is counted
		defer s.recovered(out, r)
		next.ServeHTTP(out, r)
	})
}

func (s *Server) recovered(out *recorder, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) // net/http's own way to cut an answer short
	}
	s.logger(r).Error("panic", zap.String("cause", fmt.Sprint(cause)), zap.ByteString("stack", debug.Stack()))
	if out.status == 0 {
		s.problem(out, r, problem{Status: http.StatusInternalServerError, Detail: "the order service met a defect; quote the request id"})
	}
}

func (s *Server) account(out *recorder, r *http.Request, start time.Time) {
	took := time.Since(start)
	method, route := "other", "other" // unknown ones must not make new series
	if before, after, ok := strings.Cut(r.Pattern, " "); ok {
		method, route = before, after
	}
	if out.status == 0 {
		out.status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	s.metrics.requests.WithLabelValues(method, route, strconv.Itoa(out.status)).Inc()
	s.metrics.duration.WithLabelValues(route).Observe(took.Seconds())
	log := s.logger(r).Info
	if route == "/health" || route == "/ready" || route == "/live" || route == "/metrics" {
		log = s.logger(r).Debug // every few seconds for ever
	}
	log("request", zap.String("method", method), zap.String("route", route), zap.Int("status", out.status),
		zap.Duration("duration", took))
}

// limited runs the handler if a slot is free, and refuses the request at once if not: a queue would only make every
// client wait until it gives up.
func (s *Server) limited(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
			next(w, r)
		default:
			s.metrics.shed.Inc()
			s.busy(w, r, "too many requests at once: try again")
		}
	})
}

// recorder remembers the status for logs and metrics.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the first final status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write makes the implicit 200 explicit.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
