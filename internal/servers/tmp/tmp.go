// Package tmp is a file system in memory: what Linux calls tmpfs. It serves
// /tmp, what a box writes over its root, and memory files (memfd_create).
//
// Small files lie in Go memory. One that is mapped, or grows beyond a megabyte,
// moves into a host memory file of its own, so that mappings, reads and writes
// meet in the same pages, and a hundred thousand small files need no host
// descriptors.
//
// The package imports vfs and golang.org/x/sys only.
//
// Lock order: FS.names (all directories), then a node's mu, then nothing.
package tmp

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Options describe a file system.
type Options struct {
	Dev      uint64 // device number shown by stat
	Mode     uint32 // permissions of the root; 0 means 01777
	UID, GID uint32 // owner of the root
	Size     int64  // limit on bytes, 0 for none
}

// FS is a file system in memory. All methods may be called concurrently.
type FS struct {
	dev   uint64
	limit int64
	used  atomic.Int64 // bytes of file contents, in pages
	inos  atomic.Uint64
	files atomic.Int64
	root  *dir

	names sync.RWMutex // all directories' entries and links
}

// New returns an empty file system.
func New(o Options) *FS {
	if o.Mode == 0 {
		o.Mode = 0o1777
	}
	f := &FS{dev: o.Dev, limit: o.Size}
	f.inos.Store(1)
	f.root = f.newNode(vfs.MakeOptions{Mode: unix.S_IFDIR | o.Mode&0o7777, UID: o.UID, GID: o.GID}).(*dir)
	f.root.nlink = 2
	return f
}

// Root returns the root directory.
func (f *FS) Root(context.Context) (vfs.Node, error) { return f.root, nil }

// Statfs tells the size; without a limit, what tmpfs would say of one without.
func (f *FS) Statfs(context.Context) (vfs.Statfs, error) {
	s := vfs.Statfs{Type: unix.TMPFS_MAGIC, BlockSize: pageSize, NameMax: 255, FSID: f.dev}
	total := f.limit / pageSize
	if f.limit == 0 {
		total = math.MaxInt32
	}
	s.Blocks = uint64(total)
	s.BlocksFree = uint64(max(0, total-f.used.Load()/pageSize))
	s.BlocksAvailable = s.BlocksFree
	s.Files = math.MaxInt32
	s.FilesFree = uint64(math.MaxInt32 - f.files.Load())
	return s, nil
}

// reserve accounts for n more bytes of contents; n may be negative.
func (f *FS) reserve(n int64) error {
	if u := f.used.Add(n); n > 0 && f.limit > 0 && u > f.limit {
		f.used.Add(-n)
		return syscall.ENOSPC
	}
	return nil
}

// inode is what all nodes embed.
type inode struct {
	fs   *FS
	ino  uint64
	kind uint32 // S_IFMT bits
	rdev uint64

	nlink uint32 // under fs.names

	mu                         sync.Mutex
	mode                       uint32 // permissions
	uid, gid                   uint32
	atime, mtime, ctime, btime syscall.Timespec
	xattrs                     map[string][]byte
}

// node is any of this package's nodes.
type node interface {
	vfs.Node
	common() *inode
}

func (i *inode) common() *inode { return i }

func now() syscall.Timespec { return syscall.NsecToTimespec(time.Now().UnixNano()) }

// newNode makes a node of the kind that o says, without a name.
func (f *FS) newNode(o vfs.MakeOptions) node {
	var n node
	switch o.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		n = &dir{entries: map[string]*entry{}, last: firstCookie - 1}
	case unix.S_IFLNK:
		n = &symlink{target: o.Target}
	case unix.S_IFREG:
		n = &regular{data: data{fs: f}}
	default:
		n = &special{}
	}
	i, t := n.common(), now()
	i.fs, i.ino, i.kind, i.rdev = f, f.inos.Add(1)-1, o.Mode&unix.S_IFMT, o.Rdev
	i.mode, i.uid, i.gid = o.Mode&0o7777, o.UID, o.GID
	i.atime, i.mtime, i.ctime, i.btime = t, t, t, t
	f.files.Add(1)
	return n
}

// special is a FIFO, socket or device: POSIX opens it by itself.
type special struct{ inode }

type symlink struct {
	inode
	target string
}

func (s *symlink) Readlink(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accessed()
	return s.target, nil
}

func (s *symlink) Stat(ctx context.Context) (vfs.Attr, error) {
	a := s.attr()
	a.Size = int64(len(s.target))
	return a, nil
}

func (s *special) Stat(ctx context.Context) (vfs.Attr, error) { return s.attr(), nil }

// attr returns all but size and blocks.
func (i *inode) attr() vfs.Attr {
	i.fs.names.RLock()
	links := i.nlink
	i.fs.names.RUnlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	return vfs.Attr{
		Dev: i.fs.dev, Ino: i.ino, Rdev: i.rdev, Mode: i.kind | i.mode, Nlink: links, UID: i.uid, GID: i.gid,
		Blksize: pageSize, Atime: i.atime, Mtime: i.mtime, Ctime: i.ctime, Btime: i.btime,
	}
}

// accessed moves the access time as relatime does. i.mu is held.
func (i *inode) accessed() {
	t := now()
	if !after(i.atime, i.mtime) || !after(i.atime, i.ctime) || t.Sec-i.atime.Sec > 24*3600 {
		i.atime = t
	}
}

func after(a, b syscall.Timespec) bool {
	return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec
}

// modified moves the times that a change of the contents moves. i.mu is held.
func (i *inode) modified() {
	i.mtime = now()
	i.ctime = i.mtime
}

// setAttr changes all but the size. i.mu is held.
func (i *inode) setAttr(s *vfs.SetAttr) {
	if s.Valid&vfs.SetMode != 0 {
		i.mode = s.Mode & 0o7777
	}
	if s.Valid&vfs.SetUID != 0 {
		i.uid = s.UID
	}
	if s.Valid&vfs.SetGID != 0 {
		i.gid = s.GID
	}
	if s.Valid&vfs.SetAtime != 0 {
		i.atime = s.Atime
	}
	if s.Valid&vfs.SetMtime != 0 {
		i.mtime = s.Mtime
	}
	i.ctime = now()
}

// SetAttr changes attributes of anything but a regular file.
func (i *inode) SetAttr(_ context.Context, s vfs.SetAttr) error {
	if s.Valid&vfs.SetSize != 0 {
		if i.kind == unix.S_IFDIR {
			return syscall.EISDIR
		}
		return syscall.EINVAL
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.setAttr(&s)
	return nil
}
