// Package wire puts plain Go methods of the form
//
//	func (T) Operation(ctx context.Context, in *svc.OperationInput) (*svc.OperationOutput, error)
//
// on the wire as an AWS service, so that any AWS client can call them. Names and shapes come from the
// SDK's own types by reflection; there is no code per operation and none per field.
//
// Protocols: awsJson 1.0 and 1.1, awsQuery, and Smithy RPC v2 CBOR. Each request says by its own form
// which one it speaks (https://smithy.io/2.0/aws/protocols/index.html), so one address serves all.
//
// What is not modelled is refused by name: an unknown service or operation with
// UnknownOperationException, an unknown input member with SerializationException. Nothing is ignored.
package wire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Call is one request that was understood, as middleware sees it.
type Call struct {
	Service   string // SigV4 signing name: ecs, elasticloadbalancing, monitoring, logs, ecr, …
	Operation string // such as UpdateService
	Number    int    // 1 for the first call of this operation on this Mux, 2 for the next, …
	Input     any    // pointer to the SDK's input type
	AccessKey string // that the request says it is signed with; nobody checks the signature
}

// Next carries a call out and answers its SDK output, or an error; or both, where the call took effect and the client is told the
// error all the same. A smithy.APIError reaches the client as
// that error; ErrResponseLost drops the connection; anything else is told as a 500 InternalFailure.
type Next func(ctx context.Context, c *Call) (any, error)

// Middleware stands around Next: what it does before calling next happens before the effect, what it does
// after happens after it. It must be safe for concurrent use and must respect ctx when it waits.
type Middleware func(next Next) Next

// ErrResponseLost, returned by a Middleware, makes the client see a broken connection instead of an answer.
// Returned after next was called, the effect has happened and nobody was told.
var ErrResponseLost = errors.New("response lost: connection reset by peer")

// Mux dispatches requests to the operations of its services. It is an http.Handler, and RoundTripper gives
// the same without sockets.
type Mux struct {
	services map[string]*mounted
	targets  map[string]*mounted   // by X-Amz-Target prefix, and by RPC v2 service name
	versions map[string][]*mounted // by the query protocol's Version; some versions are shared

	middleware []Middleware
	requests   atomic.Uint64
	skew       atomic.Int64 // nanoseconds
	mu         sync.Mutex
	counts     map[string]int
}

// New mounts the services. Middleware runs in the order given, the first outermost. It fails where a
// service's types need something this package cannot carry, naming the type.
func New(middleware []Middleware, services ...Service) (*Mux, error) {
	m := &Mux{
		services:   map[string]*mounted{},
		targets:    map[string]*mounted{},
		versions:   map[string][]*mounted{},
		middleware: middleware,
		counts:     map[string]int{},
	}
	for _, s := range services {
		mt, err := mount(s)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", s.Name, err)
		}
		m.services[s.Name] = mt
		if s.Target != "" {
			m.targets[s.Target] = mt
		}
		if s.Version != "" {
			m.versions[s.Version] = append(m.versions[s.Version], mt)
		}
	}
	return m, nil
}

// Operations lists, in order, the operations that a service has; none for a service that is not mounted.
func (m *Mux) Operations(service string) []string {
	s, ok := m.services[service]
	if !ok {
		return nil
	}
	return slices.Sorted(maps.Keys(s.operations))
}

// Services lists, in order, the signing names of the mounted services.
func (m *Mux) Services() []string { return slices.Sorted(maps.Keys(m.services)) }

// invoke runs one decoded call through the middleware to its method.
func (m *Mux) invoke(ctx context.Context, s *mounted, op *operation, in any, accessKey string) (any, error) {
	key := s.Name + "." + op.name
	m.mu.Lock()
	m.counts[key]++
	c := &Call{Service: s.Name, Operation: op.name, Number: m.counts[key], Input: in, AccessKey: accessKey}
	m.mu.Unlock()

	next := func(ctx context.Context, c *Call) (any, error) { return op.call(ctx, c.Input) }
	for _, mw := range slices.Backward(m.middleware) {
		next = mw(next)
	}
	return next(ctx, c)
}

func (m *Mux) requestID() string {
	n := m.requests.Add(1)
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", n>>48, n&(1<<48-1))
}

// SetSkew makes the account's clock, as answers' Date shows it, run ahead of the time package's by d. Unless d is
// 0, requests that were signed more than five minutes from it are refused, as AWS does.
func (m *Mux) SetSkew(d time.Duration) { m.skew.Store(int64(d)) }

// signedInTime refuses a request whose signature is of another time than the account's.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html
func (m *Mux) signedInTime(header http.Header, now time.Time) error {
	const form, most = "20060102T150405Z", 5 * time.Minute
	at, err := time.Parse(form, header.Get("X-Amz-Date"))
	if err != nil || m.skew.Load() == 0 || now.Sub(at).Abs() <= most {
		return nil
	}
	how := "Signature expired: %s is now earlier than %s (%s - 5 min.)"
	if at.After(now) {
		how = "Signature not yet current: %s is still later than %s (%s + 5 min.)"
	}
	edge := now.Add(-most)
	if at.After(now) {
		edge = now.Add(most)
	}
	return &StatusError{Status: http.StatusForbidden, Code: "InvalidSignatureException", Message: fmt.Sprintf(how, at.Format(form), edge.Format(form), now.Format(form))}
}
