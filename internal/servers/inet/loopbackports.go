package inet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// portKey is a port of a protocol, the guest's or the host's.
type portKey struct {
	protocol int
	port     uint16
}

// port is who has to do with one of the guest's.
type port struct {
	bound    []*place
	accepted map[*place]struct{} // connections of those, or of earlier ones
	callers  []*place            // UDP sockets that are connected to it
}

// sender is whose a datagram is that comes from a port of the host: a socket's that is
// bound to the span, at a port of the guest.
type sender struct {
	span
	port uint16
}

// localPorts are the ports that the host hands out.
var localPorts = sync.OnceValues(func() (low, high uint16) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(b), &low, &high)
	}
	if err != nil || low > high || low == 0 {
		return 32768, 60999
	}
	return low, high
})

// somePort tries to bind to ports of the host, until one is not in use. It says which:
// a socket that has asked for its port keeps it when a connection fails or ends.
func somePort(bind func(uint16) error) (uint16, error) {
	low, high := localPorts()
	n := int(high) - int(low) + 1
	start := rand.IntN(n)
	for i := range n {
		q := low + uint16((start+i)%n)
		if err := bind(q); err != syscall.EADDRINUSE {
			return q, err
		}
	}
	return 0, syscall.EADDRINUSE
}

// bindPlace gives p a port of the guest, any with 0, and one of the host. mu is held.
func (l *loopback) bindPlace(p *place, to span, number uint16) error {
	if number == 0 {
		return l.bindAny(p, to)
	}
	key := portKey{p.protocol, number}
	if l.conflict(p, to, key) {
		return syscall.EADDRINUSE
	}
	if q := l.shared(p, to, key); q != 0 {
		p.hostPort = q
		if err := p.reuse(); err != nil {
			return err
		}
		if err := bind(p.s.fd, l.host(p.s.family, atOne, q)); err != nil {
			p.hostPort = 0
			return err
		}
	} else if p.hostPort == 0 {
		if _, err := somePort(func(q uint16) error { return l.bindHost(p, q) }); err != nil {
			return err
		}
	}
	l.register(p, to, number)
	return nil
}

// bindAny has the guest's port be the host's, if it is not another socket's.
func (l *loopback) bindAny(p *place, to span) error {
	free := func(q uint16) bool { return l.ports[portKey{p.protocol, q}] == nil }
	q, err := somePort(func(q uint16) error {
		switch {
		case !free(q):
			return syscall.EADDRINUSE
		case p.hostPort != 0:
			return nil // that stays what it is
		}
		return l.bindHost(p, q)
	})
	if err != nil {
		return err
	}
	l.register(p, to, q)
	return nil
}

// bindHost binds p's socket of the host, which has no options about sharing yet: what
// others of the network, or other programs, have there must not be shared.
func (l *loopback) bindHost(p *place, q uint16) error {
	if err := bind(p.s.fd, l.host(p.s.family, atOne, q)); err != nil {
		return err
	}
	p.hostPort = q
	return p.reuse()
}

