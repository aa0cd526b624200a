// Package tmp is a file system in memory: what Linux calls tmpfs. It serves
// /tmp, what a box writes over its root, and memory files (memfd_create).
//
// Small files lie in Go memory. One that is mapped, or grows beyond a megabyte,
// moves into a host memory file of its own, so that mappings, reads and writes
// meet in the same pages, and a hundred thousand small files need no host
// descriptors.
//
// A host memory file is closed with the last name and the last open file. A node
// of such a file that somebody still holds cannot be opened any more: ESTALE,
// which means that the path is to be walked again. Small files go with their
// nodes.
//
// Operations never wait for anything but memory, so no ctx ends them.
//
// The package imports vfs, devnum and golang.org/x/sys only.
//
// Lock order: FS.names (all directories), then a file's io, then a node's mu.
package tmp

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/servers/devnum"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Options describe a file system.
type Options struct {
	Dev      uint64 // device number shown by stat; 0 means one of its own
	Mode     uint32 // permissions of the root; 0 means 01777
	UID, GID uint32 // owner of the root
	Size     int64  // limit on bytes of contents, in whole pages; 0 for none
}

// nameMax is NAME_MAX, in bytes.
const nameMax = 255

// FS is a file system in memory. All methods but Number may be called
// concurrently.
type FS struct {
	dev   uint64
	limit int64
	used  atomic.Int64 // bytes of contents, in pages; counted with a limit only
	last  atomic.Uint64
	files atomic.Int64 // with names
	root  *dir

	names sync.RWMutex // all directories' entries, and links
}

// New returns an empty file system.
func New(o Options) *FS {
	if o.Mode == 0 {
		o.Mode = 0o1777
	}
	if o.Dev == 0 {
		o.Dev = devnum.Next()
	}
	f := &FS{dev: o.Dev, limit: pagesOf(o.Size) * pageSize}
	f.root = f.newNode(&vfs.MakeOptions{Mode: unix.S_IFDIR | o.Mode&0o7777, UID: o.UID, GID: o.GID}).(*dir)
	f.root.nlink.Store(2)
	f.files.Store(1)
	return f
}

// Number makes dev the device number, and first the inode number of the root,
// from which all others count up: an overlay's upper file system shows its files
// among those of the lower one. It must be called before anything else is.
func (f *FS) Number(dev, first uint64) {
	f.dev = dev
	f.root.ino = first
	f.last.Store(first)
}

// Root returns the root directory.
func (f *FS) Root(context.Context) (vfs.Node, error) { return f.root, nil }

// Statfs tells the size and the room; without a limit, those of the host's memory.
func (f *FS) Statfs(context.Context) (vfs.Statfs, error) {
	s := vfs.Statfs{Type: unix.TMPFS_MAGIC, BlockSize: pageSize, NameMax: nameMax, FSID: f.dev}
	total := f.limit / pageSize
	free := max(0, total-f.used.Load()/pageSize)
	if f.limit == 0 {
		total, free = hostMemory()
	}
	s.Blocks, s.BlocksFree = uint64(total), uint64(free)
	s.BlocksAvailable = s.BlocksFree
	s.Files = math.MaxInt32
	s.FilesFree = uint64(max(0, math.MaxInt32-f.files.Load()))
	return s, nil
}

// reserve accounts for n more bytes of contents; n may be negative. ENOSPC when
// there is no room.
func (f *FS) reserve(n int64) error {
	if f.limit == 0 || n == 0 {
		return nil
	}
	if u := f.used.Add(n); n > 0 && u > f.limit {
		f.used.Add(-n)
		return syscall.ENOSPC
	}
	return nil
}

// newNode makes a node of the kind that o says, without a name.
func (f *FS) newNode(o *vfs.MakeOptions) node {
	var n node
	switch o.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		n = &dir{last: firstCookie - 1}
	case unix.S_IFLNK:
		n = &symlink{target: o.Target}
	case unix.S_IFREG, 0:
		n = &regular{data: data{fs: f}, seals: unix.F_SEAL_SEAL}
	default:
		n = &special{}
	}
	i, t := n.common(), now()
	i.fs, i.ino, i.kind, i.rdev = f, f.last.Add(1), o.Mode&unix.S_IFMT, o.Rdev
	if i.kind == 0 {
		i.kind = unix.S_IFREG
	}
	i.mode, i.uid, i.gid = o.Mode&0o7777, o.UID, o.GID
	i.atime, i.mtime, i.ctime, i.btime = t, t, t, t
	return n
}
