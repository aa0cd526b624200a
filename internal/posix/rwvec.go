package posix

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func sysReadv(t *Task, a *Args) (uint64, error) {
	return t.vector(a, &transfer{}, false)
}

func sysWritev(t *Task, a *Args) (uint64, error) {
	return t.vector(a, &transfer{}, true)
}

func sysPreadv(t *Task, a *Args) (uint64, error)  { return t.vectorAt(a, 0, false) }
func sysPwritev(t *Task, a *Args) (uint64, error) { return t.vectorAt(a, 0, true) }

func sysPreadv2(t *Task, a *Args) (uint64, error)  { return t.vectorFlags(a, false) }
func sysPwritev2(t *Task, a *Args) (uint64, error) { return t.vectorFlags(a, true) }

func (t *Task) vectorFlags(a *Args, write bool) (uint64, error) {
	flags := a.Int(5)
	if flags&^(rwHipri|rwDsync|rwSync|rwNowait|rwAppend|rwNoappend) != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	if flags&rwAppend != 0 && flags&rwNoappend != 0 {
		return 0, syscall.EINVAL
	}
	return t.vectorAt(a, flags, write)
}

// vectorAt takes the offset from the fourth argument: on 64 bits the fifth does
// not count. In the second versions -1 is the description's own.
func (t *Task) vectorAt(a *Args, flags int, write bool) (uint64, error) {
	second := t.nr == unix.SYS_PREADV2 || t.nr == unix.SYS_PWRITEV2
	if int64(a[3]) < 0 && !(second && int64(a[3]) == -1) {
		return 0, syscall.EINVAL
	}
	x := &transfer{off: int64(a[3]), flags: flags, at: int64(a[3]) != -1}
	if !x.at {
		x.off = 0
	}
	return t.vector(a, x, write)
}

func (t *Task) vector(a *Args, x *transfer, write bool) (uint64, error) {
	// A bad descriptor is told before bad memory.
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	ok := d.canRead
	if write {
		ok = d.canWrite
	}
	allowed := ok()
	d.release()
	if !allowed {
		return 0, syscall.EBADF
	}
	if x.mem, err = t.copyInVec(a[1], a[2]); err != nil {
		return 0, err
	}
	if write {
		return t.writeFD(a.Int(0), x)
	}
	return t.readFD(a.Int(0), x)
}
