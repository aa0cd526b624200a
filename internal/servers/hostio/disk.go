package hostio

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Disk is a host file with offsets: a regular file, a block device, or a device
// such as /dev/null that cannot be waited for. It keeps the host description's
// own offset ([vfs.OffsetKeeper]).
type Disk struct {
	n     *node
	fd    int
	flags int
}

// Node returns the host file.
func (d *Disk) Node() vfs.Node { return d.n }

// Flags is the host description's access mode and O_APPEND.
func (d *Disk) Flags() int { return d.flags }

// Close ends the file; what close(2) reports on the host is the result. As
// [vfs.File] says, it comes once and after all else.
func (d *Disk) Close() error {
	return d.n.close(d.fd)
}

// Read is pread(2).
func (d *Disk) Read(ctx context.Context, p []byte, off int64) (int, error) {
	return counted(cancel.Pread(ctx, d.fd, p, off))
}

// Write is pwrite(2), which on Linux appends when the description does.
func (d *Disk) Write(ctx context.Context, p []byte, off int64) (int, error) {
	return counted(cancel.Pwrite(ctx, d.fd, p, off))
}

// ReadNext is read(2) at the shared offset.
func (d *Disk) ReadNext(ctx context.Context, p []byte) (int, error) {
	return counted(cancel.Read(ctx, d.fd, p))
}

// WriteNext is write(2) at the shared offset, or the end.
func (d *Disk) WriteNext(ctx context.Context, p []byte) (int, error) {
	return counted(cancel.Write(ctx, d.fd, p))
}

// Append writes at the end for a guest that asked for O_APPEND itself; the host
// description does not get that flag.
func (d *Disk) Append(_ context.Context, p []byte) (int, int64, error) {
	n, err := hostwait.Retry(func() (int, error) { return pwriteAppend(d.fd, p) })
	if err != nil {
		return n, 0, err
	}
	end, err := unix.Seek(d.fd, 0, unix.SEEK_CUR)
	if err != nil { // written all the same
		end = 0
	}
	return n, end, nil
}

// Lseek moves the shared offset; all whences of lseek(2).
func (d *Disk) Lseek(_ context.Context, off int64, whence int) (int64, error) {
	return unix.Seek(d.fd, off, whence)
}

// Sync is fsync(2) or fdatasync(2).
func (d *Disk) Sync(ctx context.Context, dataOnly bool) error {
	if dataOnly {
		_, _, err := cancel.Syscall(ctx, unix.SYS_FDATASYNC, uintptr(d.fd), 0, 0, 0, 0, 0)
		return err
	}
	return cancel.Fsync(ctx, d.fd)
}

// Allocate is fallocate(2).
func (d *Disk) Allocate(_ context.Context, mode uint32, off, length int64) error {
	_, err := hostwait.Retry(func() (int, error) { return 0, unix.Fallocate(d.fd, mode, off, length) })
	return err
}

// SetAttr changes size and times through this description (ftruncate(2),
// futimens(2)); owner and permissions are the host user's: EPERM.
func (d *Disk) SetAttr(ctx context.Context, s vfs.SetAttr) error { return d.n.SetAttr(ctx, s) }

// Ioctl knows FIONREAD: the bytes after the offset.
func (d *Disk) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if cmd != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	return 0, ioctlOut(d.fd, cmd, arg, 4)
}

// Map gives the host file itself. A shared map that can be written, or made so
// later, needs a description for both: EACCES.
func (d *Disk) Map(_ context.Context, prot int, shared bool) (vfs.Mapping, error) {
	mode := d.flags & unix.O_ACCMODE
	if mode == unix.O_WRONLY || shared && prot&unix.PROT_WRITE != 0 && mode != unix.O_RDWR {
		return vfs.Mapping{}, syscall.EACCES
	}
	if a, err := d.n.Stat(context.Background()); err != nil || a.IsDir() {
		return vfs.Mapping{}, syscall.ENODEV
	}
	return vfs.Mapping{FD: d.fd, Release: func() {}}, nil
}
