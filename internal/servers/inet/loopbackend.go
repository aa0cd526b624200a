package inet

import (
	"slices"

	"golang.org/x/sys/unix"
)

// How a stream's connection, or its listening, ends. Linux takes a port that nobody
// asked for away as soon as the connection has ended, be it by the other side; the
// address, and what was the port for getsockname(2), when somebody is told of it.

// numbered reports whether p has a port, as far as bind(2) is concerned. mu is held.
func (l *loopback) numbered(p *place) bool {
	l.settle(p)
	return p.port != 0 || p.live
}

// settle takes p's port away if its connection has ended, unless the guest asked for it.
// mu is held.
func (l *loopback) settle(p *place) {
	if !p.live {
		return
	}
	if state, err := tcpState(p.s.fd); err == nil && state == tcpClosed {
		l.over(p)
	}
}

// over is what settle and dissolve do when the host's socket is in no state any more.
func (l *loopback) over(p *place) {
	p.live = false
	l.unlisten(p)
	if !p.auto {
		return
	}
	l.unregister(p)
	if p.accepted {
		// The host has taken its port away, too.
		p.accepted, p.hostPort, p.addressed = false, 0, true
	}
}

// dissolve is what becomes of p when the host has undone its connection, or has it
// listen no more: it is like a new socket, but for what was asked for. mu is held.
func (l *loopback) dissolve(p *place) {
	l.hangUp(p)
	if p.live {
		l.over(p)
	}
	if p.port == 0 && p.addr.IsUnspecified() {
		p.span = span{}
	}
}

// unlisten forgets what has arrived at a listener that is none any more.
func (l *loopback) unlisten(p *place) {
	if !p.listening {
		return
	}
	p.listening = false
	if b := l.ports[portKey{p.protocol, p.port}]; b == nil || !slices.ContainsFunc(b.bound, func(o *place) bool { return o.listening && o.hostPort == p.hostPort }) {
		delete(l.arrivals, p.hostPort)
	}
}

// giveUp forgets a connection that did not come to be. Any other the listener accepts,
// even if it has ended by then. mu is held.
func (l *loopback) giveUp(p *place) {
	arrivals := l.arrivals[p.target]
	if !p.connecting || arrivals[p.from].by != p {
		return
	}
	if state, err := tcpState(p.s.fd); err == nil && (state == tcpSynSent || state == tcpClosed) {
		delete(arrivals, p.from)
	}
}

// shutdown implements realm. It ends listening, and connecting, as if there had been
// nothing of it.
func (l *loopback) shutdown(s *Socket, how int) error {
	if s.typ != unix.SOCK_STREAM {
		return unix.Shutdown(s.fd, how)
	}
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	was, err := tcpState(s.fd)
	if err != nil {
		return err
	}
	if was == tcpSynSent && p.engaged {
		l.giveUp(p)
	}
	if err := unix.Shutdown(s.fd, how); err != nil {
		return err
	}
	// Nobody accepts meanwhile, so it cannot have been connected and ended.
	if was == tcpSynSent || was == tcpListen {
		if is, err := tcpState(s.fd); err == nil && is == tcpClosed {
			l.dissolve(p)
		}
	}
	return nil
}