// reuse tells the host about sharing.
func (p *place) reuse() error {
	for name, on := range map[int]bool{unix.SO_REUSEADDR: p.reuseAddr, unix.SO_REUSEPORT: p.reusePort} {
		value := 0
		if on {
			value = 1
		}
		if err := unix.SetsockoptInt(p.s.fd, unix.SOL_SOCKET, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (l *loopback) register(p *place, to span, number uint16) {
	p.span, p.port, p.shown = to, number, number
	l.port(portKey{p.protocol, number}).add(p)
	l.sends(p)
	l.redirect(portKey{p.protocol, number})
}

// sends notes what p's datagrams come from.
func (l *loopback) sends(p *place) {
	if p.s.typ == unix.SOCK_DGRAM {
		l.senders[portKey{p.protocol, p.hostPort}] = sender{p.at(), p.port}
	}
}

func (l *loopback) port(key portKey) *port {
	b := l.ports[key]
	if b == nil {
		b = &port{accepted: map[*place]struct{}{}}
		l.ports[key] = b
	}
	return b
}

// add puts p where Linux has it: of those who would do, the first one is taken.
func (b *port) add(p *place) {
	b.bound = slices.DeleteFunc(b.bound, func(o *place) bool { return o == p })
	if p.reusePort && p.s.family == unix.AF_INET6 {
		b.bound = append(b.bound, p)
	} else {
		b.bound = slices.Insert(b.bound, 0, p)
	}
}

// tidy forgets a port that nobody has to do with.
func (l *loopback) tidy(key portKey) {
	if b := l.ports[key]; b != nil && len(b.bound)+len(b.accepted)+len(b.callers) == 0 {
		delete(l.ports, key)
	}
}

// conflict reports whether p may not have a port because of others, by Linux's rules.
func (l *loopback) conflict(p *place, to span, key portKey) bool {
	b := l.ports[key]
	if b == nil {
		return false
	}
	with := func(o *place) bool {
		switch {
		case o == p, !to.overlaps(o.at()):
			return false
		case p.reuseAddr && o.reuseAddr && !o.listening:
			return false
		}
		return !p.reusePort || !o.reusePort
	}
	var in []*place
	for o := range b.accepted {
		if with(o) {
			in = append(in, o)
		}
	}
	for _, o := range b.bound {
		if with(o) {
			in = append(in, o)
		}
	}
	return slices.ContainsFunc(in, func(o *place) bool {
		l.settle(o)
		return o.port != 0
	})
}

// shared is the host's port of those who have the same address and port as p is to
// have: who of them gets what is the host's affair. 0 when there are none.
func (l *loopback) shared(p *place, to span, key portKey) uint16 {
	if b := l.ports[key]; b != nil && p.hostPort == 0 {
		for _, o := range b.bound {
			if o.s.family == p.s.family && o.span == to {
				return o.hostPort
			}
		}
	}
	return 0
}

// find returns one of those who get what is sent from src to d, nil when there are none:
// the one that Linux takes. mu is held.
func (l *loopback) find(protocol int, d, src netip.AddrPort) (best *place) {
	b := l.ports[portKey{protocol, d.Port()}]
	if b == nil {
		return nil
	}
	most := -1
	for _, o := range b.bound {
		at := o.at()
		if !at.covers(d.Addr()) {
			continue
		}
		if o.s.typ == unix.SOCK_STREAM && !o.listening || o.s.typ == unix.SOCK_DGRAM && o.peer.IsValid() && o.peer != src {
			continue
		}
		score := 0
		if !at.addr.IsUnspecified() {
			score += 4
		}
		if o.peer.IsValid() {
			score += 2
		}
		if o.s.family == unix.AF_INET {
			score++
		}
		if score > most {
			best, most = o, score
		}
	}
	return best
}

// redirect has the UDP sockets that are connected to a port reach who has it now.
func (l *loopback) redirect(key portKey) {
	b := l.ports[key]
	if b == nil {
		return
	}
	for _, c := range b.callers {
		_ = l.aim(c) // it is connected already: the host has what it takes
	}
}

// aim connects p's UDP socket of the host to who is at its peer's address.
func (l *loopback) aim(p *place) error {
	to, q, err := l.way(p, p.peer)
	if err != nil || q == p.target {
		return err
	}
	if err := connect(p.s.fd, to); err != nil {
		return err
	}
	p.target = q
	return nil
}

// way is the host's address of who is at d, and the port; that where nobody is, and 0,
// if nobody is.
func (l *loopback) way(p *place, d netip.AddrPort) ([]byte, uint16, error) {
	src := netip.AddrPortFrom(p.source(d.Addr()), p.port)
	if t := l.find(p.protocol, d, src); t != nil {
		return l.host(p.s.family, atOne, t.hostPort), t.hostPort, nil
	}
	if p.s.typ == unix.SOCK_STREAM && p.port != 0 && p.port == d.Port() && p.at().covers(d.Addr()) {
		return l.host(p.s.family, atOne, p.hostPort), p.hostPort, nil // to itself
	}
	none, err := l.refuser(p.s.typ, p.protocol)
	return l.host(p.s.family, atNone, none), 0, err
}

// forget takes p out of the table.
func (l *loopback) forget(p *place) {
	l.giveUp(p)
	l.hangUp(p)
	l.unregister(p)
}

func (l *loopback) unregister(p *place) {
	key := portKey{p.protocol, p.port}
	b := l.ports[key]
	if p.port == 0 || b == nil {
		return
	}
	delete(b.accepted, p)
	b.bound = slices.DeleteFunc(b.bound, func(o *place) bool { return o == p })
	l.unlisten(p)
	p.port = 0
	l.redirect(key)
	l.tidy(key)
}
