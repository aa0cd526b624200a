package host

import (
	"context"
	"syscall"
	"unsafe"

	"github.com/hati-os/hati/cancel"
	"golang.org/x/sys/unix"
)

const statMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME

// statx is statx(2) without the allocation that unix.Statx makes for the name:
// it is called for every component of every path.
func statx(dirfd int, name string, flags int, st *unix.Statx_t) error {
	var buf [256]byte // NAME_MAX and the NUL
	if len(name) >= len(buf) {
		// Some file systems count characters, not bytes.
		for {
			if err := unix.Statx(dirfd, name, flags, statMask, st); err != unix.EINTR {
				return err
			}
		}
	}
	copy(buf[:], name)
	for {
		_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(&buf[0])),
			uintptr(flags), statMask, uintptr(unsafe.Pointer(st)), 0)
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return e
		}
	}
}

// appendAt is a write at the end of the file, exact whatever others append
// (pwritev2(2) with RWF_APPEND), that moves the descriptor's own offset.
func appendAt(fd int, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	const off = ^uintptr(0) // -1, as two halves where words are short
	n, _, e := syscall.Syscall6(unix.SYS_PWRITEV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1,
		off, off, unix.RWF_APPEND)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// copyRange is copy_file_range(2).
func copyRange(ctx context.Context, from int, off *int64, to int, toOff *int64, n int) (int, error) {
	done, _, err := cancel.Syscall(ctx, unix.SYS_COPY_FILE_RANGE, uintptr(from), uintptr(unsafe.Pointer(off)),
		uintptr(to), uintptr(unsafe.Pointer(toOff)), uintptr(n), 0)
	return int(done), err
}
