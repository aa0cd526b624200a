package host

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// SetAttr changes attributes as far as the host lets its user: chown of another
// user's file, say, is EPERM. When one change fails the others are taken back;
// only a file cut short stays so, so sizes come last but for the times.
func (n *node) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	if err := n.fs.writable(); err != nil {
		return err
	}
	if n.veiled {
		return syscall.EACCES
	}
	return n.withFD(func(fd int) error { return n.change(ctx, fd, s) })
}

// change applies s to n, whose file fd refers to.
func (n *node) change(ctx context.Context, fd int, s vfs.SetAttr) (err error) {
	const owner, times = vfs.SetUID | vfs.SetGID, vfs.SetAtime | vfs.SetMtime
	switch {
	case s.Valid&vfs.SetMode != 0 && n.kind == unix.S_IFLNK:
		return syscall.EOPNOTSUPP
	case s.Valid&vfs.SetSize != 0 && n.kind == unix.S_IFDIR:
		return syscall.EISDIR
	case s.Valid&vfs.SetSize != 0 && (n.kind != unix.S_IFREG || s.Size < 0):
		return syscall.EINVAL
	}
	var old unix.Statx_t // for taking back
	switch s.Valid {
	case vfs.SetMode, vfs.SetSize, vfs.SetAtime, vfs.SetMtime, times:
	default:
		if err := statx(fd, "", unix.AT_EMPTY_PATH, &old); err != nil {
			return err
		}
	}
	if s.Valid&owner != 0 {
		if err := chown(fd, pick(s.Valid&vfs.SetUID, s.UID), pick(s.Valid&vfs.SetGID, s.GID)); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				chown(fd, int(old.Uid), int(old.Gid))
				n.chmod(fd, uint32(old.Mode)) // chown may have cleared bits
			}
		}()
	}
	if s.Valid&vfs.SetMode != 0 {
		if err := n.chmod(fd, s.Mode); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				n.chmod(fd, uint32(old.Mode))
			}
		}()
	}
	if s.Valid&times != 0 {
		if err := utimes(fd, s); err != nil {
			return err
		}
	}
	if s.Valid&vfs.SetSize == 0 {
		return nil
	}
	if err := n.fs.truncate(ctx, fd, s.Size); err != nil {
		if s.Valid&times != 0 {
			utimes(fd, vfs.SetAttr{Valid: times, Atime: timeOf(old.Atime), Mtime: timeOf(old.Mtime)})
		}
		return err
	}
	if s.Valid&times != 0 {
		return utimes(fd, s) // the size changed them
	}
	return nil
}

func pick(valid, id uint32) int {
	if valid == 0 {
		return -1
	}
	return int(id)
}

// chown takes O_PATH descriptors too, and changes symbolic links themselves.
func chown(fd, uid, gid int) error {
	for {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != unix.EINTR {
			return err
		}
	}
}

// chmod changes n's permissions; a symbolic link has none.
func (n *node) chmod(fd int, mode uint32) error {
	if n.kind == unix.S_IFLNK {
		return nil
	}
	return chmod(fd, mode)
}

func chmod(fd int, mode uint32) error {
	mode &= 0o7777
	for {
		err := unix.Fchmod(fd, mode)
		if err == unix.EBADF { // O_PATH
			err = unix.Chmod(procPath(fd), mode)
		}
		if err != unix.EINTR {
			return err
		}
	}
}

func utimes(fd int, s vfs.SetAttr) error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if s.Valid&vfs.SetAtime != 0 {
		ts[0] = unix.Timespec(s.Atime)
	}
	if s.Valid&vfs.SetMtime != 0 {
		ts[1] = unix.Timespec(s.Mtime)
	}
	for {
		err := unix.UtimesNanoAt(fd, "", ts, unix.AT_EMPTY_PATH)
		if err == unix.EINVAL || err == unix.ENOENT { // before Linux 5.8
			// Following a link of /proc/self/fd leads to the file itself, even if
			// that is a symbolic link.
			err = unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), ts, 0)
		}
		if err != unix.EINTR {
			return err
		}
	}
}

// truncate needs a descriptor for writing, and gets itself one if fd is none.
func (fs *FS) truncate(ctx context.Context, fd int, size int64) error {
	err := hostSpace(ctx, func() error { return unix.Ftruncate(fd, size) })
	if err != unix.EBADF && err != unix.EINVAL {
		return err
	}
	w, err := fs.reopen(ctx, fd, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(w)
	return hostSpace(ctx, func() error { return unix.Ftruncate(w, size) })
}
