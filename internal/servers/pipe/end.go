package pipe

import (
	"context"
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// End is an open end of a pipe or FIFO: a vfs.File that is a stream, is
// pollable, and never waits. All methods may be called concurrently.
type End struct {
	pipe        *pipe
	fifos       *FIFOs // nil for a pipe without a name
	read, write bool
	packet      atomic.Bool
	// writerGen is the FIFO's writer count at the time of a nonblocking open for
	// reading (else 0): until another writer comes, poll shows no hang-up.
	writerGen uint64
	// partnerGen is the other side's count at the time of opening.
	partnerGen uint64
}

var (
	_ vfs.File     = (*End)(nil)
	_ vfs.Reader   = (*End)(nil)
	_ vfs.Writer   = (*End)(nil)
	_ vfs.Streamer = (*End)(nil)
	_ vfs.Pollable = (*End)(nil)
	_ vfs.Ioctler  = (*End)(nil)
)

// Node implements vfs.File.
func (e *End) Node() vfs.Node { return e.pipe.node }

// IsStream implements vfs.Streamer.
func (e *End) IsStream() bool { return true }

// Read takes up to len(b) bytes, or in packet mode one packet. EAGAIN when
// there are none but writers, EBADF when the end is not for reading.
func (e *End) Read(_ context.Context, b []byte, _ int64) (int, error) {
	if !e.read {
		return 0, syscall.EBADF
	}
	p := e.pipe
	p.mu.Lock()
	if p.host != nil {
		defer p.mu.Unlock()
		return p.host.read(b)
	}
	n, freed, err := p.readBytes(b)
	p.mu.Unlock()
	if freed {
		p.queue.Notify(vfs.EventsOut)
	}
	return n, err
}

// Write adds as much of b as there is room for; up to Atomic bytes are written
// as a whole or not at all. EAGAIN when there is no room, EPIPE when there is
// no reader, EBADF when the end is not for writing.
func (e *End) Write(_ context.Context, b []byte, _ int64) (int, error) {
	if !e.write {
		return 0, syscall.EBADF
	}
	p := e.pipe
	packet := e.packet.Load()
	p.mu.Lock()
	if p.host != nil {
		defer p.mu.Unlock()
		return p.host.write(b, packet)
	}
	n, err := p.writeBytes(b, packet)
	p.mu.Unlock()
	if n > 0 {
		// Also when it was not empty: edge-triggered watchers count on it.
		p.queue.Notify(vfs.EventsIn)
	}
	return n, err
}

// Poll implements vfs.Pollable.
func (e *End) Poll(mask vfs.Events) vfs.Events {
	p := e.pipe
	var ev vfs.Events
	p.mu.Lock()
	if p.host != nil {
		defer p.mu.Unlock()
		return p.host.poll(e, mask)
	}
	if e.read {
		if p.readable() {
			ev |= vfs.EventsIn
		}
		if p.writers == 0 && e.writerGen != p.writerGen {
			ev |= vfs.EventHup
		}
	}
	if e.write {
		if !p.full() {
			ev |= vfs.EventsOut
		}
		if p.readers == 0 {
			ev |= vfs.EventErr
		}
	}
	p.mu.Unlock()
	return ev & (mask | vfs.EventErr | vfs.EventHup)
}

// Watch implements vfs.Pollable.
func (e *End) Watch(w *vfs.Waiter) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host != nil {
		p.host.watcher.Watch(w)
		return
	}
	p.queue.Watch(w)
}

// Unwatch implements vfs.Pollable.
func (e *End) Unwatch(w *vfs.Waiter) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host != nil {
		p.host.watcher.Unwatch(w)
		return
	}
	p.queue.Unwatch(w)
}

// CatchUp has waiters hear at once of what processes have done by themselves.
func (e *End) CatchUp() {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host != nil {
		p.host.watcher.CatchUp()
	}
}

// Close closes the end. The bytes go when the last end of either kind does.
func (e *End) Close() error {
	p := e.pipe
	if e.fifos != nil {
		e.fifos.mu.Lock()
		defer e.fifos.mu.Unlock()
	}
	p.mu.Lock()
	if e.read {
		p.readers--
	}
	if e.write {
		p.writers--
	}
	p.files--
	if p.host != nil {
		_ = p.sides() // which opens nothing
	}
	if p.files == 0 {
		p.slots.clear()
		if e.fifos != nil {
			delete(e.fifos.pipes, p.node)
		}
	}
	hup := (p.readers == 0) != (p.writers == 0)
	p.mu.Unlock()
	if hup {
		p.queue.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventErr | vfs.EventHup)
	}
	return nil
}

// Buffered returns the number of bytes in the pipe (FIONREAD).
func (e *End) Buffered() int {
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	if h := e.pipe.host; h != nil {
		return h.buffered()
	}
	return e.pipe.slots.bytes
}

// SetPacket turns packet mode (O_DIRECT) for writes through this end on or off.
func (e *End) SetPacket(on bool) {
	e.packet.Store(on)
	if on {
		e.pipe.mu.Lock()
		defer e.pipe.mu.Unlock()
		e.pipe.ours = true // unless it is the host's by now: see hosted.write
	}
}

// Size returns the capacity in bytes (F_GETPIPE_SZ).
func (e *End) Size() int {
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	return int(e.pipe.max) * pageSize
}

// SetSize sets the capacity to size rounded up to a power-of-two number of
// pages, and returns it (F_SETPIPE_SZ). EINVAL when size is out of range, EPERM
// when it grows past MaxSize without privilege (CAP_SYS_RESOURCE), EBUSY when
// the contents would not fit.
func (e *End) SetSize(size int, privileged bool) (int, error) {
	if size < 0 || size > 1<<31 {
		return 0, syscall.EINVAL
	}
	n := uint32(1)
	if size > pageSize {
		n = 1 << bits.Len32(uint32(size-1)/pageSize)
	}
	p := e.pipe
	p.mu.Lock()
	if n > p.max && int(n)*pageSize > MaxSize && !privileged {
		p.mu.Unlock()
		return 0, syscall.EPERM
	}
	if h := p.host; h != nil {
		_, err := unix.FcntlInt(uintptr(max(h.r, h.w)), unix.F_SETPIPE_SZ, int(n)*pageSize)
		if err == nil {
			p.max = n
		}
		p.mu.Unlock()
		return int(n) * pageSize, err
	}
	if p.slots.len()+p.reserved > n {
		p.mu.Unlock()
		return 0, syscall.EBUSY
	}
	room := p.full()
	p.max = n
	room = room && !p.full()
	p.mu.Unlock()
	if room {
		p.queue.Notify(vfs.EventsOut)
	}
	return int(n) * pageSize, nil
}

// Ioctl implements vfs.Ioctler: FIONREAD.
func (e *End) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if cmd != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(e.Buffered()))
	return 0, arg.WriteAt(b[:], 0)
}
