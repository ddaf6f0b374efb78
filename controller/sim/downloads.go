package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/ecr"
	"github.com/canteen/deploy/controller/sim/wire"
)

// Layers of images are fetched from S3, by URLs that the registry answers. That is no operation of an API here; faults, the log of
// calls and whoever stands between see it as one, by these names.
const (
	LayerService   = "s3"
	LayerOperation = "GetObject"
)

// Layer is what S3 answers to a request for a layer: what a fault's Change sees and changes.
type Layer struct {
	Status int
	Header http.Header // besides those of every answer
	Body   []byte
}

// downloads carries requests for layers out. The input of the call is the request.
func (a *Account) downloads(middleware []wire.Middleware) wire.Next {
	next := func(_ context.Context, c *wire.Call) (any, error) {
		status, body := a.ECR.Download(c.Input.(*http.Request))
		return &Layer{Status: status, Body: body}, nil
	}
	for _, m := range slices.Backward(middleware) {
		next = m(next)
	}
	return next
}

// download answers a request for a layer. An error means that the client gets no answer at all.
func (a *Account) download(r *http.Request) (Layer, error) {
	out, err := a.layers(r.Context(), &wire.Call{Service: LayerService, Operation: LayerOperation, Input: r})
	if err == nil {
		return *out.(*Layer), nil
	}
	if errors.Is(err, wire.ErrResponseLost) || r.Context().Err() != nil {
		return Layer{}, err
	}
	status, code := http.StatusInternalServerError, "InternalError"
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
		if api.ErrorFault() == smithy.FaultClient {
			status = http.StatusForbidden
		}
	}
	if code == "SlowDown" {
		status = http.StatusServiceUnavailable
	}
	return Layer{Status: status, Body: []byte("<Error><Code>" + code + "</Code></Error>")}, nil
}

// serve answers over HTTP: the operations, and layers.
func (a *Account) serve(w http.ResponseWriter, r *http.Request) {
	if !ecr.IsDownload(r) {
		a.mux.ServeHTTP(w, r)
		return
	}
	l, err := a.download(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way to drop a connection without an answer
	}
	maps.Copy(w.Header(), l.Header)
	w.Header().Set("Content-Length", strconv.Itoa(len(l.Body)))
	w.WriteHeader(l.Status)
	_, _ = w.Write(l.Body) // a client that went away is no error of ours
}

// transport answers the same without sockets.
type transport struct {
	account    *Account
	operations http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !ecr.IsDownload(r) {
		return t.operations.RoundTrip(r)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	l, err := t.account.download(r)
	if ended := r.Context().Err(); ended != nil {
		return nil, ended
	}
	if err != nil {
		return nil, err
	}
	header := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	maps.Copy(header, l.Header)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", l.Status, http.StatusText(l.Status)), StatusCode: l.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header,
		Body:   io.NopCloser(bytes.NewReader(l.Body)), ContentLength: int64(len(l.Body)), Request: r,
	}, nil
}
