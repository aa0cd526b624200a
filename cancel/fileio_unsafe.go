package cancel

import (
	"context"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read reads up to len(p) bytes; at the end of the file it returns io.EOF. A cancelled Read has consumed nothing.
func (f *File) Read(ctx context.Context, p []byte) (n int, err error) {
	c := call{trap: unix.SYS_READ}
	c.p[1], c.a[2] = unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p))
	n, err = f.transfer(ctx, &c, unix.POLLIN)
	raceFilled(p, n)
	if n == 0 && len(p) > 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), f.wrap("read", err)
}

// ReadAt fills p from the offset off. As io.ReaderAt it returns less only with an error; with a cancel's cause too the
// count is what was read.
func (f *File) ReadAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	for n < len(p) {
		c := call{trap: unix.SYS_PREAD64}
		c.p[1], c.a[2], c.a[3] = unsafe.Pointer(unsafe.SliceData(p[n:])), uintptr(len(p)-n), uintptr(off)+uintptr(n)
		m, err := f.transfer(ctx, &c, unix.POLLIN)
		raceFilled(p[n:], m)
		if err != nil {
			return n, f.wrap("read", err)
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// Write writes all of p. If it is cancelled, the count is what was written before.
func (f *File) Write(ctx context.Context, p []byte) (n int, err error) {
	return f.write(ctx, p, unix.SYS_WRITE, 0)
}

// WriteAt writes all of p at the offset off. If it is cancelled, the count is what was written before.
func (f *File) WriteAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	return f.write(ctx, p, unix.SYS_PWRITE64, off)
}

func (f *File) write(ctx context.Context, p []byte, trap uintptr, off int64) (n int, err error) {
	raceSent()
	for {
		c := call{trap: trap}
		c.p[1], c.a[2], c.a[3] = unsafe.Pointer(unsafe.SliceData(p[n:])), uintptr(len(p)-n), uintptr(off)+uintptr(n)
		m, err := f.transfer(ctx, &c, unix.POLLOUT)
		if err != nil {
			return n, f.wrap("write", err)
		}
		raceTaken(p[n:], m)
		n += m
		if n == len(p) {
			return n, nil
		}
		if m == 0 {
			return n, f.wrap("write", io.ErrUnexpectedEOF)
		}
	}
}

// transfer makes the call c on this file. If the file is in non-blocking mode it waits until it is ready.
func (f *File) transfer(ctx context.Context, c *call, events int16) (n int, err error) {
	c.a[0] = uintptr(f.fd)
	for {
		n, err = c.n(f.do(ctx, c))
		if err != unix.EAGAIN {
			return n, err
		}
		fds := [1]unix.PollFd{{Fd: int32(f.fd), Events: events}}
		if _, err = poll(ctx, f, fds[:], -1, nil); err != nil {
			return -1, err
		}
	}
}

// Sync commits the file to its storage; see Fsync.
func (f *File) Sync(ctx context.Context) error {
	c := call{trap: unix.SYS_FSYNC}
	c.a[0] = uintptr(f.fd)
	return f.wrap("sync", f.do(ctx, &c))
}

// Flock takes, converts or gives up an advisory lock on the file; see [Flock] and, for lock files, [Lock].
func (f *File) Flock(ctx context.Context, how int) error {
	c := call{trap: unix.SYS_FLOCK}
	c.a[0], c.a[1] = uintptr(f.fd), uintptr(how)
	return f.wrap("flock", f.do(ctx, &c))
}

// Reader returns an io.Reader whose Reads end with ctx.
func (f *File) Reader(ctx context.Context) io.Reader { return bound{f, ctx} }

// Writer returns an io.Writer whose Writes end with ctx.
func (f *File) Writer(ctx context.Context) io.Writer { return bound{f, ctx} }

type bound struct {
	f   *File
	ctx context.Context
}

func (b bound) Read(p []byte) (int, error)  { return b.f.Read(b.ctx, p) }
func (b bound) Write(p []byte) (int, error) { return b.f.Write(b.ctx, p) }
