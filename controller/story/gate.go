package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The latency of a request, on the way there and on the way back. What AWS does because of a request is over before the
// controller goes on, and no request falls on the same instant as something else, so that runs repeat themselves.
const (
	latencyThere = 3*time.Millisecond + 7*time.Microsecond
	latencyBack  = 4*time.Millisecond + 11*time.Microsecond

	// latencyQueue is that of requests to the queue of events, on the way there. What an event wakes asks at the same instant.
	latencyQueue = 1*time.Millisecond + 307*time.Microsecond
	// latencyImages is that of requests about what images were built of, which begin where a pass goes on.
	latencyImages = 2*time.Millisecond + 419*time.Microsecond
)

// Kill is one moment to kill the controller at, by the number of its requests or of its saves from the world's beginning.
type Kill struct {
	Save   bool // a save of the ledger, else a request to AWS
	Number int  // from 1
	After  bool // after the effect, its answer lost; else before it
}

// away is how long it takes until somebody starts the controller again: a moment, longer than a stale read, or a few
// minutes, in turn.
func (k Kill) away() time.Duration {
	return []time.Duration{5*time.Second + 3*time.Millisecond, 41*time.Second + 3*time.Millisecond, 4*time.Minute + 3*time.Millisecond}[k.Number%3]
}

// String names the moment as tests do.
func (k Kill) String() string {
	what, when := "request", "before"
	if k.Save {
		what = "save"
	}
	if k.After {
		when = "after"
	}
	return fmt.Sprintf("%s_%03d_%s", what, k.Number, when)
}

// gate is the only way from one life of the controller to AWS and to its ledger. Once it is shut, nothing passes any more:
// that is what kill -9 means to everybody else.
type gate struct {
	meter  *meter
	next   http.RoundTripper
	sender string // the controller's name, where there are two
	kill   context.CancelFunc

	mu    sync.Mutex
	shut  bool
	cut   *cut // the network is cut off, or the process is stalled
	plans      // when it will be
}

// meter counts requests and saves over all lives, once it was told to begin.
type meter struct {
	mu       sync.Mutex
	plan     *Kill
	away     time.Duration // of the newest kill: how long until somebody starts the controller again
	counting bool
	requests []request
	saves    int
}

// request is one request as the meter saw it.
type request struct {
	operation string
	at        time.Time
	saves     int  // before it
	over      bool // its answer has come; a request may wait for that longer than the story lasts
}

// kill plans a kill; nil plans none.
func (m *meter) kill(k *Kill) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plan = k; k != nil {
		m.away = k.away()
	}
}

// killIn plans a kill so many requests, or saves, from now.
func (m *meter) killIn(k Kill) {
	m.begin()
	m.mu.Lock()
	if k.Save {
		k.Number += m.saves
	} else {
		k.Number += len(m.requests)
	}
	m.mu.Unlock()
	m.kill(&k)
}

// again reports whether a controller that was killed as planned so long ago is started again now.
func (m *meter) again(since time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.away > 0 && since >= m.away
}

func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = true
}

// step counts one moment and answers whether it is the one to be killed at. A request's end is told to over.
func (m *meter) step(save bool, operation string) (k *Kill, over func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.counting {
		return nil, func() {}
	}
	n := m.saves + 1
	if save {
		m.saves = n
	} else {
		m.requests = append(m.requests, request{operation: operation, at: time.Now(), saves: m.saves})
		n = len(m.requests)
	}
	over = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.requests[n-1].over = true
	}
	if k := m.plan; k != nil && k.Save == save && k.Number == n {
		m.plan = nil
		return k, over
	}
	return nil, over
}

// Kills are all moments at which a run like this one can be killed: before each request and each save, and after each
// that changes something. A read leaves no trace, answered or not, so of the reads that follow one another in one pass the
// first stands for all.
func (w *World) Kills() []Kill {
	w.meter.mu.Lock()
	defer w.meter.mu.Unlock()
	var out []Kill
	var before request
	for i, r := range w.meter.requests {
		same := isRead(before.operation) && before.saves == r.saves && r.at.Sub(before.at) < time.Second
		if !same && r.operation != "ReceiveMessage" { // which is always under way, or about to be
			out = append(out, Kill{Number: i + 1})
		}
		if !isRead(r.operation) && r.over {
			out = append(out, Kill{Number: i + 1, After: true})
		}
		before = r
	}
	for i := range w.meter.saves {
		out = append(out, Kill{Save: true, Number: i + 1}, Kill{Save: true, Number: i + 1, After: true})
	}
	return out
}

// errKilled is what a dead controller sees. Its method tells the SDK not to try again.
type errKilled struct{}

func (errKilled) Error() string       { return "this controller was killed" }
func (errKilled) CanceledError() bool { return true }
func (errKilled) Unwrap() error       { return context.Canceled }

// close shuts the gate; it answers false where it was shut already.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.shut
	g.shut = true
	if g.cut != nil { // a dead process is not stalled any more
		close(g.cut.healed)
		g.cut = nil
	}
	g.kill()
	return first
}

func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.closed() {
		return nil, errKilled{}
	}
	name, err := operation(r)
	if err != nil {
		return nil, err
	}
	r = r.WithContext(context.WithValue(r.Context(), senderKey{}, g.sender))
	if err := g.pass(r, name); err != nil {
		return nil, err
	}
	var k *Kill
	over := func() {}
	if !aboutImages(name) {
		k, over = g.meter.step(false, name)
	}
	if k != nil && !k.After {
		g.close()
	}
	there, err := g.there(r, name)
	if err == nil {
		err = pause(r.Context(), there)
	}
	if err != nil {
		return nil, err
	}
	if g.closed() {
		return nil, errKilled{}
	}
	res, err := g.next.RoundTrip(r)
	if !g.closed() { // else the end of the process has ended it
		over()
	}
	if k != nil {
		g.close()
	}
	if wait := errors.Join(pause(r.Context(), latencyBack), g.pass(r, "")); err == nil {
		err = wait
	}
	if g.closed() {
		return nil, errKilled{}
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// there is how long a request takes on its way there. A controller that is one of two does several things at a time, and two that
// begin in one instant would arrive in any order: what each asks sets them apart.
func (g *gate) there(r *http.Request, operation string) (time.Duration, error) {
	if operation == "ReceiveMessage" || operation == "DeleteMessageBatch" {
		return latencyQueue, nil
	}
	if aboutImages(operation) {
		return latencyImages, nil
	}
	if g.sender == "" {
		return latencyThere, nil
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, g.sender+operation)
	if isRead(operation) || operation == "Query" { // a write may carry a token by lot
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		letters := slices.Clone(body)
		slices.Sort(letters) // maps are sent in any order
		_, _ = h.Write(letters)
	}
	return latencyThere + time.Duration(h.Sum32()%997)*time.Microsecond, nil
}

// operation names a request by what its protocol says, without reading more of it than that.
func operation(r *http.Request) (string, error) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[bytes.LastIndexByte([]byte(target), '.')+1:], nil
	}
	if r.Method == http.MethodGet { // nothing but a layer of an image is fetched so
		return layerOperation, nil
	}
	if path := r.URL.Path; len(path) > 1 {
		return path[bytes.LastIndexByte([]byte(path), '/')+1:], nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, action, _ := bytes.Cut(body, []byte("Action="))
	action, _, _ = bytes.Cut(action, []byte("&"))
	return string(action), nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
