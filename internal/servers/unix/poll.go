package unixsock

import (
	"context"
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// writable reports whether so little of what s sent is unread that poll calls
// it ready to write.
func (s *Socket) writable() bool {
	return s.state.Load() != listening && (s.wmem.Load()+1)*4 <= s.sndbuf.Load()
}

// Poll implements vfs.Pollable.
func (s *Socket) Poll(mask vfs.Events) vfs.Events {
	var ev vfs.Events
	s.mu.Lock()
	if s.err.Load() != 0 {
		ev |= vfs.EventErr
	}
	down := s.shutdown.Load()
	if down == bothShutdown || s.connectionBased() && s.state.Load() == closed {
		ev |= vfs.EventHup
	}
	if down&rcvShutdown != 0 {
		ev |= vfs.EventRdHup | vfs.EventsIn
	}
	if s.recv.n != 0 {
		ev |= vfs.EventsIn
	}
	s.mu.Unlock()
	const out = vfs.EventsOut | vfs.EventWrBand
	if mask&out != 0 && s.writable() && !s.peerFull() {
		ev |= out
	}
	return ev & (mask | vfs.EventErr | vfs.EventHup)
}

// peerFull reports whether a message to the peer has no room there, and has s
// woken when it does.
func (s *Socket) peerFull() bool {
	if s.typ != unix.SOCK_DGRAM {
		return false
	}
	peer := s.peer.Load()
	if peer == nil || peer == s || peer.peer.Load() == s {
		return false
	}
	peer.mu.Lock()
	defer peer.mu.Unlock()
	if !peer.full() {
		return false
	}
	peer.block(s)
	return true
}

// Watch implements vfs.Pollable.
func (s *Socket) Watch(w *vfs.Waiter) { s.queue.Watch(w) }

// Unwatch implements vfs.Pollable.
func (s *Socket) Unwatch(w *vfs.Waiter) { s.queue.Unwatch(w) }

// room is the room in a socket's receive queue: ready to write when a stranger
// may try a datagram or a connection.
type room struct {
	vfs.Queue
	s *Socket
}

func (r *room) Poll(mask vfs.Events) vfs.Events {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full() && !s.dead.Load() && s.shutdown.Load()&rcvShutdown == 0 {
		return 0
	}
	return mask & vfs.EventsOut
}

// Room returns what a Connect to s that failed with EAGAIN waits for.
func (s *Socket) Room() vfs.Pollable { return &s.room }

// Unread returns FIONREAD's count: all bytes, or those of a datagram socket's
// first message. EINVAL when s listens.
func (s *Socket) Unread() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state.Load() == listening:
		return 0, syscall.EINVAL
	case s.typ != unix.SOCK_DGRAM:
		return s.recv.bytes, nil
	case s.recv.first == nil:
		return 0, nil
	}
	return len(s.recv.first.data), nil
}

// Unreceived returns SIOCOUTQ's count: what the peers have not yet read, with
// its overhead.
func (s *Socket) Unreceived() int { return int(s.wmem.Load()) }

// Ioctl implements vfs.Ioctler: FIONREAD (SIOCINQ) and SIOCOUTQ.
func (s *Socket) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	var n int
	var err error
	switch cmd {
	case unix.SIOCINQ:
		n, err = s.Unread()
	case unix.SIOCOUTQ:
		n = s.Unreceived()
	default:
		err = syscall.ENOTTY
	}
	if err != nil {
		return 0, err
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return 0, arg.WriteAt(b[:], 0)
}
