package inet

import (
	"context"
	"net/netip"
	"slices"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// arrival is a connection that is on its way to a listener, with the guest's addresses.
type arrival struct {
	from, to netip.AddrPort
	by       *place // nil for somebody outside
}

// bind implements realm.
func (l *loopback) bind(_ context.Context, s *Socket, addr []byte) error {
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	to, number, err := p.own(addr)
	switch {
	case err != nil:
		return err
	case l.numbered(p) || p.peer.IsValid() && !p.engaged:
		return syscall.EINVAL
	case p.echo():
		return bind(s.fd, l.echoAddr(p, netip.AddrPortFrom(to.addr, number)))
	}
	p.span, p.local = span{}, netip.AddrPort{} // of a connection that has ended
	p.auto = number == 0
	if number == 0 && p.noPort {
		p.span, p.shown = to, 0
	} else if err := l.bindPlace(p, to, number); err != nil {
		return err
	}
	p.peer = netip.AddrPort{}
	if to.addr == one6 {
		p.only6 = true
	}
	return nil
}

// autobind gives a socket that has no port any.
func (l *loopback) autobind(p *place) error {
	if p.port != 0 {
		return nil
	}
	to := p.span
	if !to.addr.IsValid() {
		to = p.wildcard()
	}
	p.auto = true
	return l.bindPlace(p, to, 0)
}

// connect implements realm.
func (l *loopback) connect(_ context.Context, s *Socket, addr []byte) error {
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(addr) < 2:
		return syscall.EINVAL // there is no family
	case abi.SockaddrFamily(addr) == unix.AF_UNSPEC:
		return l.disconnect(p, addr)
	case p.echo():
		return l.connectEcho(p, addr)
	case s.typ == unix.SOCK_STREAM:
		return l.connectStream(p, addr)
	}
	return l.connectDgram(p, addr)
}

func (l *loopback) connectStream(p *place, addr []byte) error {
	if p.engaged || p.listening {
		// It tells how the connection goes, and looks at no address.
		err := connect(p.s.fd, l.host(p.s.family, atNone, 0))
		switch {
		case !p.connecting || err == syscall.EALREADY || err == syscall.EINVAL:
		case err == nil || err == syscall.EISCONN:
			p.connecting = false
			l.knocked(p)
		default:
			l.giveUp(p)
			l.dissolve(p)
		}
		return err
	}
	d, err := p.destination(addr)
	if err != nil {
		return err
	}
	if err := p.addressHost(l); err != nil {
		return err
	}
	to, q, err := l.way(p, d)
	if err != nil {
		return err
	}
	heard := q != 0 && q != p.hostPort
	err = connect(p.s.fd, to)
	if err != nil && err != syscall.EINPROGRESS {
		return err
	}
	from, nerr := p.s.hostName()
	if nerr != nil {
		return nerr
	}
	local := netip.AddrPortFrom(p.source(d.Addr()), p.port)
	if p.port == 0 {
		local = netip.AddrPortFrom(local.Addr(), from.Port())
	}
	p.local, p.peer, p.connecting = local, d, err != nil
	p.live, p.engaged, p.shown, p.from = true, true, local.Port(), from
	if heard {
		p.target = q
		if l.arrivals[q] == nil {
			l.arrivals[q] = map[netip.AddrPort]arrival{}
		}
		l.arrivals[q][from] = arrival{local, d, p}
		l.knocks(p)
	}
	return err
}

