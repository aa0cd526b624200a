package fuse

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Locks are the daemon's if it has said so in INIT; else POSIX keeps them, which
// ENOSYS asks it to.

// lockRequest is GETLK, SETLK or SETLKW.
func (f *file) lockRequest(op uint32, l vfs.Lock) *request {
	flags := uint32(0)
	if l.Flock {
		flags = lkFlock
	}
	pid := uint32(max(l.PID, 0))
	if l.Type == unix.F_UNLCK {
		pid = 0
	}
	r := newRequest(op, f.n.id)
	r.in = r.enc().u64(f.fh, l.Owner, uint64(l.Start), uint64(l.End)).u32(uint32(uint16(l.Type)), pid, flags, 0).b
	return r
}

// someFile returns an open file of the node, for who has only that.
func (n *regular) someFile() *file {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range n.opens {
		return f
	}
	return nil
}

// GetLock is that of an open file; ENOSYS when none is open.
func (n *regular) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	if f := n.someFile(); f != nil {
		return f.GetLock(ctx, l)
	}
	return l, syscall.ENOSYS
}

// SetLock likewise.
func (n *regular) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	if f := n.someFile(); f != nil {
		return f.SetLock(ctx, l, wait)
	}
	return syscall.ENOSYS
}

// keepsLocks reports whether the daemon keeps locks of that kind.
func (f *file) keepsLocks(l *vfs.Lock) bool {
	if f.noHandle {
		return false
	}
	if l.Flock {
		return f.n.fs.has(initFlockLocks)
	}
	return f.n.fs.has(initPosixLocks)
}

// GetLock returns a lock that is in l's way.
func (f *file) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	if err := f.n.fs.allowed(ctx); err != nil {
		return l, err
	}
	if !f.keepsLocks(&l) {
		return l, syscall.ENOSYS
	}
	r := f.lockRequest(opGetlk, l)
	r.max = 24
	if err := f.n.fs.conn.call(ctx, r); err != nil {
		return l, err
	}
	d := decoder{b: r.body}
	start, end, kind, pid := d.u64(), d.u64(), d.u32(), d.u32()
	switch {
	case d.bad:
		return l, f.n.fs.bad(opGetlk)
	case kind == unix.F_UNLCK:
		l.Type = unix.F_UNLCK
	case kind != unix.F_RDLCK && kind != unix.F_WRLCK || start > end || end > 1<<63-1:
		return l, syscall.EIO
	default:
		l.Type, l.Start, l.End, l.PID = int16(kind), int64(start), int64(end), int32(pid)
	}
	r.free()
	return l, nil
}

// SetLock sets or removes a lock, and waits for it if wait is set.
func (f *file) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	if err := f.n.fs.permitted(ctx); err != nil && l.Type != unix.F_UNLCK {
		return err
	}
	if !f.keepsLocks(&l) {
		return syscall.ENOSYS
	}
	op := uint32(opSetlk)
	if wait && l.Type != unix.F_UNLCK {
		op = opSetlkw
	}
	r := f.lockRequest(op, l)
	if l.Type == unix.F_UNLCK {
		return f.n.fs.conn.call(ctx, r)
	}
	before := f.n.locked(l.Owner, 0)
	r.late = func(_ []byte, err error) {
		// Nobody waits for it any more. What its owner has got by another call
		// meanwhile is not to be taken away.
		if err == nil && f.n.locked(l.Owner, 0) == before {
			undo := l
			undo.Type = unix.F_UNLCK
			f.n.fs.conn.send(f.lockRequest(opSetlk, undo))
		}
	}
	err := f.n.fs.conn.call(ctx, r)
	if err == nil {
		f.n.locked(l.Owner, 1)
	}
	return err
}

// locked counts locks that an owner has got, and returns how many up to now.
func (n *node) locked(owner uint64, more int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if more > 0 {
		if n.locks == nil {
			n.locks = map[uint64]int{}
		}
		n.locks[owner] += more
	}
	return n.locks[owner]
}
