package remote

import (
	"context"
	"io/fs"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
)

// NetworkOptions bound what one client of a network can have. The zero
// NetworkOptions are usable.
type NetworkOptions struct {
	// MaxSockets is what a client can hold at a time (ENFILE beyond); 0 means 65,536.
	MaxSockets int
	// Waits says that the network's methods may wait: it is one that asks another
	// server. Otherwise each request is answered where it is found, which holds up
	// all lanes of the process.
	Waits bool
	// NoLend has all bytes ask the server, also where it could lend a stream socket
	// of the host (vfs.Lender), which it cannot take back by force.
	NoLend bool
	// Log hears why a lane was ended because its client broke the protocol.
	Log func(format string, args ...any)
}

// ServeNetwork is [Serve] for a network: end was made with [NetworkConfig]. When the
// lane ends, the client's sockets are closed; connections that it was lent go on
// at the client until that closes them.
func ServeNetwork(ctx context.Context, end *lane.Lane, n vfs.Network, o NetworkOptions) error {
	c := newNetConn(end, n, o)
	return c.run(ctx, c.handler(), c.serveOptions(), c.finish)
}

// ListenNetwork is [Listen] for [ServeNetworkListener].
func ListenNetwork(path string, perm fs.FileMode) (*lane.Listener, error) {
	return lane.ListenAnew(path, perm, NetworkConfig(path))
}

// ServeNetworkListener answers for n at every lane that l accepts, until ctx ends.
func ServeNetworkListener(ctx context.Context, l *lane.Listener, n vfs.Network, o NetworkOptions) error {
	return serveAll(ctx, l, o.Log, func(end *lane.Lane) error { return ServeNetwork(ctx, end, n, o) })
}

// netConn is what a network's server has of one client.
type netConn struct {
	answering
	net  vfs.Network
	opts NetworkOptions

	mu      sync.Mutex // a leaf; guards the rest and servedSocket.refs
	sockets map[uint64]*servedSocket
	last    uint64
	closed  bool
}

func newNetConn(end *lane.Lane, n vfs.Network, o NetworkOptions) *netConn {
	if o.MaxSockets <= 0 {
		o.MaxSockets = 65_536
	}
	c := &netConn{net: n, opts: o, sockets: map[uint64]*servedSocket{}}
	c.answering.init(end)
	return c
}

func (c *netConn) handler() lane.Handler { return c.around(netwire.Handler(c)) }

func (c *netConn) serveOptions() lane.ServeOptions { return lane.ServeOptions{Inline: !c.opts.Waits} }

// finish gives back all that the client had.
func (c *netConn) finish() {
	c.stop()
	c.mu.Lock()
	all := c.sockets
	c.sockets, c.closed = nil, true
	c.mu.Unlock()
	for _, s := range all {
		c.put(s)
	}
	c.work.Wait()
}

// servedSocket is a socket that a client has. It is closed when the client has closed
// it and no request uses it.
type servedSocket struct {
	c      *netConn
	id     uint64
	refs   int // guarded by netConn.mu; 1 while in the table
	sock   vfs.Socket
	stream bool
	watch  watched
	kept   kept
	turn   chan struct{} // full while the fate of a Receive is open

	lending sync.Mutex // guards back
	back    func()     // gives back what is lent; nil: nothing is
}

// add enters a socket. If that fails, it stays the caller's.
func (c *netConn) add(sock vfs.Socket, stream bool) (*servedSocket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, vfs.ErrCallerDied
	}
	if len(c.sockets) >= c.opts.MaxSockets {
		return nil, syscall.ENFILE
	}
	c.last++
	s := &servedSocket{c: c, id: c.last, refs: 1, sock: sock, stream: stream, turn: make(chan struct{}, 1)}
	c.sockets[s.id] = s
	return s, nil
}

// socket returns the socket that a request names; it ends with put.
func (c *netConn) socket(id uint64) (*servedSocket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sockets[id]
	switch {
	case s != nil:
		s.refs++
		return s, nil
	case id == 0 || id > c.last:
		return nil, c.broken("socket %d was never given out", id)
	}
	return nil, syscall.EBADF
}

func (c *netConn) put(s *servedSocket) {
	c.mu.Lock()
	s.refs--
	last := s.refs == 0
	sock := s.sock
	c.mu.Unlock()
	if !last {
		return
	}
	s.watch.end()
	s.returned()
	for _, k := range s.kept.end() {
		k.sock.Close()
	}
	if sock != nil {
		sock.Close()
	}
}

// remove takes a socket out, once.
func (c *netConn) remove(id uint64) (s *servedSocket, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.sockets[id]
	delete(c.sockets, id)
	return s, id != 0 && id <= c.last
}

// takeBack takes out a socket that its client has never heard of, and returns what it
// is of; nil when it is closed, or will be.
func (c *netConn) takeBack(s *servedSocket) vfs.Socket {
	c.mu.Lock()
	known := c.sockets[s.id] == s
	var sock vfs.Socket
	if known {
		delete(c.sockets, s.id)
		if s.refs == 1 { // else it uses a number that it can only have guessed
			sock, s.sock = s.sock, nil
		}
	}
	c.mu.Unlock()
	if !known {
		return nil
	}
	c.put(s)
	return sock
}

// returned ends the loan.
func (s *servedSocket) returned() {
	s.lending.Lock()
	back := s.back
	s.back = nil
	s.lending.Unlock()
	if back != nil {
		back()
	}
}

func (s *servedSocket) lent() bool {
	s.lending.Lock()
	defer s.lending.Unlock()
	return s.back != nil
}

// Close closes sockets.
func (c *netConn) Close(_ context.Context, req *netwire.CloseRequest, _ *netwire.Empty, _ *lane.Request) error {
	for _, id := range req.Sockets {
		s, known := c.remove(id)
		if !known {
			return c.broken("socket %d was never given out", id)
		}
		if s != nil {
			c.put(s)
		}
	}
	return nil
}

// Returned ends a loan that was recalled.
func (c *netConn) Returned(_ context.Context, req *netwire.NumberRequest, _ *lane.Request) error {
	if s, err := c.socket(req.Socket); err == nil {
		s.returned()
		c.put(s)
	}
	return nil
}

// What a server says, and is not told.

func (c *netConn) Ready(context.Context, *netwire.ReadyNote, *lane.Request) error {
	return c.broken("a server's note")
}
func (c *netConn) Recall(context.Context, *netwire.NumberRequest, *lane.Request) error {
	return c.broken("a server's note")
}