// addressHost gives a socket of the host that is to connect the network's address. The
// host chooses the port when it knows whereto.
func (p *place) addressHost(l *loopback) error {
	if p.hostPort != 0 || p.addressed {
		return nil
	}
	if err := unix.SetsockoptInt(p.s.fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	err := bind(p.s.fd, l.host(p.s.family, atOne, 0))
	p.addressed = err == nil
	return err
}

func (l *loopback) connectDgram(p *place, addr []byte) error {
	d, err := p.destination(addr)
	if err != nil {
		return err
	}
	if err := l.autobind(p); err != nil {
		return err
	}
	to, q, err := l.way(p, d)
	if err != nil {
		return err
	}
	if err := connect(p.s.fd, to); err != nil {
		return err
	}
	local := netip.AddrPortFrom(p.source(d.Addr()), p.port)
	l.leave(p)
	p.local, p.peer, p.target = local, d, q
	b := l.port(portKey{p.protocol, d.Port()})
	b.callers = append(b.callers, p)
	l.sends(p)
	l.redirect(portKey{p.protocol, p.port})
	return nil
}

// leave takes p off those who are connected to its peer's port.
func (l *loopback) leave(p *place) {
	if !p.peer.IsValid() {
		return
	}
	key := portKey{p.protocol, p.peer.Port()}
	if b := l.ports[key]; b != nil {
		b.callers = slices.DeleteFunc(b.callers, func(o *place) bool { return o == p })
		l.tidy(key)
	}
}

// disconnect ends a connection, and a datagram socket's port that nobody asked for.
func (l *loopback) disconnect(p *place, addr []byte) error {
	l.giveUp(p)
	if err := connect(p.s.fd, addr); err != nil {
		return err
	}
	if p.s.typ == unix.SOCK_STREAM {
		l.dissolve(p)
		return nil
	}
	l.hangUp(p)
	if !p.echo() && p.auto {
		l.unregister(p)
		p.shown = 0
		if p.addr.IsUnspecified() {
			p.span = span{}
		}
	}
	return nil
}

// hangUp forgets p's connection.
func (l *loopback) hangUp(p *place) {
	if p.s.typ == unix.SOCK_STREAM {
		l.knocked(p)
	} else {
		l.leave(p)
	}
	connected := p.peer.IsValid()
	p.local, p.peer, p.connecting, p.target = netip.AddrPort{}, netip.AddrPort{}, false, 0
	p.from, p.engaged = netip.AddrPort{}, false
	if connected && p.s.typ == unix.SOCK_DGRAM && !p.echo() {
		l.sends(p)
		l.redirect(portKey{p.protocol, p.port})
	}
}

// listen implements realm.
func (l *loopback) listen(_ context.Context, s *Socket, backlog int) error {
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.typ == unix.SOCK_STREAM && !p.engaged {
		if err := l.autobind(p); err != nil {
			return err
		}
		if !p.listening && l.conflict(p, p.span, portKey{p.protocol, p.port}) {
			return syscall.EADDRINUSE
		}
	}
	err := unix.Listen(s.fd, backlog)
	if err == nil && !p.listening {
		p.listening, p.live = true, true
		l.port(portKey{p.protocol, p.port}).add(p)
	}
	return err
}

// accept implements realm. Who is not of this network is hung up on.
func (l *loopback) accept(s *Socket) (*Socket, []byte, error) {
	for {
		fd, addr, err := accept(s.fd)
		if err != nil {
			return nil, nil, err
		}
		from, err := abi.ParseSockaddr(addr)
		if err == nil {
			if c, peer := l.arrived(s, fd, from); c != nil {
				return c, peer, nil
			}
		}
		unix.Close(fd)
	}
}

// arrived returns the socket of a connection of the host to s, if it is one of this
// network's.
func (l *loopback) arrived(s *Socket, fd int, from netip.AddrPort) (*Socket, []byte) {
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.arrivals[p.hostPort][from]
	if !ok {
		return nil, nil
	}
	delete(l.arrivals[p.hostPort], from)
	c := s.accepted(fd)
	to := &place{
		s: c, protocol: p.protocol, reuseAddr: p.reuseAddr, reusePort: p.reusePort, only6: p.only6, noPort: p.noPort,
		span: p.span, port: p.port, hostPort: p.hostPort, local: a.to, peer: a.from,
		auto: true, shown: p.port, accepted: true, live: true, engaged: true,
	}
	c.place = to
	l.port(portKey{p.protocol, p.port}).accepted[to] = struct{}{}
	return c, abi.AppendSockaddr(nil, s.family, a.from)
}

// name implements realm.
func (l *loopback) name(s *Socket, peer bool) ([]byte, error) {
	p := placeOf(s)
	var host []byte
	if peer || p.echo() {
		// The host knows whether it is connected, and the number of echoes.
		var err error
		if host, err = nameOf(s.fd, peer); err != nil {
			return nil, err
		}
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case p.echo():
		return p.echoName(host), nil
	case peer && p.peer.IsValid():
		return abi.AppendSockaddr(nil, s.family, p.peer), nil
	case peer:
		return nil, syscall.ENOTCONN
	}
	return abi.AppendSockaddr(nil, s.family, p.name()), nil
}
