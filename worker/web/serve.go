package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// finishTimeout is what the last requests have to end: a request's own time and some. Together with the drain it stays
// below the 10 s in which the service promises to end; ECS kills after 30 s (stopTimeout).
const finishTimeout = requestTimeout + time.Second

// Serve answers requests on l until ctx ends, then ends the service so that no accepted request fails:
//
//  1. for the time drain it goes on accepting and answering, and closes each connection after its next answer;
//  2. it stops listening, waits until every accepted request is answered, and returns nil.
//
// Requests that are not answered 6 s later are cut off, which is an error. Serve closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	open := connections{busy: map[net.Conn]time.Time{}}
	server := &http.Server{
		Handler:           s.handler,
		ConnState:         open.track,
		ReadHeaderTimeout: 3 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 2*time.Second,
		// Longer than a load balancer keeps an idle connection (ALB: 60 s), so that it is the one to close it and never
		// sends a request into a connection that we just closed.
		IdleTimeout:    75 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       zap.NewStdLog(s.log),
	}
	accepting := make(chan error, 1)
	go func() { accepting <- server.Serve(l) }()
	select {
	case err := <-accepting:
		return errors.Join(fmt.Errorf("serve %s: %w", l.Addr(), err), server.Close())
	case <-ctx.Done():
	}
	s.log.Info("draining", zap.Duration("for", drain))
	s.draining.Store(true)
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case err := <-accepting:
		return errors.Join(fmt.Errorf("serve %s while draining: %w", l.Addr(), err), server.Close())
	case <-timer.C:
	}
	// Not http.Server.Shutdown: once it is called, net/http drops without an answer each request whose headers it had
	// not read to the end, on connections that it had accepted.
	if err := l.Close(); err != nil {
		return errors.Join(fmt.Errorf("stop listening: %w", err), server.Close())
	}
	<-accepting // from here no connection is new to open
	finished := s.finish(&open)
	if err := errors.Join(finished, server.Close()); err != nil {
		return err
	}
	s.log.Info("served")
	return nil
}

// finish waits until nobody waits for an answer.
func (s *Server) finish(open *connections) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(finishTimeout)
	for !open.settled(time.Now()) {
		if now := <-tick.C; now.After(deadline) {
			return fmt.Errorf("requests were still in flight %s after the end of service, and were cut off", finishTimeout)
		}
	}
	return nil
}
