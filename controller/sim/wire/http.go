package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"
)

// maxBody is far above what the services accept (a task definition has 64 KiB, a batch of log events 1 MiB).
const maxBody = 8 << 20

type answer struct {
	status int
	header http.Header
	body   []byte
	sink   *jsonSink // whose buffer the body is, nil where it is nobody's
}

// done is called when the body was read and is not looked at any more.
func (a answer) done() {
	if a.sink != nil {
		sinks.Put(a.sink)
	}
}

type endpointKey struct{}

// Endpoint is the scheme and host that the request of an operation came to, for answers that name another address of the account.
func Endpoint(ctx context.Context) url.URL {
	at, _ := ctx.Value(endpointKey{}).(url.URL)
	return at
}

// withEndpoint tells operations where their request came to.
func withEndpoint(ctx context.Context, scheme, host string) context.Context {
	return context.WithValue(ctx, endpointKey{}, url.URL{Scheme: scheme, Host: host})
}

// serve carries one request out. An error means that the client gets no answer at all.
func (m *Mux) serve(ctx context.Context, method string, at *url.URL, header http.Header, body []byte) (answer, error) {
	if method == http.MethodGet && at.Query().Has("Action") { // a form may come as a GET's query
		method, body = http.MethodPost, []byte(at.RawQuery)
	}
	path := at.Path

	id := m.requestID()
	a := answer{status: http.StatusOK, header: http.Header{}}
	a.header.Set("X-Amzn-Requestid", id)
	// Clients compare it with their own clock: in a bubble both must be the bubble's.
	now := time.Now().UTC().Add(time.Duration(m.skew.Load()))
	a.header.Set("Date", now.Format(http.TimeFormat))

	t, out, err := m.answer(ctx, method, path, header, body, now)
	if err == nil {
		a.body, a.sink = t.protocol.output(t.service.codec, t.operation, reflect.ValueOf(out), id, a.header)
		return a, nil
	}
	if errors.Is(err, ErrResponseLost) || ctx.Err() != nil {
		return answer{}, err
	}
	var c *codec
	if t.service != nil {
		c = t.service.codec
	}
	f := newFailure(err)
	a.status = f.status
	if status := t.queryStatus(f.shape); status != 0 {
		a.status = status
	}
	a.body = t.protocol.failed(c, f, id, a.header)
	return a, nil
}

func (m *Mux) answer(ctx context.Context, method, path string, header http.Header, body []byte, now time.Time) (target, any, error) {
	body, err := plain(header, body)
	if err != nil {
		return target{protocol: jsonProtocol{version: "1.1"}}, nil, err
	}
	t, err := m.route(path, header, body)
	if err != nil {
		return t, nil, err
	}
	if err := m.signedInTime(header, now); err != nil {
		return t, nil, err
	}
	if method != http.MethodPost {
		return t, nil, serialization("method %s: every operation is a POST", method)
	}
	if t.service == nil {
		return t, nil, unknownOperation("service %s is not modelled by this account (asked for %s)", t.asked, t.operation)
	}
	op, ok := t.service.operations[t.operation]
	if !ok {
		return t, nil, unknownOperation("%s operation %s is not modelled by this account", t.service.Name, t.operation)
	}
	tree, err := t.protocol.input(body)
	if err != nil {
		return t, nil, err
	}
	in := reflect.New(op.input)
	if err := t.service.codec.decode(in.Elem(), tree, ""); err != nil {
		return t, nil, fmt.Errorf("%s: %w", t.operation, err)
	}
	out, err := m.invoke(ctx, t.service, op, in.Interface(), accessKey(header))
	if err == nil && reflect.ValueOf(out).IsNil() {
		err = fmt.Errorf("%s %s answered neither output nor error", t.service.Name, t.operation)
	}
	return t, out, err
}

// accessKey is whose signature a request has; empty where it has none.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func accessKey(h http.Header) string {
	_, credential, _ := strings.Cut(h.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	return key
}

// plain undoes the compression that SDKs put on large requests such as PutMetricData's.
// https://smithy.io/2.0/spec/behavior-traits.html#requestcompression-trait
func plain(h http.Header, body []byte) ([]byte, error) {
	switch e := h.Get("Content-Encoding"); e {
	case "", "identity":
		return body, nil
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, serialization("the body is not gzip: %v", err)
		}
		out, err := io.ReadAll(io.LimitReader(r, maxBody))
		if err != nil {
			return nil, serialization("the body is not gzip: %v", err)
		}
		return out, nil
	default:
		return nil, serialization("Content-Encoding %q is not gzip", e)
	}
}

// ServeHTTP answers one request. A lost response closes the connection.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "read body: "+err.Error(), http.StatusBadRequest)
		return
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	a, err := m.serve(withEndpoint(r.Context(), scheme, r.Host), r.Method, r.URL, r.Header, body)
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way to drop a connection without an answer
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	// A client that went away is no error of ours.
	_, _ = w.Write(a.body)
	a.done()
}

// RoundTripper answers requests in the caller's goroutine, without sockets and without goroutines of its
// own, so that it works inside a testing/synctest bubble. The request's context ends it: what had begun is
// carried out, and nobody is told, as over a real network.
func (m *Mux) RoundTripper() http.RoundTripper { return transport{m} }

type transport struct{ mux *Mux }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	var body []byte
	if r.Body != nil {
		var b []byte
		var err error
		if n := r.ContentLength; n > 0 && n < maxBody {
			b = make([]byte, n)
			_, err = io.ReadFull(r.Body, b)
		} else {
			b, err = io.ReadAll(io.LimitReader(r.Body, maxBody))
		}
		if closeErr := r.Body.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
		body = b
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := t.mux.serve(withEndpoint(ctx, r.URL.Scheme, r.URL.Host), r.Method, r.URL, r.Header, body)
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, ctxErr
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          &answerBody{Reader: bytes.NewReader(a.body), answer: a},
		ContentLength: int64(len(a.body)),
		Request:       r,
	}, nil
}

// answerBody lets go of the answer when it is closed, after which it has nothing to read.
type answerBody struct {
	*bytes.Reader
	answer answer
	closed sync.Once
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.closed.Do(func() {
		b.Reset(nil)
		b.answer.done()
	})
	return nil
}
