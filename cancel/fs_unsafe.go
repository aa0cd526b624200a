package cancel

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Open is open(2). It waits at the FIFO that has no other side, at devices, at leases. A cancelled Open has made
// neither a descriptor nor a file.
func Open(ctx context.Context, path string, mode int, perm uint32) (fd int, err error) {
	return Openat(ctx, unix.AT_FDCWD, path, mode|unix.O_LARGEFILE, perm)
}

// Openat is openat(2); see Open.
func Openat(ctx context.Context, dirfd int, path string, flags int, mode uint32) (fd int, err error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	c := call{trap: unix.SYS_OPENAT}
	c.a[0], c.p[1], c.a[2], c.a[3] = uintptr(dirfd), unsafe.Pointer(name), uintptr(flags), uintptr(mode)
	return c.n(c.do(ctx))
}

// Openat2 is openat2(2); see Open.
func Openat2(ctx context.Context, dirfd int, path string, how *unix.OpenHow) (fd int, err error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	c := call{trap: unix.SYS_OPENAT2}
	c.a[0], c.p[1], c.p[2], c.a[3] = uintptr(dirfd), unsafe.Pointer(name), unsafe.Pointer(how), unsafe.Sizeof(*how)
	return c.n(c.do(ctx))
}

// Flock is flock(2). A cancelled Flock has not taken the lock. Converting a held lock is, as the manual page says, not
// atomic: the old one is given up first, and a cancel does not bring it back.
func Flock(ctx context.Context, fd int, how int) (err error) {
	c := call{trap: unix.SYS_FLOCK}
	c.a[0], c.a[1] = uintptr(fd), uintptr(how)
	return c.do(ctx)
}

// FcntlFlock is fcntl(2) with a lock; F_SETLKW and F_OFD_SETLKW wait. A cancelled wait has not taken the lock.
func FcntlFlock(ctx context.Context, fd uintptr, cmd int, lk *unix.Flock_t) error {
	c := call{trap: unix.SYS_FCNTL}
	c.a[0], c.a[1], c.p[2] = fd, uintptr(cmd), unsafe.Pointer(lk)
	return c.do(ctx)
}

// Fsync is fsync(2). Most file systems do not let a signal end it, see Abandonable; and one that does leaves open how
// much has been written.
func Fsync(ctx context.Context, fd int) (err error) {
	c := call{trap: unix.SYS_FSYNC}
	c.a[0] = uintptr(fd)
	return c.do(ctx)
}

// Ioctl is ioctl(2) with a pointer. Whether a request can be cancelled, and whether it had an effect when it answers
// EINTR, is its driver's business; terminals and sockets keep to the rules.
func Ioctl(ctx context.Context, fd int, req uint, arg unsafe.Pointer) (r int, err error) {
	c := call{trap: unix.SYS_IOCTL}
	c.a[0], c.a[1], c.p[2] = uintptr(fd), uintptr(req), arg
	return c.n(c.do(ctx))
}

// IoctlInt is ioctl(2) with a number, like TCSBRK, that waits until a terminal's output has been sent; see Ioctl.
func IoctlInt(ctx context.Context, fd int, req uint, value int) (r int, err error) {
	c := call{trap: unix.SYS_IOCTL}
	c.a[0], c.a[1], c.a[2] = uintptr(fd), uintptr(req), uintptr(value)
	return c.n(c.do(ctx))
}
