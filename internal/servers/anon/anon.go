// Package anon holds the inode of objects that have no name in any file
// system: pipes, sockets, event counters and their like. It imports only vfs.
//
// Lock order: a Node's lock is a leaf.
package anon

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
)

// Device numbers of the nameless file systems, as stat(2) shows them. Linux
// hands them out in order of registration; only their difference matters.
const (
	DevSocket uint64 = 8
	DevPipe   uint64 = 13
	DevInode  uint64 = 14
)

var lastIno atomic.Uint64

// Node is a nameless inode: attributes and nothing else. All methods may be
// called concurrently.
type Node struct {
	mu   sync.Mutex
	attr vfs.Attr
}

// New returns a Node on device dev with a number that no other one has. mode
// holds the type and permission bits.
func New(dev uint64, mode, uid, gid uint32) *Node {
	n := new(Node)
	n.Init(dev, mode, uid, gid)
	return n
}

// Init makes a zero Node as New does, for objects that embed one.
func (n *Node) Init(dev uint64, mode, uid, gid uint32) {
	now := syscall.NsecToTimespec(time.Now().UnixNano())
	n.attr = vfs.Attr{
		Dev: dev, Ino: lastIno.Add(1), Mode: mode, Nlink: 1, UID: uid, GID: gid,
		Blksize: 4096, Atime: now, Mtime: now, Ctime: now, Btime: now,
	}
}

// Ino returns the inode number, the one in /proc's "pipe:[N]".
func (n *Node) Ino() uint64 { return n.attr.Ino }

// Stat implements vfs.Node.
func (n *Node) Stat(context.Context) (vfs.Attr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attr, nil
}

// SetAttr implements vfs.AttrSetter: fchmod(2), fchown(2) and futimens(3) work
// on nameless files, ftruncate(2) does not (EINVAL).
func (n *Node) SetAttr(_ context.Context, s vfs.SetAttr) error {
	if s.Valid&vfs.SetSize != 0 {
		return syscall.EINVAL
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.Valid&vfs.SetMode != 0 {
		n.attr.Mode = n.attr.Mode&syscall.S_IFMT | s.Mode&^uint32(syscall.S_IFMT)
	}
	if s.Valid&vfs.SetUID != 0 {
		n.attr.UID = s.UID
	}
	if s.Valid&vfs.SetGID != 0 {
		n.attr.GID = s.GID
	}
	if s.Valid&vfs.SetAtime != 0 {
		n.attr.Atime = s.Atime
	}
	if s.Valid&vfs.SetMtime != 0 {
		n.attr.Mtime = s.Mtime
	}
	n.attr.Ctime = syscall.NsecToTimespec(time.Now().UnixNano())
	return nil
}
