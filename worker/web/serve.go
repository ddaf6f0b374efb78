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

// shutdownTimeout is what the last requests have to end: a request's own time and some. Together with the drain it
// stays below the 10 s after which an operator's patience, and well below the 30 s after which ECS's (stopTimeout), ends.
const shutdownTimeout = requestTimeout + 2*time.Second

// Serve answers requests on l until ctx ends, then ends the service so that no accepted request fails:
//
//  1. for the time drain it goes on accepting and answering, and closes each connection after its next answer;
//  2. it stops listening, waits for the requests in flight, and returns nil.
//
// Requests still in flight 7 s later are cut off, which is an error. Serve closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 3 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 2*time.Second,
		// Longer than a load balancer keeps an idle connection (ALB: 60 s), so that it is the one to close it and never
		// sends a request into a connection that we just closed.
		IdleTimeout:    75 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       zap.NewStdLog(s.log),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.log.Info("draining", zap.Duration("for", drain))
	s.draining.Store(true)
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s while draining: %w", l.Addr(), err)
	case <-timer.C:
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		return errors.Join(fmt.Errorf("wait for the last requests: %w", err), server.Close())
	}
	s.log.Info("stopped")
	return nil
}
