package inet

import "golang.org/x/sys/unix"

// When a listener's backlog is full, the host tries again and again to connect to it,
// also when the listener is gone. Until all have given up, nobody may have its port of
// the host, and they are refused there.

// knocking are the streams that are not connected yet to a port of the host, and the
// socket, -1 for none, that keeps it when the listener's is closed.
type knocking struct {
	callers map[*place]struct{}
	fd      int
}

// waits reports whether the host tries for any of them.
func (k *knocking) waits() bool {
	for p := range k.callers {
		if state, err := tcpState(p.s.fd); err == nil && state == tcpSynSent {
			return true
		}
	}
	return false
}

// drop ends keeping the port.
func (k *knocking) drop() {
	if k.fd >= 0 {
		unix.Close(k.fd)
		k.fd = -1
	}
}

// knocks notes that p begins to connect to its target. mu is held.
func (l *loopback) knocks(p *place) {
	if state, err := tcpState(p.s.fd); err != nil || state != tcpSynSent {
		return // as ever
	}
	k := l.knocking[p.target]
	if k == nil {
		k = &knocking{callers: map[*place]struct{}{}, fd: -1}
		l.knocking[p.target] = k
	}
	k.callers[p] = struct{}{}
}

// knocked notes that p does not connect any more. mu is held.
func (l *loopback) knocked(p *place) {
	k := l.knocking[p.target]
	if k == nil {
		return
	}
	delete(k.callers, p)
	if !k.waits() {
		k.drop()
	}
	if len(k.callers) == 0 {
		delete(l.knocking, p.target)
	}
}

// keep has nobody get the port of p's socket, which is about to be closed, while others
// knock. mu is held.
func (l *loopback) keep(p *place) {
	k := l.knocking[p.hostPort]
	if k == nil || k.fd >= 0 || p.accepted || !k.waits() {
		return
	}
	fd, err := unix.FcntlInt(uintptr(p.s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return // there are no descriptors; nobody is likely to take the port
	}
	_ = unix.Shutdown(fd, unix.SHUT_RD) // it may be that already
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0)
	k.fd = fd
}
