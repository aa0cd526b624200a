package inet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// listen has the Dialer listen, too, when the guest does so for more than the loopback.
func (r *dialed) listen(ctx context.Context, s *Socket, backlog int) error {
	if s.dialling() {
		return syscall.EINVAL
	}
	if r.Listen == nil {
		return r.loopback.listen(ctx, s, backlog)
	}
	o := r.outsideOf(s)
	own, first, err := o.listensAt(ctx)
	if err != nil {
		return err
	}
	var l *held
	if first {
		if l, err = r.listenOutside(ctx, o, own); err != nil {
			return o.didListen(nil, err)
		}
	}
	return o.didListen(l, r.loopback.listen(ctx, s, backlog))
}

// listenOutside asks the Dialer.
func (r *dialed) listenOutside(ctx context.Context, o *outside, own netip.AddrPort) (*held, error) {
	var l net.Listener
	err := safely(func() (err error) {
		l, err = r.Listen(ctx, "tcp", own.String())
		if err == nil && l == nil {
			err = errors.New("no listener and no error")
		}
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, errnoOf(err)
	}
	h := r.keep(l)
	if h == nil {
		_ = safely(l.Close)
		return nil, syscall.ENETDOWN
	}
	return h, nil
}

// didListen begins to accept from l, which may be nil, unless there is an error.
func (o *outside) didListen(l *held, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	ctx, stop := context.WithCancel(o.r.ctx)
	accept := func() {
		defer stop()
		o.acceptFrom(ctx, l.Closer.(net.Listener))
	}
	if l != nil && err == nil && (o.closed || !o.r.start(accept)) {
		err = syscall.ENETDOWN
	}
	switch {
	case err == nil && l != nil:
		o.listener, o.unlisten = l, stop
		return nil
	case err != nil && l != nil:
		o.r.start(func() { o.r.drop(l) })
	}
	stop()
	if err != nil && o.listener == nil {
		o.listens = false
	}
	return err
}

// listensAt returns the guest's address, which the socket gets if it has none, and
// whether the Dialer is to listen there now.
func (o *outside) listensAt(ctx context.Context) (a netip.AddrPort, first bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.listens {
		return a, false, nil
	}
	for range 2 {
		name, err := o.r.loopback.name(o.s, false)
		if err != nil {
			return a, false, err
		}
		if a, err = abi.ParseSockaddr(name); err != nil {
			return a, false, err
		}
		if a.Port() != 0 {
			o.listens = !a.Addr().IsLoopback()
			return a, o.listens, nil
		}
		if err := o.r.loopback.bind(ctx, o.s, name); err != nil {
			return a, false, err
		}
	}
	return a, false, syscall.EADDRNOTAVAIL
}

// acceptFrom hands on the connections of a listener of the Dialer's. ctx ends when the
// guest listens no more.
func (o *outside) acceptFrom(ctx context.Context, l net.Listener) {
	const pause = 100 * time.Millisecond // before trying again when it is out of something
	for {
		var conn net.Conn
		err := safely(func() (err error) {
			conn, err = l.Accept()
			if err == nil && conn == nil {
				err = errors.New("no connection and no error")
			}
			return err
		})
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			o.arrive(ctx, conn)
		case errors.As(err, &temporary) && temporary.Temporary():
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		default:
			return
		}
	}
}

// arrive connects a gateway for conn to the guest's socket. When that does not accept,
// the next connection waits in the Dialer.
func (o *outside) arrive(ctx context.Context, conn net.Conn) {
	r := o.r
	c, err := r.kept(conn)
	if err != nil {
		return
	}
	if err := reservePair(); err != nil {
		reset(conn)
		r.drop(c.held)
		return
	}
	o.mu.Lock()
	guest, err := o.s.hostName()
	if o.closed {
		err = net.ErrClosed
	}
	o.mu.Unlock()
	var gate net.Conn
	if err == nil {
		// Who it is must be known before the guest can accept it.
		d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
			cerr := raw.Control(func(fd uintptr) { err = o.announce(int(fd), conn) })
			return errors.Join(err, cerr)
		}}
		gate, err = d.DialContext(ctx, "tcp4", guest.String())
	}
	if err == nil {
		carry := &carrier{r: r, conn: c, gate: gate.(*net.TCPConn)}
		if carry.start() {
			return
		}
		gate.Close()
	}
	unreservePair()
	reset(conn)
	r.drop(c.held)
}

// announce gives a gateway its address, and says whose that is.
func (o *outside) announce(fd int, conn net.Conn) error {
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: o.r.gateAddr().Addr().As4()}); err != nil {
		return err
	}
	name, err := nameOf(fd, false)
	if err != nil {
		return err
	}
	at, err := abi.ParseSockaddr(name)
	if err != nil {
		return err
	}
	from := addrPort(conn.RemoteAddr)
	if o.s.sockaddr(from) == nil {
		from = netip.AddrPortFrom(routerAddr, at.Port())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return net.ErrClosed
	}
	o.r.expect(o.s, at, from)
	return nil
}
