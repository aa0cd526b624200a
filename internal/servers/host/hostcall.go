package host

import (
	"context"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// The host calls that may wait for long (a disk, a network file system, a lease,
// a FUSE server), one function per class. None begins when ctx has ended. Opening,
// reading, writing, flushing and copying go through package cancel: where the host
// can be interrupted in them, the end of ctx does that, and then nothing has
// happened. The others are looked at between two tries. What a signal was faster than is
// [vfs.ErrNotBegun]. Waits that the host does
// not interrupt at all are left by whoever stands before this server: see package
// guard.

// hostOpen is openat2's class: names that become descriptors.
func hostOpen(ctx context.Context, dirfd int, name string, flags int, mode uint32) (int, error) {
	return cancel.Openat(ctx, dirfd, name, flags|unix.O_CLOEXEC, mode)
}

func hostRead(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	n, err := cancel.Pread(ctx, fd, p, off)
	return max(n, 0), err
}

func hostWrite(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	n, err := cancel.Pwrite(ctx, fd, p, off)
	return max(n, 0), err
}

func hostAppend(ctx context.Context, fd int, p []byte) (n int, err error) {
	err = hostSpace(ctx, func() error {
		n, err = appendAt(fd, p)
		return err
	})
	return n, err
}

func hostSync(ctx context.Context, fd int, dataOnly bool) error {
	if dataOnly {
		_, _, err := cancel.Syscall(ctx, unix.SYS_FDATASYNC, uintptr(fd), 0, 0, 0, 0, 0)
		return err
	}
	return cancel.Fsync(ctx, fd)
}

// hostSpace is fallocate, ftruncate and statfs: what a file or a disk occupies.
// A fallocate that a signal broke off may have done a part; trying again does
// the rest.
func hostSpace(ctx context.Context, change func() error) error {
	if ctx.Err() != nil {
		return vfs.NotBegun(ctx)
	}
	for {
		if err := change(); err != unix.EINTR {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func hostCopy(ctx context.Context, from int, off int64, to int, toOff int64, n int) (int, error) {
	done, err := copyRange(ctx, from, &off, to, &toOff, n)
	return max(done, 0), err
}

func hostDents(ctx context.Context, fd int, buf []byte) (n int, err error) {
	err = hostSpace(ctx, func() error {
		n, err = unix.Getdents(fd, buf)
		return err
	})
	return max(n, 0), err
}

// hostName is the class of changes of names: unlinkat, renameat2, linkat,
// mkdirat, mknodat, symlinkat. One that was broken off had no effect.
func hostName(ctx context.Context, change func() error) error { return hostSpace(ctx, change) }

// open is hostOpen, and makes room when the process has no descriptors left.
func (fs *FS) open(ctx context.Context, dirfd int, name string, flags int, mode uint32) (int, error) {
	fd, err := hostOpen(ctx, dirfd, name, flags, mode)
	if err == unix.EMFILE {
		fs.dirs.shrink()
		fd, err = hostOpen(ctx, dirfd, name, flags, mode)
	}
	return fd, err
}

// openPath opens name itself, whatever it is, as a mere reference to it. It
// touches nothing but names, and no ctx ends it.
func (fs *FS) openPath(dirfd int, name string, flags int) (int, error) {
	return fs.open(context.Background(), dirfd, name, unix.O_PATH|unix.O_NOFOLLOW|flags, 0)
}
