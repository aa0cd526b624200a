package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Commands of ioctl(2) for files of any kind that x/sys/unix lacks.
const (
	fioNBIO  = 0x5421
	fioNREAD = 0x541b
	figetbsz = 2
)

// ioctlArg is the third argument, as servers get it.
type ioctlArg struct {
	t *Task
	v uint64
}

func (a ioctlArg) Value() uint64                  { return a.v }
func (a ioctlArg) ReadAt(p []byte, off int) error { return a.t.copyIn(a.v+uint64(off), p) }
func (a ioctlArg) WriteAt(p []byte, off int) error {
	return a.t.copyOut(a.v+uint64(off), p)
}

func sysIoctl(t *Task, a *Args) (uint64, error) {
	fd, cmd, arg := a.Int(0), a.Uint(1), a[2]
	d, err := t.fds.get(fd)
	if err != nil {
		return 0, err
	}
	defer d.release()
	switch cmd {
	case abi.FIOCLEX, abi.FIONCLEX:
		t.fds.setCloseOnExec(fd, fd, cmd == abi.FIOCLEX)
		return 0, nil
	case fioNBIO, abi.FIOASYNC:
		on, err := t.copyInUint32(arg)
		if err != nil {
			return 0, err
		}
		flag := uint32(unix.O_NONBLOCK)
		if cmd == abi.FIOASYNC {
			if flag = unix.O_ASYNC; d.poll == nil {
				return 0, syscall.ENOTTY
			}
		}
		flags := d.flags.Load() &^ flag
		if on != 0 {
			flags |= flag
		}
		return 0, t.setStatus(d, fd, flags)
	}
	if d.tty != nil {
		if done, err := t.terminalIoctl(d, cmd, arg); done || err != nil {
			return 0, err
		}
	}
	if d.sock != nil || d.net != nil {
		if done, err := t.ownerIoctl(d, cmd, arg); done {
			return 0, err
		}
	}
	if i, ok := d.file.(vfs.Ioctler); ok {
		n, err := i.Ioctl(t.context(), cmd, ioctlArg{t, arg})
		if errnoOf(err) != syscall.ENOTTY {
			return uint64(n), err
		}
	}
	if (d.sock != nil || d.net != nil) && cmd>>8 == socketIoctls {
		return 0, t.interfaceIoctl(d, cmd, arg)
	}
	return 0, t.fileIoctl(d, cmd, arg)
}

// fileIoctl has what files of a file system have without their server's help.
func (t *Task) fileIoctl(d *Description, cmd uint32, arg uint64) error {
	switch cmd {
	case fioNREAD, abi.FIOQSIZE, figetbsz:
	case unix.FICLONE, unix.FICLONERANGE, unix.FIDEDUPERANGE:
		return syscall.EOPNOTSUPP
	default:
		return syscall.ENOTTY
	}
	a, err := d.file.Node().Stat(t.context())
	if err != nil {
		return err
	}
	switch {
	case cmd == figetbsz && (a.IsRegular() || a.IsDir()):
		return t.copyOutUint32(arg, a.Blksize)
	case cmd == abi.FIOQSIZE && (a.IsRegular() || a.IsDir()):
		return t.copyOutUint64(arg, uint64(a.Size))
	case cmd == fioNREAD && a.IsRegular():
		x := transfer{d: d}
		if err := t.lockOffset(&x); err != nil {
			return err
		}
		defer d.offset.unlock()
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], uint32(a.Size-x.off))
		return t.copyOut(arg, b[:])
	}
	return syscall.ENOTTY
}
