package hostio

import (
	"unsafe"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// at is the offset -1 of preadv2 and pwritev2: the description's own.
const at = ^uintptr(0)

func vectored(trap uintptr, fd int, p []byte, flags uintptr) (int, error) {
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	n, _, e := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, at, at, flags)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func preadNow(fd int, p []byte) (int, error) {
	return vectored(unix.SYS_PREADV2, fd, p, unix.RWF_NOWAIT)
}

func pwriteNow(fd int, p []byte) (int, error) {
	return vectored(unix.SYS_PWRITEV2, fd, p, unix.RWF_NOWAIT)
}

func pwriteAppend(fd int, p []byte) (int, error) {
	return vectored(unix.SYS_PWRITEV2, fd, p, unix.RWF_APPEND)
}

// recvNow is recvfrom(2) without the address, which needs memory.
func recvNow(fd int, p []byte) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// ioctlBuf is ioctl(2) with an address that the host reads or writes. buf must
// be as large as cmd wants.
func ioctlBuf(fd int, cmd uint32, buf []byte) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))))
	if e != 0 {
		return e
	}
	return nil
}

// ioctlValue is ioctl(2) with a number.
func ioctlValue(fd int, cmd uint32, v uint64) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(v))
	if e != 0 {
		return e
	}
	return nil
}

// setTimes is futimens(2).
func setTimes(fd int, s vfs.SetAttr) error {
	if s.Valid&(vfs.SetAtime|vfs.SetMtime) == 0 {
		return nil
	}
	ts := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if s.Valid&vfs.SetAtime != 0 {
		ts[0] = unix.Timespec(s.Atime)
	}
	if s.Valid&vfs.SetMtime != 0 {
		ts[1] = unix.Timespec(s.Mtime)
	}
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
