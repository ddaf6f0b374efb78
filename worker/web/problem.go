package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/canteen/deploy/worker/order"
	"go.uber.org/zap"
)

// Problem types are names for programs to compare, not addresses. What the status alone explains is about:blank
// (RFC 9457 §4.2.1).
const (
	typeInvalidOrder = "urn:problem-type:canteen:invalid-order"
	typeOrderRefused = "urn:problem-type:canteen:order-refused"
	typeInvalidQuery = "urn:problem-type:canteen:invalid-query"
	typeKeyMissing   = "urn:problem-type:canteen:idempotency-key-missing"
	typeKeyReused    = "urn:problem-type:canteen:idempotency-key-reused"
)

// statusClientClosed is nginx's code for a client that did not wait; it only shows in logs and metrics.
const statusClientClosed = 499

// problem is an RFC 9457 problem details object.
type problem struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Detail    string            `json:"detail"`
	RequestID string            `json:"requestId"`
	Errors    []order.Violation `json:"errors,omitempty"`
}

func (s *Server) problem(w http.ResponseWriter, r *http.Request, p problem) {
	p.Type = cmp.Or(p.Type, "about:blank")
	p.Title = cmp.Or(p.Title, http.StatusText(p.Status))
	p.RequestID = requestID(r)
	s.write(w, r, p.Status, "application/problem+json", p)
}

// busy refuses a request that may succeed in a second.
func (s *Server) busy(w http.ResponseWriter, r *http.Request, detail string) {
	w.Header().Set("Retry-After", "1")
	s.problem(w, r, problem{Status: http.StatusServiceUnavailable, Detail: detail})
}

func (s *Server) json(w http.ResponseWriter, r *http.Request, status int, body any) {
	s.write(w, r, status, "application/json", body)
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, media string, body any) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.logger(r).Info("answer not delivered", zap.Error(err))
	}
}

func orBody(field string) string { return cmp.Or(field, "the body") }

// jsonType names a Go kind of the draft's fields as JSON does.
func jsonType(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "string"
	case reflect.Int:
		return "integer"
	case reflect.Slice:
		return "array"
	default:
		return "object"
	}
}
