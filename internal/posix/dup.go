package posix

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

var descriptorCalls = calls{
	unix.SYS_OPEN:        {fn: again(sysOpen), blocks: interruptible},
	unix.SYS_OPENAT:      {fn: again(sysOpenat), blocks: interruptible},
	unix.SYS_OPENAT2:     {fn: again(sysOpenat2), blocks: interruptible},
	unix.SYS_CREAT:       {fn: again(sysCreat), blocks: interruptible},
	unix.SYS_CLOSE:       {fn: sysClose, blocks: killable},
	unix.SYS_CLOSE_RANGE: {fn: sysCloseRange, blocks: killable},
	unix.SYS_DUP:         {fn: sysDup},
	unix.SYS_DUP2:        {fn: sysDup2, blocks: killable},
	unix.SYS_DUP3:        {fn: sysDup3, blocks: killable},
	unix.SYS_FCNTL:       {fn: sysFcntl, blocks: interruptible},
	unix.SYS_IOCTL:       {fn: sysIoctl, blocks: interruptible},
}

// sysClose frees the number whatever happens, and is never interrupted.
func sysClose(t *Task, a *Args) (uint64, error) {
	err := t.closeFD(a.Int(0))
	if err != nil && errnoOf(err) == syscall.EINTR {
		return 0, nil
	}
	return 0, err
}

func sysCloseRange(t *Task, a *Args) (uint64, error) {
	first, last, flags := a.Uint(0), a.Uint(1), a.Uint(2)
	if flags&^(unix.CLOSE_RANGE_UNSHARE|unix.CLOSE_RANGE_CLOEXEC) != 0 || first > last {
		return 0, syscall.EINVAL
	}
	from, to := int(min(first, maxFDs)), int(min(last, math.MaxInt32))
	if flags&unix.CLOSE_RANGE_UNSHARE != 0 && t.fds.shared() {
		old := t.fds
		var own *FDTable
		if flags&unix.CLOSE_RANGE_CLOEXEC != 0 {
			own = old.fork()
		} else {
			own = old.forkBut(from, to)
		}
		t.k.mu.Lock()
		t.fds = own
		t.k.mu.Unlock()
		t.thread.UseGrants(false)
		if t.leaveFDs(old) {
			old.closeAll()
		}
	}
	if flags&unix.CLOSE_RANGE_CLOEXEC != 0 {
		t.fds.setCloseOnExec(from, to, true)
		return 0, nil
	}
	for fd := t.fds.next(from); fd >= 0 && fd <= to; fd = t.fds.next(fd + 1) {
		t.closeFD(fd)
	}
	return 0, nil
}

func sysDup(t *Task, a *Args) (uint64, error) {
	return t.dupFrom(a.Int(0), 0, false)
}

// dupFrom duplicates fd to the lowest free number from min on.
func (t *Task) dupFrom(fd, min int, cloexec bool) (uint64, error) {
	d, err := t.fds.getAny(fd)
	if err != nil {
		return 0, err
	}
	n, err := t.fds.reserve(min, t.proc.limit(unix.RLIMIT_NOFILE), cloexec)
	if err != nil {
		d.release()
		return 0, err
	}
	t.fds.install(n, d)
	return uint64(n), nil
}

func sysDup2(t *Task, a *Args) (uint64, error) {
	if a.Int(0) == a.Int(1) {
		d, err := t.fds.getAny(a.Int(0))
		if err != nil {
			return 0, err
		}
		d.release()
		return uint64(a.Int(0)), nil
	}
	return t.dupTo(a.Int(0), a.Int(1), false)
}

func sysDup3(t *Task, a *Args) (uint64, error) {
	if a.Int(2)&^unix.O_CLOEXEC != 0 || a.Int(0) == a.Int(1) {
		return 0, syscall.EINVAL
	}
	return t.dupTo(a.Int(0), a.Int(1), a.Int(2) != 0)
}

func (t *Task) dupTo(fd, to int, cloexec bool) (uint64, error) {
	limit := t.proc.limit(unix.RLIMIT_NOFILE)
	if to < 0 || uint64(to) >= limit {
		return 0, syscall.EBADF
	}
	d, err := t.fds.getAny(fd)
	if err != nil {
		return 0, err
	}
	old, err := t.fds.replace(to, d, cloexec, limit)
	if err != nil {
		d.release()
		return 0, err
	}
	if old != nil {
		t.fds.closed(t, old)
	}
	return uint64(to), nil
}
