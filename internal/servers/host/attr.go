package host

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// attrOf translates what the host told. Numbers of devices and files, and the
// owners, are the host's.
func attrOf(st *unix.Statx_t) vfs.Attr {
	return vfs.Attr{
		Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino,
		Rdev: unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		Mode: uint32(st.Mode), Nlink: st.Nlink, UID: st.Uid, GID: st.Gid,
		Blksize: st.Blksize, Size: int64(st.Size), Blocks: int64(st.Blocks),
		Atime: timeOf(st.Atime), Mtime: timeOf(st.Mtime), Ctime: timeOf(st.Ctime), Btime: timeOf(st.Btime),
	}
}

func timeOf(t unix.StatxTimestamp) syscall.Timespec {
	return syscall.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)}
}
