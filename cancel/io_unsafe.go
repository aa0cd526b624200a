package cancel

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2). A cancelled Read has consumed nothing.
func Read(ctx context.Context, fd int, p []byte) (n int, err error) {
	if ctx.Done() == nil {
		n, errno := once(unix.SYS_READ, fd, p)
		if errno == 0 {
			raceFilled(p, n)
			return n, nil
		} else if errno != unix.EINTR {
			return -1, errno
		}
	}
	return read(ctx, fd, p)
}

// read is apart so that Read's own frame is small.
func read(ctx context.Context, fd int, p []byte) (n int, err error) {
	c := call{trap: unix.SYS_READ}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p))
	n, err = c.n(c.stream(ctx, unix.POLLIN, unix.SO_RCVTIMEO))
	raceFilled(p, n)
	return n, err
}

// Write is write(2): like it, it may write less than p, and a cancel that arrives when a part has been written leaves
// the count of that part, without an error. A cancelled Write has written nothing.
func Write(ctx context.Context, fd int, p []byte) (n int, err error) {
	raceSent()
	if ctx.Done() == nil {
		n, errno := once(unix.SYS_WRITE, fd, p)
		if errno == 0 {
			raceTaken(p, n)
			return n, nil
		} else if errno != unix.EINTR {
			return -1, errno
		}
	}
	return write(ctx, fd, p)
}

func write(ctx context.Context, fd int, p []byte) (n int, err error) {
	c := call{trap: unix.SYS_WRITE}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p))
	n, err = c.n(c.stream(ctx, unix.POLLOUT, unix.SO_SNDTIMEO))
	raceTaken(p, n)
	return n, err
}

// Pread is pread64(2).
func Pread(ctx context.Context, fd int, p []byte, offset int64) (n int, err error) {
	if ctx.Done() == nil {
		n, errno := onceAt(unix.SYS_PREAD64, fd, p, offset)
		if errno == 0 {
			raceFilled(p, n)
			return n, nil
		} else if errno != unix.EINTR {
			return -1, errno
		}
	}
	n, err = at(ctx, unix.SYS_PREAD64, fd, p, offset)
	raceFilled(p, n)
	return n, err
}

// Pwrite is pwrite64(2); see Write.
func Pwrite(ctx context.Context, fd int, p []byte, offset int64) (n int, err error) {
	raceSent()
	if ctx.Done() == nil {
		n, errno := onceAt(unix.SYS_PWRITE64, fd, p, offset)
		if errno == 0 {
			raceTaken(p, n)
			return n, nil
		} else if errno != unix.EINTR {
			return -1, errno
		}
	}
	n, err = at(ctx, unix.SYS_PWRITE64, fd, p, offset)
	raceTaken(p, n)
	return n, err
}

func at(ctx context.Context, trap uintptr, fd int, p []byte, offset int64) (n int, err error) {
	c := call{trap: trap}
	c.a[0], c.p[1], c.a[2], c.a[3] = uintptr(fd), unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p)), uintptr(offset)
	return c.n(c.do(ctx))
}

// Readv is readv(2). Up to 8 buffers are passed without an allocation.
func Readv(ctx context.Context, fd int, iovs [][]byte) (n int, err error) {
	var few [8]unix.Iovec
	vec := appendIovecs(few[:0], iovs)
	c := call{trap: unix.SYS_READV}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(unsafe.SliceData(vec)), uintptr(len(vec))
	n, err = c.n(c.stream(ctx, unix.POLLIN, unix.SO_RCVTIMEO))
	left := n
	for _, p := range iovs {
		m := min(left, len(p))
		raceFilled(p, m)
		left -= m
	}
	return n, err
}

// Writev is writev(2); see Write. Up to 8 buffers are passed without an allocation.
func Writev(ctx context.Context, fd int, iovs [][]byte) (n int, err error) {
	raceSent()
	var few [8]unix.Iovec
	vec := appendIovecs(few[:0], iovs)
	c := call{trap: unix.SYS_WRITEV}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(unsafe.SliceData(vec)), uintptr(len(vec))
	n, err = c.n(c.stream(ctx, unix.POLLOUT, unix.SO_SNDTIMEO))
	left := n
	for _, p := range iovs {
		m := min(left, len(p))
		raceTaken(p, m)
		left -= m
	}
	return n, err
}

func appendIovecs(vec []unix.Iovec, bufs [][]byte) []unix.Iovec {
	for _, p := range bufs {
		v := unix.Iovec{Base: unsafe.SliceData(p)}
		v.SetLen(len(p))
		vec = append(vec, v)
	}
	return vec
}

// Splice is splice(2). A cancel that arrives when a part has been moved leaves the count of that part.
func Splice(ctx context.Context, rfd int, roff *int64, wfd int, woff *int64, len int, flags int) (n int64, err error) {
	c := call{trap: unix.SYS_SPLICE}
	c.a[0], c.p[1], c.a[2], c.p[3] = uintptr(rfd), unsafe.Pointer(roff), uintptr(wfd), unsafe.Pointer(woff)
	c.a[4], c.a[5] = uintptr(len), uintptr(flags)
	m, err := c.n(c.do(ctx))
	return int64(m), err
}

// Getrandom is getrandom(2).
func Getrandom(ctx context.Context, buf []byte, flags int) (n int, err error) {
	c := call{trap: unix.SYS_GETRANDOM}
	c.p[0], c.a[1], c.a[2] = unsafe.Pointer(unsafe.SliceData(buf)), uintptr(len(buf)), uintptr(flags)
	n, err = c.n(c.do(ctx))
	raceFilled(buf, n)
	return n, err
}
