package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/canteen/deploy/controller/status"
)

const (
	// heartbeat keeps proxies from closing a quiet stream: an AWS load balancer does so after 60 s.
	heartbeat = 20 * time.Second
	// streamWriteTimeout is how long a client may take to accept one event.
	streamWriteTimeout = 10 * time.Second
	// reconnect is what clients are told to wait for before they come back.
	reconnect = 3 * time.Second
	// streamFor ends a stream, so that a client that listens no longer, whose machine goes on taking what is sent, gives its place
	// back. A browser comes back by itself, with Last-Event-ID, and misses nothing.
	streamFor = time.Hour
)

// eventReset tells a client that came back that events are gone which it has not seen: it must read everything anew.
const eventReset = "reset"

// streamEvents tells events as they happen, beginning after Last-Event-ID where the client names one.
func (s *server) streamEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d clients listen already; try again later", cap(s.streams)))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	last := r.Header.Get("Last-Event-ID")
	missed, known, live := s.Board.Resume(r.Context(), last)
	out := stream{w: w, control: http.NewResponseController(w)}
	// The server's read timeout is meant for the request; left standing it would end the stream.
	_ = out.control.SetReadDeadline(time.Time{})

	out.send(fmt.Sprintf("retry: %d\n\n", reconnect.Milliseconds()))
	if last != "" && !known {
		out.send("event: " + eventReset + "\ndata: {}\n\n")
	}
	for _, e := range missed {
		out.event(e)
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	over := time.NewTimer(streamFor)
	defer over.Stop()
	for out.err == nil {
		select {
		case e, open := <-live:
			if !open {
				return
			}
			out.event(e)
		case <-beat.C:
			out.send(": still here\n\n")
		case <-over.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// stream writes server-sent events and remembers the first error: then the client is gone.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *stream) event(e status.Event) {
	data, err := json.Marshal(e)
	if err != nil {
		s.err = err
		return
	}
	id := ""
	if e.ID != "" {
		id = "id: " + e.ID + "\n"
	}
	s.send(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, e.Kind, data))
}

func (s *stream) send(text string) {
	if s.err != nil {
		return
	}
	// Not every writer has a deadline (HTTP/2 through a proxy, a test); then the connection's own end must do.
	_ = s.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		s.err = s.control.Flush()
	}
}
