package posix

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// held is what a call took out of a socket and could not tell its caller, as Linux
// leaves it in the socket: the bytes of a stream behind those that the caller's
// memory took, and an error that came after part of the work was done. The next call
// gets it.
type held struct {
	some atomic.Bool // there is any

	mu   sync.Mutex // a leaf
	data []byte
	err  error
}

// keep adds what is left over, and reports whether there was anything to keep.
func (h *held) keep(data []byte, err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) || e == syscall.EAGAIN || e == syscall.EINTR {
		err = nil
	}
	if len(data) == 0 && err == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.data = slices.Concat(data, h.data)
	if h.err == nil {
		h.err = err
	}
	h.some.Store(true)
	return true
}

// receive is the part of Receive that is answered from here; ok says that there was
// something.
func (h *held) receive(m *vfs.Packet) (n int, ok bool, err error) {
	if m.Flags&(unix.MSG_ERRQUEUE|unix.MSG_OOB) != 0 {
		return 0, false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.data) == 0 {
		err := h.takeErr()
		return 0, err != nil, err
	}
	n = min(len(m.Data), len(h.data))
	if m.Flags&unix.MSG_TRUNC == 0 {
		copy(m.Data, h.data)
	}
	if m.Flags&unix.MSG_PEEK == 0 {
		h.data = h.data[n:]
		h.some.Store(len(h.data) > 0 || h.err != nil)
	}
	m.Flags, m.Addr, m.Control = 0, m.Addr[:0], m.Control[:0]
	return n, true, nil
}

// takeErr takes the error, if there is one. mu is held.
func (h *held) takeErr() error {
	err := h.err
	h.err = nil
	h.some.Store(len(h.data) > 0)
	return err
}

// failed is takeErr for those who want no data.
func (h *held) failed() error {
	if !h.some.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.takeErr()
}

func (h *held) ready() (e vfs.Events) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.data) > 0 || h.err != nil {
		e = vfs.EventsIn
	}
	if h.err != nil {
		e |= vfs.EventErr | vfs.EventsOut
	}
	return e
}

// Receive implements vfs.Socket.
func (s *netSocket) Receive(ctx context.Context, m *vfs.Packet) (int, error) {
	if s.held.some.Load() {
		if n, ok, err := s.held.receive(m); ok {
			return n, err
		}
	}
	return s.Socket.Receive(ctx, m)
}

// Send implements vfs.Socket.
func (s *netSocket) Send(ctx context.Context, m *vfs.Packet) (int, error) {
	if err := s.held.failed(); err != nil {
		return 0, err
	}
	return s.Socket.Send(ctx, m)
}

// Poll implements vfs.Pollable.
func (s *netSocket) Poll(mask vfs.Events) vfs.Events {
	e := s.Socket.Poll(mask)
	if s.held.some.Load() {
		e |= s.held.ready() & (mask | vfs.EventErr)
	}
	return e
}

// Option implements vfs.Socket.
func (s *netSocket) Option(ctx context.Context, level, name int, value []byte) (int, error) {
	if level == unix.SOL_SOCKET && name == unix.SO_ERROR && len(value) >= 4 {
		if err := s.held.failed(); err != nil {
			binary.NativeEndian.PutUint32(value, uint32(errnoOf(err)))
			return 4, nil
		}
	}
	return s.Socket.Option(ctx, level, name, value)
}
