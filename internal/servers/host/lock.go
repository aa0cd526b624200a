package host

import (
	"context"
	"math"
	"syscall"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// SharedLocks returns the host's locks, which other processes of the host have
// part in. Without the right to write there are none: locks of those who only
// read order nothing on the host, and must not hold up its processes.
func (f *file) SharedLocks() vfs.Locker {
	if f.node.fs.readOnly {
		return nil
	}
	return (*locks)(f)
}

// locks are the host's locks of an open file. Each owner has an open file
// description of the host, as all owners are one process there. That of a guest's
// description is the file's own. A guest's process has one of its own while it
// has locks.
type locks file

// ofdPID is what locks of open file descriptions have for a PID.
const ofdPID = -1

// lockOwner is a guest process that has, or waits for, record locks of a file.
type lockOwner struct {
	fd    int
	users int  // calls under way
	holds bool // perhaps has locks
}

// SetLock is flock(2) or F_OFD_SETLK. Only waiting looks at ctx.
func (k *locks) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	f := (*file)(k)
	if l.Flock || l.PID == ofdPID {
		fd, err := f.use()
		if err != nil {
			return err
		}
		defer f.put()
		return hostLock(ctx, fd, &l, wait)
	}
	r := f.node.self.(*regular)
	o, err := r.lockOwner(f, &l)
	if o == nil {
		return err
	}
	err = hostLock(ctx, o.fd, &l, wait)
	if err == syscall.EBADF {
		err = syscall.ENOLCK // the guest's descriptor would do, not what could be opened for its process
	}
	r.doneLocking(o, &l, err)
	return err
}

// GetLock is F_OFD_GETLK.
func (k *locks) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	f := (*file)(k)
	if l.Flock {
		return l, syscall.EINVAL
	}
	fd, err := f.use()
	if err != nil {
		return l, err
	}
	defer f.put()
	if l.PID != ofdPID {
		r := f.node.self.(*regular)
		if o := r.knownOwner(&l, -1); o != nil {
			fd = o.fd
			defer r.doneLocking(o, &l, syscall.EAGAIN)
		}
	}
	h := hostRange(&l)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &h); err != nil {
		return l, err
	}
	if l.Type = h.Type; h.Type == unix.F_UNLCK {
		return l, nil
	}
	l.Start, l.End, l.PID = h.Start, math.MaxInt64, 0
	if h.Len != 0 {
		l.End = h.Start + h.Len - 1
	}
	if h.Pid < 0 {
		l.PID = ofdPID
	}
	return l, nil
}

// lockOwner returns the owner of l, for one call. It is nil without an error
// when there is nothing to unlock.
func (r *regular) lockOwner(f *file, l *vfs.Lock) (*lockOwner, error) {
	if o := r.knownOwner(l, -1); o != nil || l.Type == unix.F_UNLCK {
		return o, nil
	}
	fd, err := f.lockFD()
	if err != nil {
		return nil, err
	}
	o := r.knownOwner(l, fd)
	if o.fd != fd {
		unix.Close(fd) // another thread of the owner was faster
	}
	return o, nil
}

// knownOwner returns the owner of l, for one call. If there is none it makes one
// with the descriptor fd, unless that is -1.
func (r *regular) knownOwner(l *vfs.Lock, fd int) *lockOwner {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[l.Owner]
	if o == nil {
		if fd < 0 {
			return nil
		}
		if r.owners == nil {
			r.owners = make(map[uint64]*lockOwner)
		}
		o = &lockOwner{fd: fd}
		r.owners[l.Owner] = o
	}
	o.users++
	return o
}

// doneLocking ends a call of the owner of l. An owner that has let everything go
// needs its descriptor no more.
func (r *regular) doneLocking(o *lockOwner, l *vfs.Lock, err error) {
	r.mu.Lock()
	o.users--
	if err == nil {
		o.holds = l.Type != unix.F_UNLCK || o.holds && (l.Start > 0 || l.End < math.MaxInt64)
	}
	idle := o.users == 0 && !o.holds
	if idle {
		delete(r.owners, l.Owner)
	}
	r.mu.Unlock()
	if idle {
		unix.Close(o.fd)
	}
}

// lockFD opens f anew, for both kinds of locks if possible, as a process has its
// locks by whichever of its descriptors. Where the host does not let us, for the
// file was made with a mode that says so, f's own description has to do; then
// locks of the guest's description and of its process are one thing to others.
func (f *file) lockFD() (int, error) {
	old, err := f.use()
	if err != nil {
		return -1, err
	}
	defer f.put()
	// A lease is not worth a wait.
	for _, flags := range []int{unix.O_RDWR, f.access} {
		fd, err := f.node.fs.open(context.Background(), unix.AT_FDCWD, procPath(old), flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err == nil {
			return fd, nil
		}
	}
	fd, err := unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, syscall.ENOLCK
	}
	return fd, nil
}

// hostLock sets or removes a lock of the description fd.
func hostLock(ctx context.Context, fd int, l *vfs.Lock, wait bool) error {
	if l.Flock {
		how := unix.LOCK_SH
		switch l.Type {
		case unix.F_WRLCK:
			how = unix.LOCK_EX
		case unix.F_UNLCK:
			how = unix.LOCK_UN
		}
		if wait {
			return vfs.Waits(cancel.Flock(ctx, fd, how))
		}
		return atOnce(func() error { return unix.Flock(fd, how|unix.LOCK_NB) })
	}
	h := hostRange(l)
	if wait {
		return vfs.Waits(cancel.FcntlFlock(ctx, uintptr(fd), unix.F_OFD_SETLKW, &h))
	}
	err := atOnce(func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &h) })
	if err == syscall.EACCES {
		err = syscall.EAGAIN // fcntl(2) allows both
	}
	return err
}

// atOnce makes a call that does not wait; signals to us are nothing to it.
func atOnce(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

func hostRange(l *vfs.Lock) unix.Flock_t {
	h := unix.Flock_t{Type: l.Type, Whence: unix.SEEK_SET, Start: l.Start}
	if l.End != math.MaxInt64 {
		h.Len = l.End - l.Start + 1
	}
	return h
}
