package fuse

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// OpenDevice opens /dev/fuse: what is opened becomes a daemon's channel when it is
// mounted. It is a driver for package dev.
func OpenDevice(_ context.Context, node vfs.Node, _ int) (vfs.File, error) {
	return &Channel{node: node}, nil
}

// Channel is an open /dev/fuse (fuse(4)). Reads take requests, writes answer
// them; each moves one message.
type Channel struct {
	node vfs.Node
	to   atomic.Pointer[session]
	// idle has those who wait before there is a mount.
	idle vfs.Queue
}

// session is what the channels of a daemon share. It ends with the last of them.
type session struct {
	fs *FS

	mu       sync.Mutex
	channels int
	backing  map[int32]*backing
	lastID   int32
}

// backing is a file that stands behind others (passthrough).
type backing struct {
	file vfs.File
	done func()
	uses atomic.Int32
}

// Mount makes the file system whose daemon has opened the channel; EINVAL when it
// has one already.
func (c *Channel) Mount(o Options) (*FS, error) {
	s := &session{channels: 1, backing: map[int32]*backing{}}
	o.Backing = s.open
	s.fs = newFS(o)
	if !c.to.CompareAndSwap(nil, s) {
		return nil, syscall.EINVAL
	}
	s.fs.begin()
	c.idle.Notify(vfs.EventsIn)
	return s.fs, nil
}

// Node returns the device.
func (c *Channel) Node() vfs.Node { return c.node }

// IsStream reports that there are no offsets.
func (c *Channel) IsStream() bool { return true }

// Close ends the mount when no other channel is left to its daemon.
func (c *Channel) Close() error {
	s := c.to.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.channels--
	last := s.channels == 0
	s.mu.Unlock()
	if last {
		s.fs.conn.abort(nil)
		s.closeAll()
	}
	return nil
}

// Read takes a request. EPERM before there is a mount, ENODEV after its end.
func (c *Channel) Read(_ context.Context, p []byte, _ int64) (int, error) {
	s := c.to.Load()
	if s == nil {
		return 0, syscall.EPERM
	}
	return s.fs.conn.next(p)
}

// Write answers a request.
func (c *Channel) Write(_ context.Context, p []byte, _ int64) (int, error) {
	s := c.to.Load()
	if s == nil {
		return 0, syscall.EPERM
	}
	if err := s.fs.conn.answer(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Poll tells whether there is a request to take, or will be none.
func (c *Channel) Poll(mask vfs.Events) vfs.Events {
	s := c.to.Load()
	if s == nil || s.fs.conn.lost.Load() {
		return vfs.EventErr
	}
	got := vfs.EventsOut
	if s.fs.conn.something() {
		got |= vfs.EventsIn
	}
	return got & mask
}

func (c *Channel) queue() *vfs.Queue {
	if s := c.to.Load(); s != nil {
		return &s.fs.conn.avail
	}
	return &c.idle
}

// Watch has w called when there may be something to take.
func (c *Channel) Watch(w *vfs.Waiter) { c.queue().Watch(w) }

// Unwatch ends that.
func (c *Channel) Unwatch(w *vfs.Waiter) {
	c.queue().Unwatch(w)
	c.idle.Unwatch(w)
}

// Message tells that a splice moves one message as a whole.
func (c *Channel) Message() bool { return true }

// Ioctls of /dev/fuse.
const (
	iocClone        = 0x8004e500
	iocBackingOpen  = 0x4010e501
	iocBackingClose = 0x4004e502
)

// Ioctl connects another open /dev/fuse to the mount (FUSE_DEV_IOC_CLONE), and
// manages backing files.
func (c *Channel) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	var b [16]byte
	switch cmd {
	case iocClone:
		if err := arg.ReadAt(b[:4], 0); err != nil {
			return 0, err
		}
		return 0, c.clone(ctx, int(int32(binary.LittleEndian.Uint32(b[:]))))
	case iocBackingOpen:
		if err := arg.ReadAt(b[:], 0); err != nil {
			return 0, err
		}
		s := c.to.Load()
		if s == nil {
			return 0, syscall.EPERM
		}
		if binary.LittleEndian.Uint32(b[4:]) != 0 || binary.LittleEndian.Uint64(b[8:]) != 0 {
			return 0, syscall.EINVAL
		}
		id, err := s.register(ctx, int(int32(binary.LittleEndian.Uint32(b[:]))))
		return uintptr(id), err
	case iocBackingClose:
		if err := arg.ReadAt(b[:4], 0); err != nil {
			return 0, err
		}
		s := c.to.Load()
		if s == nil {
			return 0, syscall.EPERM
		}
		return 0, s.unregister(int32(binary.LittleEndian.Uint32(b[:])))
	}
	return 0, syscall.ENOTTY
}

func (c *Channel) clone(ctx context.Context, fd int) error {
	f, done, err := vfs.FileOf(ctx, fd)
	if err != nil {
		return syscall.EINVAL
	}
	defer done()
	other, ok := f.(*Channel)
	if !ok {
		return syscall.EINVAL
	}
	s := other.to.Load()
	if s == nil {
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels == 0 || !c.to.CompareAndSwap(nil, s) {
		return syscall.EINVAL
	}
	s.channels++
	return nil
}

// mostBacking bounds the backing files of a daemon.
const mostBacking = 1 << 16

// register gives the file behind a descriptor an id.
func (s *session) register(ctx context.Context, fd int) (int32, error) {
	if !s.fs.has(initPassthrough) {
		return 0, syscall.EPERM
	}
	f, done, err := vfs.FileOf(ctx, fd)
	if err != nil {
		return 0, err
	}
	a, err := f.Node().Stat(ctx)
	_, reads := f.(vfs.Reader)
	switch {
	case err != nil:
	case !a.IsRegular() || !reads:
		err = syscall.EOPNOTSUPP
	case isFUSE(f):
		err = syscall.ELOOP // a stack of them
	}
	if err != nil {
		done()
		return 0, err
	}
	b := &backing{file: f, done: done}
	b.uses.Store(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.backing) >= mostBacking || s.channels == 0 {
		defer b.close()
		return 0, syscall.EMFILE
	}
	s.lastID++
	s.backing[s.lastID] = b
	return s.lastID, nil
}

func isFUSE(f vfs.File) bool {
	_, ok := f.(*file)
	return ok
}

func (s *session) unregister(id int32) error {
	s.mu.Lock()
	b := s.backing[id]
	delete(s.backing, id)
	s.mu.Unlock()
	if b == nil {
		return syscall.ENOENT
	}
	b.close()
	return nil
}

// open returns the file behind an id.
func (s *session) open(id int32) (vfs.File, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.backing[id]
	if b == nil {
		return nil, nil, syscall.ENOENT
	}
	b.uses.Add(1)
	return b.file, b.close, nil
}

func (s *session) closeAll() {
	s.mu.Lock()
	all := s.backing
	s.backing = nil
	s.mu.Unlock()
	for _, b := range all {
		b.close()
	}
}

// close gives a use back; the daemon's file is free with the last.
func (b *backing) close() {
	if b.uses.Add(-1) == 0 {
		b.done()
	}
}
