package unixsock

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// Listen makes s accept connections, cred being what those who connect see as
// their peer's (listen(2)). EOPNOTSUPP for datagram sockets, EINVAL when s has
// no name or is connected.
func (s *Socket) Listen(backlog int, cred Cred) error {
	if !s.connectionBased() {
		return syscall.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr.Load() == nil || s.state.Load() == established {
		return syscall.EINVAL
	}
	if uint(backlog) > maxBacklog { // a negative one is a large one
		backlog = maxBacklog
	}
	grown := int32(backlog) > s.backlog.Swap(int32(backlog))
	s.state.Store(listening)
	s.peerCred = cred
	if grown {
		s.room.Notify(vfs.EventsOut)
	}
	return nil
}

// full reports whether no more messages or connections may be queued at s by a
// stranger. The caller holds mu.
func (s *Socket) full() bool { return s.recv.n > int(s.backlog.Load()) }

// Connect connects s to the socket that an address led to (connect(2)), cred
// being the caller's.
//
// Stream and sequenced packet: ECONNREFUSED when to does not listen, EISCONN,
// EINVAL when s listens, EAGAIN when to's backlog is full: wait for to.Room,
// then look the address up and try again. Datagram: EPERM when to is connected
// to another one, ECONNREFUSED when to is closed.
func (s *Socket) Connect(to *Socket, cred Cred) error {
	if err := s.WantName(); err != nil {
		return err
	}
	if !s.connectionBased() {
		return s.connectDgram(to)
	}
	lockBoth(s, to)
	switch {
	case to.dead.Load() || to.state.Load() != listening || to.shutdown.Load()&rcvShutdown != 0:
		unlockBoth(s, to)
		return syscall.ECONNREFUSED
	case to.full():
		unlockBoth(s, to)
		return syscall.EAGAIN
	case s.state.Load() == established:
		unlockBoth(s, to)
		return syscall.EISCONN
	case s.state.Load() != closed || s.dead.Load():
		unlockBoth(s, to)
		return syscall.EINVAL
	}
	conn := to.ns.newSocket(to.typ, to.owner)
	conn.peer.Store(s)
	conn.peerCred = cred
	conn.addr.Store(to.addr.Load())
	conn.pass.Store(to.pass.Load())
	conn.state.Store(established)
	conn.embryo = true
	s.peerCred = to.peerCred
	s.peer.Store(conn)
	s.state.Store(established)
	m := newMessage(0)
	m.conn = conn
	to.recv.push(m)
	unlockBoth(s, to)
	to.queue.Notify(readable)
	return nil
}

// connectDgram connects to to, or to nobody when it is nil.
func (s *Socket) connectDgram(to *Socket) error {
	other := to
	if other == nil {
		other = s
	}
	lockBoth(s, other)
	if to != nil {
		if to.dead.Load() {
			unlockBoth(s, other)
			return syscall.ECONNREFUSED
		}
		if !mayTake(to, s) {
			unlockBoth(s, other)
			return syscall.EPERM
		}
		s.state.Store(established)
		to.state.Store(established)
	} else {
		s.state.Store(closed)
	}
	old := s.peer.Swap(to)
	unlockBoth(s, other)
	if old == nil || old == to {
		return nil
	}
	old.forget(s)
	s.queue.Notify(vfs.EventsOut | vfs.EventWrBand)
	s.disconnected(old)
	old.mu.Lock()
	if old.peer.Load() == nil {
		old.state.Store(closed)
	}
	old.mu.Unlock()
	return nil
}

// Disconnect dissolves a datagram socket's connection (connect(2) to
// AF_UNSPEC); EINVAL for the other types.
func (s *Socket) Disconnect() error {
	if s.connectionBased() {
		return syscall.EINVAL
	}
	return s.connectDgram(nil)
}

// disconnected drops what s has received by its connection to old, and tells
// old if that was connected to s, since its messages are lost.
func (s *Socket) disconnected(old *Socket) {
	s.mu.Lock()
	lost := s.recv.takeAll()
	wake := s.takeBlocked()
	s.mu.Unlock()
	if lost == nil {
		return
	}
	s.room.Notify(vfs.EventsOut)
	wakeBlocked(wake)
	if !old.dead.Load() && old.peer.Load() == s {
		old.err.Store(int32(syscall.ECONNRESET))
		old.queue.Notify(vfs.EventErr)
	}
	for lost != nil {
		next := lost.next
		s.ns.drop(lost)
		lost = next
	}
}

// mayTake reports whether to takes messages from s.
func mayTake(to, s *Socket) bool {
	p := to.peer.Load()
	return p == nil || p == s
}

// Accept returns the next connection; its peer's name is Conn.PeerName.
// EOPNOTSUPP for datagram sockets, EINVAL when s does not listen, EAGAIN when
// there is no connection. wait says that the caller would wait for one: then
// EINVAL tells him that none can come since s was shut down.
func (s *Socket) Accept(wait bool) (*Socket, error) {
	if !s.connectionBased() {
		return nil, syscall.EOPNOTSUPP
	}
	s.mu.Lock()
	if s.state.Load() != listening {
		s.mu.Unlock()
		return nil, syscall.EINVAL
	}
	if err := s.takeErr(); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if s.recv.n == 0 {
		down := s.shutdown.Load()&rcvShutdown != 0
		s.mu.Unlock()
		if down && wait {
			return nil, syscall.EINVAL
		}
		return nil, syscall.EAGAIN
	}
	m := s.recv.pop()
	s.mu.Unlock()
	conn := m.conn
	m.free()
	conn.mu.Lock()
	conn.embryo = false
	conn.mu.Unlock()
	s.room.Notify(vfs.EventsOut)
	return conn, nil
}

// Shutdown closes directions of s and, for connected stream and sequenced
// packet sockets, the peer's matching ones. how is SHUT_RD, SHUT_WR or
// SHUT_RDWR, else EINVAL.
func (s *Socket) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return syscall.EINVAL
	}
	mode := uint32(how + 1)
	s.mu.Lock()
	s.shutdown.Or(mode)
	peer := s.peer.Load()
	s.mu.Unlock()
	s.stateChanged()
	s.room.Notify(vfs.EventsOut)
	if peer != nil && s.connectionBased() {
		var theirs uint32
		if mode&rcvShutdown != 0 {
			theirs |= sendShutdown
		}
		if mode&sendShutdown != 0 {
			theirs |= rcvShutdown
		}
		peer.mu.Lock()
		peer.shutdown.Or(theirs)
		peer.mu.Unlock()
		peer.stateChanged()
	}
	return nil
}
