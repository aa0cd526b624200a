package hati

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/netconn"
)

// reach is what of a box's network is open to this program.
type reach struct {
	mu     sync.Mutex
	closed bool
	end    chan struct{} // closed with the box; nil until somebody needs it
	open   map[io.Closer]struct{}
	busy   sync.WaitGroup // goroutines, and dials that are under way
}

// enter has close wait until leave; end is closed when it does.
func (r *reach) enter() (end <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if r.end == nil {
		r.end = make(chan struct{})
	}
	r.busy.Add(1)
	return r.end, nil
}

func (r *reach) leave() { r.busy.Done() }

// add has close close c. It reports whether there was time for that.
func (r *reach) add(c io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if r.open == nil {
		r.open = map[io.Closer]struct{}{}
	}
	r.open[c] = struct{}{}
	return true
}

func (r *reach) remove(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

// close ends everything, and waits until it has ended.
func (r *reach) close() {
	r.mu.Lock()
	r.closed = true
	if r.end != nil {
		close(r.end)
	}
	var all []io.Closer
	for c := range r.open {
		all = append(all, c)
	}
	r.mu.Unlock()
	closeAll(all)
	r.busy.Wait()
}

// Dial connects to a program of the box, or to whatever the box's network has: network
// is tcp or udp, or one of them with 4 or 6 at its end, and address "localhost:PORT" or
// "IP:PORT". Other names are not looked up. It is as if a program of the box connected:
// the one at the other end sees a loopback address.
//
// ctx counts until there is a connection, as with [net.Dialer.DialContext]: when it ends
// before, nothing was connected and the error is ctx's cause. The connection has
// CloseRead and CloseWrite; Close of the box closes it, and then reading and writing
// say [net.ErrClosed]. A box without a network answers EAFNOSUPPORT.
func (b *Box) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := b.dial(ctx, network, address)
	if err != nil {
		return nil, err // not a nil Conn that is none
	}
	return c, nil
}

func (b *Box) dial(ctx context.Context, network, address string) (*netconn.Conn, error) {
	end, err := b.reach.enter()
	if err != nil {
		return nil, err
	}
	defer b.reach.leave()
	if b.network == nil {
		return nil, fmt.Errorf("hati: dial %s %s: the box has no network (Config.Network): %w", network, address, syscall.EAFNOSUPPORT)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dialed := make(chan struct{})
	defer close(dialed)
	go func() {
		select {
		case <-end:
			cancel(ErrClosed)
		case <-dialed:
		}
	}()
	var c *netconn.Conn
	c, err = netconn.Dial(ctx, b.network, network, address, func() { b.reach.remove(c) })
	if err != nil {
		return nil, fmt.Errorf("hati: %w", err)
	}
	if !b.reach.add(c) {
		c.Close()
		return nil, ErrClosed
	}
	return c, nil
}
