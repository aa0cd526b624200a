package inet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Dialer makes the connections of a network that is written in Go. Its functions are
// as those of net.Dialer and net.ListenConfig; nil is no connections, no listening.
type Dialer struct {
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
}

// dialed is a loopback of its own with the world of a Dialer around it. A guest's
// socket is connected there to a gateway, a socket of the same kind on the host's
// loopback that nobody else can reach, and goroutines carry between the gateway and
// the Dialer's connection: so the guest's socket is one of TCP or UDP in all it does.
type dialed struct {
	*loopback
	Dialer
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	ended bool
	open  map[*held]bool // what ends with the network
	peers int            // of datagrams
}

// Dialed is a [Loopback], and outside of it what d says.
func Dialed(d Dialer) (*Network, error) {
	n, err := Loopback()
	if err != nil {
		return nil, err
	}
	r := &dialed{loopback: n.realm.(*loopback), Dialer: d, open: map[*held]bool{}}
	r.Static = withInterface(r.Static)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return &Network{realm: r, end: r.end}, nil
}

// gateAddr is the host's address of gateways, without a port.
func (r *dialed) gateAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, r.ip[0], r.ip[1], atGate}), 0)
}

// grace is how long the end of a network waits for what guests have sent to be carried,
// and then for a Dialer to notice that all is over.
const grace = time.Second

var errStuck = errors.New("a connection of the network's functions does not end")

// end waits until all was carried that sockets, which are closed, have sent, closes all
// connections, and waits until nothing is done with them any more; but not for ever: the
// functions are somebody else's.
func (r *dialed) end() error {
	done := make(chan struct{})
	go func() {
		r.work.Wait()
		close(done)
	}()
	within := func() bool {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-done:
			return true
		case <-timer.C:
			return false
		}
	}
	carried := within()
	r.cancel()
	r.mu.Lock()
	r.ended = true
	for h := range r.open {
		go safely(h.Close) // it may take its time
	}
	r.mu.Unlock()
	var err error
	if !carried && !within() {
		err = errStuck
	}
	return errors.Join(err, r.loopback.end())
}

// start runs f on a goroutine that the network's end waits for; false when that has
// come.
func (r *dialed) start(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.work.Add(1)
	go func() {
		defer r.work.Done()
		f()
	}()
	return true
}

// held is what is closed with the network.
type held struct{ io.Closer }

// keep has c closed with the network; nil when that has ended.
func (r *dialed) keep(c io.Closer) *held {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil
	}
	h := &held{c}
	r.open[h] = true
	return h
}

// drop closes what was kept.
func (r *dialed) drop(h *held) {
	r.mu.Lock()
	delete(r.open, h)
	r.mu.Unlock()
	_ = safely(h.Close)
}

// dialedConn is a connection of a Dialer, kept.
type dialedConn struct {
	net.Conn
	held *held
}

// dial asks the Dialer.
func (r *dialed) dial(ctx context.Context, network string, to netip.AddrPort) (c dialedConn, err error) {
	err = safely(func() (err error) {
		c.Conn, err = r.Dial(ctx, network, to.String())
		if err == nil && c.Conn == nil {
			err = errors.New("no connection and no error")
		}
		return err
	})
	if err != nil {
		return c, err
	}
	return r.kept(c.Conn)
}

// kept keeps a connection of the Dialer's, or closes it.
func (r *dialed) kept(conn net.Conn) (dialedConn, error) {
	c := dialedConn{conn, r.keep(conn)}
	if c.held == nil {
		_ = safely(conn.Close)
		return c, net.ErrClosed
	}
	return c, nil
}

// safely calls a function of somebody else's: its panic is an error.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v: %w", p, syscall.EIO)
		}
	}()
	return f()
}

// errnoOf is the errno for what a Dialer says.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &errno):
		switch errno {
		case 0, syscall.EAGAIN, syscall.EINTR, syscall.EINPROGRESS, syscall.EALREADY, syscall.EISCONN:
			return syscall.EHOSTUNREACH // the caller would take it for something else
		}
		return errno
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return syscall.ETIMEDOUT
	}
	return syscall.EHOSTUNREACH
}
