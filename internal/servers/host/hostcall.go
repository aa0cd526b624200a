package host

import (
	"context"

	"golang.org/x/sys/unix"
)

// The host calls that may wait for long (a disk, a network file system), one
// function per class. Each gives up before it starts when ctx has ended, and
// between two tries; a call under way is not interrupted.

// hostOpen is openat2's class: names that become descriptors.
func hostOpen(ctx context.Context, dirfd int, name string, flags int, mode uint32) (int, error) {
	for {
		if ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
		fd, err := unix.Openat(dirfd, name, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func hostRead(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := unix.Pread(fd, p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func hostWrite(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := unix.Pwrite(fd, p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func hostAppend(ctx context.Context, fd int, p []byte) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := appendAt(fd, p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func hostSync(ctx context.Context, fd int, dataOnly bool) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var err error
		if dataOnly {
			err = unix.Fdatasync(fd)
		} else {
			err = unix.Fsync(fd)
		}
		if err != unix.EINTR {
			return err
		}
	}
}

// hostSpace is fallocate, ftruncate and statfs: what a file or a disk occupies.
// A fallocate that a signal broke off may have done a part; trying again does
// the rest.
func hostSpace(ctx context.Context, change func() error) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := change(); err != unix.EINTR {
			return err
		}
	}
}

func hostCopy(ctx context.Context, from int, off int64, to int, toOff int64, n int) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := unix.CopyFileRange(from, &off, to, &toOff, n, 0)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func hostDents(ctx context.Context, fd int, buf []byte) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		n, err := unix.Getdents(fd, buf)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
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
