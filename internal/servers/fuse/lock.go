package fuse

import (
	"context"
	"errors"
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
	before := f.n.locking(l.Owner)
	r.late = func(_ []byte, err error) {
		// Nobody waits for it any more. What its owner has got by another call
		// meanwhile is not to be taken away.
		if got := f.n.locked(l.Owner, 0); err == nil && got == before {
			undo := l
			undo.Type = unix.F_UNLCK
			f.n.fs.conn.send(f.lockRequest(opSetlk, undo))
		}
	}
	err := f.n.fs.conn.call(ctx, r)
	switch {
	case err == nil:
		f.n.locked(l.Owner, 1)
	case !errors.Is(err, vfs.ErrInDoubt): // else it is late's turn
		f.n.locked(l.Owner, 0)
	}
	return err
}

// lockings are calls for locks of one owner that are not over, and how many ended
// with one since the first of them began.
type lockings struct{ calls, got int }

// locking notes that a call for a lock begins, and returns how many its owner has
// got.
func (n *node) locking(owner uint64) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.locks == nil {
		n.locks = map[uint64]lockings{}
	}
	l := n.locks[owner]
	l.calls++
	n.locks[owner] = l
	return l.got
}

// locked notes that a call for a lock is over, with more locks got, and returns how
// many its owner had got before.
func (n *node) locked(owner uint64, more int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.locks[owner]
	before := l.got
	l.calls--
	l.got += more
	if n.locks[owner] = l; l.calls <= 0 {
		delete(n.locks, owner)
	}
	return before
}
