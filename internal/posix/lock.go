package posix

import (
	"math"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var lockCalls = calls{
	unix.SYS_FLOCK: {fn: sysFlock, blocks: interruptible},
}

func sysFlock(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	l := vfs.Lock{Flock: true, Owner: d.id, PID: int32(t.proc.pid), End: math.MaxInt64}
	op := a.Int(1)
	switch op &^ unix.LOCK_NB {
	case unix.LOCK_SH:
		l.Type = unix.F_RDLCK
	case unix.LOCK_EX:
		l.Type = unix.F_WRLCK
	case unix.LOCK_UN:
		l.Type = unix.F_UNLCK
	default:
		return 0, syscall.EINVAL
	}
	return 0, t.setLock(d, l, op&unix.LOCK_NB == 0)
}

// fcntlLock is fcntl's F_GETLK, F_SETLK, F_SETLKW and their OFD forms.
func (t *Task) fcntlLock(d *Description, fd, cmd int, arg uint64) error {
	var b [abi.SizeFlock]byte
	if err := t.copyIn(arg, b[:]); err != nil {
		return err
	}
	var f abi.Flock
	f.Decode(b[:])
	ofd := cmd == unix.F_OFD_GETLK || cmd == unix.F_OFD_SETLK || cmd == unix.F_OFD_SETLKW
	get := cmd == unix.F_GETLK || cmd == unix.F_OFD_GETLK
	l := vfs.Lock{Type: f.Type, Owner: t.fds.id, PID: int32(t.proc.pid)}
	if ofd {
		if f.PID != 0 {
			return syscall.EINVAL
		}
		l.Owner, l.PID = d.id, -1
	}
	switch f.Type {
	case unix.F_RDLCK:
		if !get && !d.canRead() {
			return syscall.EBADF
		}
	case unix.F_WRLCK:
		if !get && !d.canWrite() {
			return syscall.EBADF
		}
	case unix.F_UNLCK:
		if get && !ofd {
			return syscall.EINVAL
		}
	default:
		return syscall.EINVAL
	}
	var err error
	if l.Start, l.End, err = t.lockRange(d, &f); err != nil {
		return err
	}
	if get {
		return t.getLock(d, l, &f, arg)
	}
	if err := t.setLock(d, l, cmd == unix.F_SETLKW || cmd == unix.F_OFD_SETLKW); err != nil {
		return err
	}
	if !ofd && l.Type != unix.F_UNLCK {
		// Another thread may have closed the descriptor, which takes locks away,
		// before this one was there.
		now, err := t.fds.getAny(fd)
		if err == nil {
			now.release()
		}
		if now != d {
			t.k.mounts.locks.closed(t.fds.id, d)
			return syscall.EBADF
		}
	}
	return nil
}

// getLock tells of a lock that stands in the way of l.
func (t *Task) getLock(d *Description, l vfs.Lock, f *abi.Flock, arg uint64) error {
	n := d.file.Node()
	err := error(syscall.ENOSYS)
	if r := lockerOf(d); r != nil {
		var got vfs.Lock
		if got, err = r.GetLock(t.context(), l); err == nil {
			l = got
		}
	}
	if errnoOf(err) == syscall.ENOSYS {
		own := t.k.mounts.locks.get(n, l)
		if s := sharedLocks(d); s != nil && own.Type == unix.F_UNLCK && l.Type != unix.F_UNLCK {
			own, err = s.GetLock(t.context(), l)
		} else {
			err = nil
		}
		l = own
	}
	if err != nil {
		return err
	}
	f.Type = l.Type
	if l.Type != unix.F_UNLCK {
		f.Whence, f.Start, f.PID = unix.SEEK_SET, l.Start, l.PID
		f.Len = l.End - l.Start + 1
		if l.End == math.MaxInt64 {
			f.Len = 0
		}
	}
	var b [abi.SizeFlock]byte
	f.Encode(b[:])
	return t.copyOut(arg, b[:])
}

// lockRange returns the first and the last byte that f means.
func (t *Task) lockRange(d *Description, f *abi.Flock) (start, end int64, err error) {
	switch f.Whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		x := transfer{d: d}
		if err := t.lockOffset(&x); err != nil {
			return 0, 0, err
		}
		d.offset.unlock()
		start = x.off
	case unix.SEEK_END:
		a, err := d.file.Node().Stat(t.context())
		if err != nil {
			return 0, 0, err
		}
		start = a.Size
	default:
		return 0, 0, syscall.EINVAL
	}
	if f.Start > math.MaxInt64-start {
		return 0, 0, syscall.EOVERFLOW
	}
	if start += f.Start; start < 0 {
		return 0, 0, syscall.EINVAL
	}
	switch {
	case f.Len == 0:
		return start, math.MaxInt64, nil
	case f.Len > 0:
		if f.Len-1 > math.MaxInt64-start {
			return 0, 0, syscall.EOVERFLOW
		}
		return start, start + f.Len - 1, nil
	}
	if start+f.Len < 0 {
		return 0, 0, syscall.EINVAL
	}
	return start + f.Len, start - 1, nil
}

// setLock sets or removes a lock, here or at the file's server.
func (t *Task) setLock(d *Description, l vfs.Lock, wait bool) error {
	n, table := d.file.Node(), &t.k.mounts.locks
	if l.Owner == d.id {
		d.locks.Store(table)
	}
	if r := lockerOf(d); r != nil {
		err := r.SetLock(t.context(), l, wait)
		if err == nil && l.Type != unix.F_UNLCK {
			table.noteRemote(n, l)
		}
		if errnoOf(err) != syscall.ENOSYS {
			return err
		}
	}
	if s := sharedLocks(d); s != nil {
		return table.setShared(t, n, s, l, wait)
	}
	return table.set(t, n, l, wait)
}

// lockerOf returns who keeps the locks of d's file: nil for this server.
func lockerOf(d *Description) vfs.Locker {
	if l, ok := d.file.(vfs.Locker); ok {
		return l
	}
	l, _ := d.file.Node().(vfs.Locker)
	return l
}
