package tmp

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// inode is what all nodes embed.
type inode struct {
	fs   *FS
	ino  uint64
	kind uint32 // S_IFMT bits
	rdev uint64

	nlink atomic.Uint32 // changes under fs.names

	mu                         sync.Mutex // guards the rest
	mode                       uint32     // permissions
	uid, gid                   uint32
	atime, mtime, ctime, btime syscall.Timespec
	xattrs                     map[string][]byte
	xattrSize                  int
}

// node is any of this package's nodes.
type node interface {
	vfs.Node
	common() *inode
}

func (i *inode) common() *inode { return i }

func now() syscall.Timespec { return syscall.NsecToTimespec(time.Now().UnixNano()) }

// special is a FIFO, socket or device: POSIX opens it by itself.
type special struct{ inode }

// Stat returns the attributes.
func (s *special) Stat(context.Context) (vfs.Attr, error) { return s.attr(), nil }

// SetAttr changes attributes; there is no size.
func (s *special) SetAttr(_ context.Context, c vfs.SetAttr) error { return s.change(&c) }

type symlink struct {
	inode
	target string
}

// Stat returns the attributes.
func (s *symlink) Stat(context.Context) (vfs.Attr, error) {
	a := s.attr()
	a.Size = int64(len(s.target))
	return a, nil
}

// Readlink returns the text.
func (s *symlink) Readlink(context.Context) (string, error) {
	s.accessed()
	return s.target, nil
}

// SetAttr changes attributes; a symbolic link has no permissions of its own.
func (s *symlink) SetAttr(_ context.Context, c vfs.SetAttr) error {
	if c.Valid&vfs.SetMode != 0 {
		return syscall.EOPNOTSUPP
	}
	return s.change(&c)
}

// attr returns all but size and blocks.
func (i *inode) attr() vfs.Attr {
	links := i.nlink.Load()
	i.mu.Lock()
	defer i.mu.Unlock()
	return vfs.Attr{
		Dev: i.fs.dev, Ino: i.ino, Rdev: i.rdev, Mode: i.kind | i.mode, Nlink: links, UID: i.uid, GID: i.gid,
		Blksize: pageSize, Atime: i.atime, Mtime: i.mtime, Ctime: i.ctime, Btime: i.btime,
	}
}

// accessed moves the access time as relatime does (mount(8)).
func (i *inode) accessed() {
	i.mu.Lock()
	defer i.mu.Unlock()
	const day = 24 * 3600
	if t := i.atime; after(t, i.mtime) && after(t, i.ctime) && time.Now().Unix()-t.Sec < day {
		return
	}
	i.atime = now()
}

func after(a, b syscall.Timespec) bool {
	return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec
}

// modified moves the times that a change of the contents moves.
func (i *inode) modified() {
	t := now()
	i.mu.Lock()
	i.mtime, i.ctime = t, t
	i.mu.Unlock()
}

// changed moves the time that a change of links moves.
func (i *inode) changed() {
	t := now()
	i.mu.Lock()
	i.ctime = t
	i.mu.Unlock()
}

// change changes all but a size: EISDIR for a directory, EINVAL for others.
func (i *inode) change(s *vfs.SetAttr) error {
	if s.Valid&vfs.SetSize != 0 {
		if i.kind == unix.S_IFDIR {
			return syscall.EISDIR
		}
		return syscall.EINVAL
	}
	i.set(s)
	return nil
}

func (i *inode) set(s *vfs.SetAttr) {
	t := now()
	i.mu.Lock()
	defer i.mu.Unlock()
	if s.Valid&vfs.SetMode != 0 {
		i.mode = s.Mode & 0o7777
	}
	if s.Valid&vfs.SetUID != 0 {
		i.uid = s.UID
	}
	if s.Valid&vfs.SetGID != 0 {
		i.gid = s.GID
	}
	if s.Valid&vfs.SetSize != 0 {
		i.mtime = t
	}
	if s.Valid&vfs.SetAtime != 0 {
		i.atime = s.Atime
	}
	if s.Valid&vfs.SetMtime != 0 {
		i.mtime = s.Mtime
	}
	i.ctime = t
}
