package server

import (
	"net"
	"sync"
	"sync/atomic"
)

// crowd is a listener with so many connections open at a time and no more: one too many is closed at once. Waiting instead, as a
// limit usually does, would let strangers who only sit there keep everybody out for as long as the queue in the kernel is.
type crowd struct {
	net.Listener
	open atomic.Int64
	most int64
}

func newCrowd(l net.Listener, most int64) *crowd { return &crowd{Listener: l, most: most} }

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.open.Add(1) <= c.most {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { c.open.Add(-1) })}, nil
		}
		c.open.Add(-1)
		_ = conn.Close() // whoever it is will try again
	}
}

type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
