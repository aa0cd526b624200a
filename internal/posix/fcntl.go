package posix

import (
	"math"
	"syscall"

	"github.com/hati-os/hati/internal/servers/pipe"
	"golang.org/x/sys/unix"
)

// Commands of fcntl(2) that x/sys/unix lacks.
const (
	fDupfdQuery   = 1024 + 3
	fCreatedQuery = 1024 + 4
	longestHint   = 5 // RWH_WRITE_LIFE_EXTREME
	dnMultishot   = 1 << 31
)

// sealer is a memory file with seals.
type sealer interface {
	AddSeals(seals uint32) error
	Seals() uint32
}

func sysFcntl(t *Task, a *Args) (uint64, error) {
	fd, cmd, arg := a.Int(0), a.Int(1), a[2]
	d, err := t.fds.getAny(fd)
	if err != nil {
		return 0, err
	}
	defer d.release()
	switch cmd {
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC:
		if int(int32(arg)) < 0 || uint64(uint32(arg)) >= t.proc.limit(unix.RLIMIT_NOFILE) {
			return 0, syscall.EINVAL
		}
		return t.dupFrom(fd, int(int32(arg)), cmd == unix.F_DUPFD_CLOEXEC)
	case unix.F_GETFD:
		if t.fds.closeOnExec(fd) {
			return unix.FD_CLOEXEC, nil
		}
		return 0, nil
	case unix.F_SETFD:
		t.fds.setCloseOnExec(fd, fd, arg&unix.FD_CLOEXEC != 0)
		return 0, nil
	case unix.F_GETFL:
		return uint64(d.flags.Load()), nil
	case fDupfdQuery:
		o, err := t.fds.getAny(int(int32(arg)))
		if err != nil {
			return 0, err
		}
		defer o.release()
		if o == d {
			return 1, nil
		}
		return 0, nil
	}
	if d.isPath {
		return 0, syscall.EBADF
	}
	switch cmd {
	case unix.F_SETFL:
		return 0, t.setStatus(d, fd, uint32(arg))
	case unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW:
		return 0, t.fcntlLock(d, fd, cmd, arg)
	case unix.F_SETOWN, unix.F_GETOWN, unix.F_SETOWN_EX, unix.F_GETOWN_EX, unix.F_SETSIG, unix.F_GETSIG, fGetOwnerUIDs:
		return t.fcntlOwner(d, cmd, arg)
	case unix.F_GETPIPE_SZ, unix.F_SETPIPE_SZ:
		return t.pipeSize(d, cmd, arg)
	case unix.F_ADD_SEALS, unix.F_GET_SEALS:
		s, ok := d.file.(sealer)
		switch {
		case !ok:
			return 0, syscall.EINVAL
		case cmd == unix.F_GET_SEALS:
			return uint64(s.Seals()), nil
		case !d.canWrite():
			return 0, syscall.EPERM
		}
		return 0, s.AddSeals(uint32(arg))
	case unix.F_GETLEASE:
		return unix.F_UNLCK, nil
	case unix.F_SETLEASE:
		if int(int32(arg)) == unix.F_UNLCK {
			return 0, syscall.EAGAIN // there is none
		}
		t.k.miss(t, "fcntl F_SETLEASE")
		return 0, syscall.EINVAL
	case unix.F_NOTIFY:
		return 0, t.dnotify(d, uint32(arg))
	case unix.F_GET_RW_HINT, unix.F_GET_FILE_RW_HINT:
		return 0, t.copyOutUint64(arg, 0)
	case unix.F_SET_RW_HINT, unix.F_SET_FILE_RW_HINT:
		h, err := t.copyInUint64(arg)
		if err == nil && h > longestHint {
			err = syscall.EINVAL
		}
		return 0, err
	case fCreatedQuery:
		if d.isNew {
			return 1, nil
		}
		return 0, nil
	}
	t.k.miss(t, "fcntl command "+utoa(uint64(cmd)))
	return 0, syscall.EINVAL
}

// dnotify is F_NOTIFY, of which only the end of a notification is there:
// inotify(7) has long replaced the rest.
func (t *Task) dnotify(d *Description, events uint32) error {
	switch {
	case d.path.d.dir == nil:
		return syscall.ENOTDIR
	case events&^dnMultishot == 0:
		return nil
	}
	t.k.miss(t, "fcntl F_NOTIFY")
	return syscall.EINVAL
}

// setStatus is F_SETFL.
func (t *Task) setStatus(d *Description, fd int, flags uint32) error {
	const mask = unix.O_APPEND | unix.O_NONBLOCK | unix.O_DIRECT | unix.O_NOATIME
	old := d.flags.Load()
	if flags&unix.O_NOATIME != 0 && old&unix.O_NOATIME == 0 {
		a, err := d.file.Node().Stat(t.context())
		if err != nil {
			return err
		}
		if !t.creds.Load().owns(&a) {
			return syscall.EPERM
		}
	}
	if (flags^old)&unix.O_DIRECT != 0 {
		if e, ok := d.file.(*pipe.End); ok {
			if err := t.unhost(e); err != nil {
				return err
			}
			e.SetPacket(flags&unix.O_DIRECT != 0)
		}
	}
	if s, ok := d.file.(statusSetter); ok {
		s.SetStatus(int(flags & statusFlags))
	}
	if (flags^old)&unix.O_ASYNC != 0 {
		t.setAsync(d, fd, flags&unix.O_ASYNC != 0)
	}
	return t.changeFlags(d, mask, flags)
}

// statusSetter is a file that must hear of O_NONBLOCK and O_APPEND as F_SETFL
// changes them.
type statusSetter interface{ SetStatus(flags int) }

func (t *Task) pipeSize(d *Description, cmd int, arg uint64) (uint64, error) {
	e, ok := d.file.(*pipe.End)
	if !ok {
		return 0, syscall.EBADF
	}
	if cmd == unix.F_GETPIPE_SZ {
		return uint64(e.Size()), nil
	}
	if arg > math.MaxInt32 {
		return 0, syscall.EINVAL
	}
	n, err := e.SetSize(int(arg), t.creds.Load().has(unix.CAP_SYS_RESOURCE))
	return uint64(n), err
}
