package dev

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const (
	blockSize = 4096
	nameMax   = 255
)

// tree is what the nodes of a file system share.
type tree struct {
	dev      uint64
	registry *Registry
	lastIno  atomic.Uint64
	mu       sync.RWMutex // guards the whole tree and all attributes
}

// inode is what all nodes have. fs.mu guards the fields after fs and ino.
type inode struct {
	fs  *tree
	ino uint64

	mode, nlink, uid, gid      uint32
	rdev                       uint64
	atime, mtime, ctime, btime syscall.Timespec
}

func (fs *tree) newInode(mode, uid, gid uint32) inode {
	t := now()
	return inode{fs: fs, ino: fs.lastIno.Add(1), mode: mode, nlink: 1, uid: uid, gid: gid,
		atime: t, mtime: t, ctime: t, btime: t}
}

func now() syscall.Timespec { return syscall.NsecToTimespec(time.Now().UnixNano()) }

// Stat returns the attributes.
func (n *inode) Stat(context.Context) (vfs.Attr, error) {
	n.fs.mu.RLock()
	defer n.fs.mu.RUnlock()
	return n.attr(), nil
}

func (n *inode) attr() vfs.Attr {
	return vfs.Attr{Dev: n.fs.dev, Ino: n.ino, Rdev: n.rdev, Mode: n.mode, Nlink: n.nlink,
		UID: n.uid, GID: n.gid, Blksize: blockSize,
		Atime: n.atime, Mtime: n.mtime, Ctime: n.ctime, Btime: n.btime}
}

// SetAttr changes owner, permissions and times; EINVAL for a size, EISDIR for a
// directory's.
func (n *inode) SetAttr(_ context.Context, s vfs.SetAttr) error {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if s.Valid&vfs.SetSize != 0 {
		if n.mode&unix.S_IFMT == unix.S_IFDIR {
			return syscall.EISDIR
		}
		return syscall.EINVAL
	}
	n.set(s)
	return nil
}

// set applies all of s but the size. The caller holds fs.mu.
func (n *inode) set(s vfs.SetAttr) {
	if s.Valid&vfs.SetMode != 0 {
		n.mode = n.mode&unix.S_IFMT | s.Mode&0o7777
	}
	if s.Valid&vfs.SetUID != 0 {
		n.uid = s.UID
	}
	if s.Valid&vfs.SetGID != 0 {
		n.gid = s.GID
	}
	if s.Valid&vfs.SetAtime != 0 {
		n.atime = s.Atime
	}
	if s.Valid&vfs.SetMtime != 0 {
		n.mtime = s.Mtime
	}
	n.ctime = now()
}

// base lets the tree reach the inode of any of its nodes.
func (n *inode) base() *inode { return n }

// own returns the inode of a node that lives in fs's tree, nil for a foreign one
// that was put there (Options.Shm).
func (fs *tree) own(n vfs.Node) *inode {
	if t, ok := n.(interface{ base() *inode }); ok && t.base().fs == fs {
		return t.base()
	}
	return nil
}

// special is a device.
type special struct{ inode }

// endpoint is a FIFO or a socket: POSIX itself opens those.
type endpoint struct{ inode }

// Open asks the registry for the driver.
func (n *special) Open(ctx context.Context, flags int) (vfs.File, error) {
	n.fs.mu.RLock()
	kind := n.mode & unix.S_IFMT
	n.fs.mu.RUnlock()
	return n.fs.registry.Open(ctx, n, kind, n.rdev, flags)
}

type symlink struct {
	inode
	target string
}

// Readlink returns the text.
func (n *symlink) Readlink(context.Context) (string, error) { return n.target, nil }

// Stat adds the length of the text.
func (n *symlink) Stat(ctx context.Context) (vfs.Attr, error) {
	a, err := n.inode.Stat(ctx)
	a.Size = int64(len(n.target))
	return a, err
}
