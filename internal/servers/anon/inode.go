package anon

import (
	"context"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
)

// Inode is the one inode that event counters, timers, watch queues and their
// like have in common ("anon_inode"). Its attributes cannot be changed.
var Inode vfs.Node = newInode()

type inode struct{ attr vfs.Attr }

func newInode() *inode {
	now := syscall.NsecToTimespec(time.Now().UnixNano())
	return &inode{vfs.Attr{
		Dev: DevInode, Ino: lastIno.Add(1), Mode: 0o600, Nlink: 1, // no type bits, as on Linux
		Blksize: 4096, Atime: now, Mtime: now, Ctime: now, Btime: now,
	}}
}

func (i *inode) Stat(context.Context) (vfs.Attr, error) { return i.attr, nil }

// SetAttr fails with EOPNOTSUPP.
func (i *inode) SetAttr(context.Context, vfs.SetAttr) error { return syscall.EOPNOTSUPP }
