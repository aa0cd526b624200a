package inet

import (
	"context"
	"net/netip"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// send implements realm.
func (l *loopback) send(_ context.Context, s *Socket, m *vfs.Packet, flags int) (int, error) {
	p := placeOf(s)
	if abi.SockaddrFamily(m.Addr) == unix.AF_UNSPEC {
		if s.family == unix.AF_INET6 {
			m.Addr = nil // to where it is connected
		} else if len(m.Addr) >= unix.SizeofSockaddrInet4 {
			m.Addr = asInet4(m.Addr) // which the host takes it for
		}
	}
	l.mu.RLock()
	for p.port == 0 && !p.echo() { // also to nobody
		l.mu.RUnlock()
		if err := l.portFor(p); err != nil {
			return 0, err
		}
		l.mu.RLock()
	}
	defer l.mu.RUnlock()
	if p.echo() {
		return l.sendEcho(p, m, flags)
	}
	last := byte(atOne)
	var to []byte
	if len(m.Addr) == 0 && p.peer.Addr().Is6() {
		flags &^= unix.MSG_OOB // which only IPv4 minds
	} else if len(m.Addr) > 0 {
		d, err := p.recipient(m.Addr)
		if err != nil {
			return 0, err
		}
		if d.Port() == 0 {
			return 0, unix.EINVAL
		}
		if d.Addr().Is6() {
			flags &^= unix.MSG_OOB
		}
		src := netip.AddrPortFrom(p.source(d.Addr()), p.port)
		if t := l.find(p.protocol, d, src); t != nil {
			to = l.host(s.family, atOne, t.hostPort)
			if d.Addr().Is6() && p.at().dual() && t.at().dual() {
				last = atSix
			}
		}
		if to == nil {
			return l.sendNowhere(p, d, m, flags)
		}
	}
	control, err := l.controlTo(p, m.Control, last)
	if err != nil {
		return 0, err
	}
	return sendmsg(s.fd, m.Data, to, control, flags)
}

// portFor is autobind for those without mu.
func (l *loopback) portFor(p *place) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.autobind(p)
}

// sendNowhere sends to where nobody is, of which the host may tell the socket. mu is
// held for reading, and again afterwards.
func (l *loopback) sendNowhere(p *place, d netip.AddrPort, m *vfs.Packet, flags int) (int, error) {
	l.mu.RUnlock()
	defer l.mu.RLock()
	l.mu.Lock()
	defer l.mu.Unlock()
	control, err := l.controlTo(p, m.Control, atOne)
	if err != nil {
		return 0, err
	}
	none, err := l.refuser(p.s.typ, p.protocol)
	if err != nil {
		return 0, err
	}
	p.refused = d
	return sendmsg(p.s.fd, m.Data, l.host(p.s.family, atNone, none), control, flags)
}

// receive implements realm. What does not come from a socket of this network is
// dropped.
func (l *loopback) receive(s *Socket, m *vfs.Packet, flags int) (int, error) {
	p := placeOf(s)
	control := m.Control
	for {
		m.Control = control
		n, err := recvmsg(s.fd, m, flags)
		if err != nil {
			return n, err
		}
		if l.translate(p, m, flags) {
			return n, nil
		}
		if flags&unix.MSG_PEEK != 0 {
			_, _ = recvmsg(s.fd, &vfs.Packet{}, flags&^unix.MSG_PEEK)
		}
	}
}

// translate makes the guest's addresses of the host's in a message. It reports whether
// the message is for the guest.
func (l *loopback) translate(p *place, m *vfs.Packet, flags int) bool {
	if len(m.Addr) == 0 && p.s.typ == unix.SOCK_STREAM {
		m.Control = l.controlFrom(p, m.Control, one, netip.AddrPortFrom(one, 0))
		return true
	}
	if p.echo() {
		m.Addr = p.echoName(m.Addr)
		m.Control = l.controlFrom(p, m.Control, one, netip.AddrPortFrom(one, 0))
		return true
	}
	host, err := abi.ParseSockaddr(m.Addr)
	l.mu.RLock()
	defer l.mu.RUnlock()
	errors := flags&unix.MSG_ERRQUEUE != 0
	if err != nil {
		// A message about the socket itself (time stamps).
		m.Control = l.controlFrom(p, m.Control, one, netip.AddrPortFrom(one, 0))
		return errors
	}
	from, ok := l.whose(p, host)
	if errors && !ok {
		from, ok = p.refused, true
		if p.peer.IsValid() {
			from = p.peer
		}
	}
	if !ok {
		return false
	}
	m.Control = l.controlFrom(p, m.Control, p.source(from.Addr()), from)
	m.Addr = abi.AppendSockaddr(m.Addr[:0], p.s.family, from)
	return true
}

// whose is the guest's address of who is at one of the host's, as p sees it.
func (l *loopback) whose(p *place, host netip.AddrPort) (netip.AddrPort, bool) {
	if !host.Addr().Is4() { // which the host's socket hears of none
		return netip.AddrPort{}, false
	}
	ip := host.Addr().As4()
	if ip[3] == atGate {
		return p.s.fromGate(host)
	}
	who, ok := l.senders[portKey{p.protocol, host.Port()}]
	if !ok || ip[0] != 127 || [2]byte(ip[1:3]) != l.ip || ip[3] != atOne && ip[3] != atSix {
		return netip.AddrPort{}, false
	}
	addr := who.addr
	if addr.IsUnspecified() {
		_, four := p.at().part(true)
		_, six := p.at().part(false)
		switch _, can := who.part(true); {
		case !can, !four, six && ip[3] == atSix:
			addr = one6
		default:
			addr = one
		}
	} else if addr.Is6() && p.s.family == unix.AF_INET {
		addr = one // it is connected to ::1, and has sent to somewhere else
	}
	return netip.AddrPortFrom(addr, who.port), true
}
