package web

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// newcomerTime is how long an accepted connection may take to send the headers of its first request before the end of
// service no longer waits for it: load balancers open connections in advance, and may never use them.
const newcomerTime = time.Second

// connections knows which connections have, or may be about to send, a request that is not answered.
type connections struct {
	mu sync.Mutex
	// busy holds for each such connection the time of its acceptance until it has sent a request's headers, then zero.
	busy map[net.Conn]time.Time
}

// track is an http.Server's ConnState.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.busy[conn] = time.Now()
	case http.StateActive:
		c.busy[conn] = time.Time{}
	default:
		delete(c.busy, conn)
	}
}

// settled tells that nobody waits for an answer.
func (c *connections) settled(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, accepted := range c.busy {
		if accepted.IsZero() || now.Sub(accepted) < newcomerTime {
			return false
		}
	}
	return true
}
