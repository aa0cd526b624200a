package posix

import (
	"encoding/binary"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// sysUtime: struct utimbuf has seconds only.
func sysUtime(t *Task, a *Args) (uint64, error) {
	if a[1] == 0 {
		return 0, t.utimesAt(unix.AT_FDCWD, a[0], nil, 0)
	}
	var b [16]byte
	if err := t.copyIn(a[1], b[:]); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	times := [2]abi.Timespec{{Sec: int64(le.Uint64(b[:]))}, {Sec: int64(le.Uint64(b[8:]))}}
	return 0, t.utimesAt(unix.AT_FDCWD, a[0], &times, 0)
}

func sysUtimes(t *Task, a *Args) (uint64, error) {
	return 0, t.utimevals(unix.AT_FDCWD, a[0], a[1])
}

func sysFutimesat(t *Task, a *Args) (uint64, error) {
	return 0, t.utimevals(a.Int(0), a[1], a[2])
}

func (t *Task) utimevals(dirfd int, path, at uint64) error {
	var times *[2]abi.Timespec
	if at != 0 {
		var b [2 * abi.SizeTimeval]byte
		if err := t.copyIn(at, b[:]); err != nil {
			return err
		}
		times = new([2]abi.Timespec)
		for i := range times {
			var v abi.Timeval
			v.Decode(b[i*abi.SizeTimeval:])
			if v.Usec < 0 || v.Usec >= 1e6 {
				return syscall.EINVAL
			}
			times[i] = abi.Timespec{Sec: v.Sec, Nsec: v.Usec * 1000}
		}
	}
	if path == 0 {
		return t.utimesFD(dirfd, times)
	}
	return t.utimesAt(dirfd, path, times, 0)
}

func sysUtimensat(t *Task, a *Args) (uint64, error) {
	flags := a.Int(3)
	var times *[2]abi.Timespec
	if a[2] != 0 {
		var b [2 * abi.SizeTimespec]byte
		if err := t.copyIn(a[2], b[:]); err != nil {
			return 0, err
		}
		times = new([2]abi.Timespec)
		times[0].Decode(b[:])
		times[1].Decode(b[abi.SizeTimespec:])
		if times[0].Nsec == unix.UTIME_OMIT && times[1].Nsec == unix.UTIME_OMIT {
			return 0, nil
		}
	}
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	if a[1] == 0 && a.Int(0) != unix.AT_FDCWD {
		if flags != 0 {
			return 0, syscall.EINVAL
		}
		return 0, t.utimesFD(a.Int(0), times)
	}
	return 0, t.utimesAt(a.Int(0), a[1], times, flags)
}

func (t *Task) utimesFD(fd int, times *[2]abi.Timespec) error {
	d, err := t.fds.get(fd)
	if err != nil {
		return err
	}
	defer d.release()
	return t.setTimes(d.located(), d.file, times)
}

func (t *Task) utimesAt(dirfd int, path uint64, times *[2]abi.Timespec, flags int) error {
	l, err := t.lookupArg(dirfd, path, flags)
	if err != nil {
		return err
	}
	return t.setTimes(&l, nil, times)
}

// setTimes sets both times; nil is now. Those who can write a file may set now,
// anything else only the owner.
func (t *Task) setTimes(l *located, f vfs.File, times *[2]abi.Timespec) error {
	now := syscall.NsecToTimespec(time.Now().UnixNano())
	s := vfs.SetAttr{Valid: vfs.SetAtime | vfs.SetMtime, Atime: now, Mtime: now}
	onlyNow := true
	if times != nil {
		for i, to := range []*syscall.Timespec{&s.Atime, &s.Mtime} {
			switch v := times[i]; {
			case v.Nsec == unix.UTIME_NOW:
			case v.Nsec == unix.UTIME_OMIT:
				onlyNow = false
				s.Valid &^= vfs.SetAtime << i
			case v.Nsec < 0 || v.Nsec >= 1e9:
				return syscall.EINVAL
			default:
				onlyNow = false
				*to = syscall.Timespec(v)
			}
		}
	}
	a, err := t.attrToChange(l)
	if err != nil {
		return err
	}
	if c := t.creds.Load(); !c.owns(&a) {
		if !onlyNow {
			return syscall.EPERM
		}
		if err := c.may(&a, mayWrite); err != nil {
			return err
		}
	}
	return t.setAttr(l, f, s)
}
