package inet

import (
	"io"
	"net"
	"sync"
)

// carrier carries between a gateway, at whose other end the guest is, and a connection
// of a Dialer: the end of either direction when it comes to it, and what breaks one
// end off breaks the other off. They are a reserved pair.
type carrier struct {
	r    *dialed
	conn dialedConn
	gate *net.TCPConn
	held *held // gate

	mu       sync.Mutex
	sent     bool // all that the guest sends
	received bool
	orphaned bool
}

// start begins, unless the network has ended; conn and gate are then the caller's.
func (c *carrier) start() bool {
	if c.held = c.r.keep(c.gate); c.held == nil {
		return false
	}
	ok := c.r.start(func() {
		sent := make(chan struct{})
		go func() {
			c.send()
			close(sent)
		}()
		c.receive()
		<-sent
	})
	if !ok {
		c.r.drop(c.held)
	}
	return ok
}

// halfCloser is a connection that can say that nothing more comes.
type halfCloser interface{ CloseWrite() error }

// send carries from the guest.
func (c *carrier) send() {
	err := safely(func() error {
		_, err := io.Copy(c.conn.Conn, c.gate)
		if h, ok := c.conn.Conn.(halfCloser); ok && err == nil {
			_ = h.CloseWrite() // it may be gone: then there is nobody to tell
		}
		return err
	})
	c.ended(err, &c.sent)
}

// receive carries to the guest.
func (c *carrier) receive() {
	err := safely(func() error {
		_, err := io.Copy(c.gate, c.conn.Conn)
		return err
	})
	if err == nil {
		_ = c.gate.CloseWrite()
	}
	c.ended(err, &c.received)
}

func (c *carrier) ended(err error, direction *bool) {
	if err != nil {
		reset(c.gate)
		reset(c.conn.Conn)
	}
	c.mu.Lock()
	*direction = true
	over := c.sent && c.received
	lonely := c.sent && c.orphaned
	c.mu.Unlock()
	if over || lonely {
		c.r.drop(c.conn.held)
	}
	if over {
		c.r.drop(c.held)
		unreservePair()
	}
}

// reset ends a connection at once, so that the other end hears of it.
func reset(c net.Conn) {
	_ = safely(func() error {
		if l, ok := c.(interface{ SetLinger(int) error }); ok {
			_ = l.SetLinger(0)
		}
		return c.Close()
	})
}

// orphan says that the guest has closed its end: once all that it sent was carried,
// nobody is interested in the rest.
func (c *carrier) orphan() {
	c.mu.Lock()
	c.orphaned = true
	sent := c.sent
	c.mu.Unlock()
	if sent {
		c.r.start(func() { c.r.drop(c.conn.held) }) // it may take its time
	}
}
