package remote

import (
	"context"
	"strings"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// node is what all kinds of nodes have.
type node struct {
	c    *Client
	id   uint64
	kind uint32 // wire's bits
	self vfs.Node
}

// The kinds of nodes: POSIX looks at what they are, so each is no more than its
// server's node.
type (
	special   struct{ node } // what the server does not open
	regular   struct{ node }
	symlink   struct{ node }
	dir       struct{ node }
	lockedReg struct {
		regular
		locker
	}
	lockedDir struct {
		dir
		locker
	}
)

func newNode(c *Client, w wire.Node) *node {
	var n *node
	switch {
	case w.Bits&wire.NodeLink != 0:
		s := &symlink{}
		n, s.self = &s.node, s
	case w.Bits&wire.NodeDir != 0 && w.Bits&wire.NodeLocker != 0:
		d := &lockedDir{}
		n, d.self, d.locker.n = &d.node, d, &d.node
	case w.Bits&wire.NodeDir != 0:
		d := &dir{}
		n, d.self = &d.node, d
	case w.Bits&wire.NodeLocker != 0:
		r := &lockedReg{}
		n, r.self, r.locker.n = &r.node, r, &r.node
	case w.Bits&wire.NodeOpener != 0:
		r := &regular{}
		n, r.self = &r.node, r
	default:
		s := &special{}
		n, s.self = &s.node, s
	}
	n.c, n.id, n.kind = c, w.ID, w.Bits
	return n
}

// base returns the node part of one of this package's nodes of client c.
func base(c *Client, n vfs.Node) (*node, bool) {
	b, ok := n.(interface{ common() *node })
	if !ok || b.common().c != c {
		return nil, false
	}
	return b.common(), true
}

func (n *node) common() *node { return n }

type statCall struct {
	req wire.NodeRequest
	rep wire.AttrReply
}

var statCalls = sync.Pool{New: func() any { return new(statCall) }}

// Stat returns the attributes that the server has now.
func (n *node) Stat(ctx context.Context) (vfs.Attr, error) {
	s := statCalls.Get().(*statCall)
	defer statCalls.Put(s)
	s.req.Node = n.id
	if err := n.c.call.Stat(ctx, &s.req, &s.rep, nil); err != nil {
		return vfs.Attr{}, n.c.outcome(err)
	}
	a := &s.rep.Attr
	isDir, isLink := a.Mode&unix.S_IFMT == unix.S_IFDIR, a.Mode&unix.S_IFMT == unix.S_IFLNK
	if a.Size < 0 || a.Blocks < 0 || isDir != (n.kind&wire.NodeDir != 0) || isLink != (n.kind&wire.NodeLink != 0) {
		return vfs.Attr{}, n.c.broken("node %d: mode %#o, size %d", n.id, a.Mode, a.Size)
	}
	return vfs.Attr{
		Dev: a.Dev, Ino: a.Ino, Rdev: a.Rdev, Mode: a.Mode, Nlink: a.Nlink, UID: a.UID, GID: a.GID, Blksize: a.Blksize,
		Size: a.Size, Blocks: a.Blocks,
		Atime: timespec(a.Atime), Mtime: timespec(a.Mtime), Ctime: timespec(a.Ctime), Btime: timespec(a.Btime), OwnAccess: a.OwnAccess,
	}, nil
}

// Access asks a server that decides itself who may do what.
func (n *node) Access(ctx context.Context, mask uint32) error {
	if n.kind&wire.NodeAccesser == 0 {
		return nil
	}
	return n.c.outcome(n.c.call.Access(ctx, &wire.AccessRequest{Node: n.id, Mask: mask}, new(wire.Empty), nil))
}

// SetAttr changes attributes.
func (n *node) SetAttr(ctx context.Context, s vfs.SetAttr) error { return n.setAttr(ctx, 0, s) }

func (n *node) setAttr(ctx context.Context, file uint64, s vfs.SetAttr) error {
	req := wire.SetAttrRequest{Node: n.id, File: file, Valid: s.Valid, Mode: s.Mode, UID: s.UID, GID: s.GID,
		Size: s.Size, Atime: wireTime(s.Atime), Mtime: wireTime(s.Mtime)}
	return n.c.outcome(n.c.call.SetAttr(ctx, &req, new(wire.Empty), nil))
}

// maxXattr is the largest value, or list, of extended attributes (xattr(7)).
const maxXattr = 64 << 10

// Getxattr returns an extended attribute.
func (n *node) Getxattr(ctx context.Context, name string) ([]byte, error) {
	if len(name) > 255 {
		return nil, syscall.ERANGE
	}
	x := lane.Extra{Room: make([]byte, maxXattr)}
	err := n.c.call.Getxattr(ctx, &wire.NameRequest{Node: n.id, Name: name}, new(wire.Empty), &x)
	if err != nil {
		return nil, n.c.outcome(err)
	}
	return append([]byte(nil), x.Room...), nil
}

// Setxattr sets an extended attribute.
func (n *node) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	if len(name) > 255 {
		return syscall.ERANGE
	}
	if len(value) > maxXattr {
		return syscall.E2BIG
	}
	x := lane.Extra{Bulk: value}
	req := wire.XattrRequest{Node: n.id, Name: name, Flags: int32(flags)}
	return n.c.outcome(n.c.call.Setxattr(ctx, &req, new(wire.Empty), &x))
}

// Listxattr lists the names of extended attributes.
func (n *node) Listxattr(ctx context.Context) ([]string, error) {
	x := lane.Extra{Room: make([]byte, maxXattr)}
	if err := n.c.call.Listxattr(ctx, &wire.NodeRequest{Node: n.id}, new(wire.Empty), &x); err != nil {
		return nil, n.c.outcome(err)
	}
	if len(x.Room) == 0 {
		return nil, nil
	}
	list, ok := strings.CutSuffix(string(x.Room), "\x00")
	if !ok {
		return nil, n.c.broken("a list of names that does not end")
	}
	return strings.Split(list, "\x00"), nil
}

// Removexattr removes an extended attribute.
func (n *node) Removexattr(ctx context.Context, name string) error {
	if len(name) > 255 {
		return syscall.ERANGE
	}
	return n.c.outcome(n.c.call.Removexattr(ctx, &wire.NameRequest{Node: n.id, Name: name}, new(wire.Empty), nil))
}

// Readlink returns the link's text.
func (s *symlink) Readlink(ctx context.Context) (string, error) {
	x := lane.Extra{Room: make([]byte, 4096)}
	if err := s.c.call.Readlink(ctx, &wire.NodeRequest{Node: s.id}, new(wire.Empty), &x); err != nil {
		return "", s.c.outcome(err)
	}
	text := string(x.Room)
	if strings.IndexByte(text, 0) >= 0 {
		return "", s.c.broken("a link to %q", text)
	}
	return text, nil
}

// Open opens the file.
func (r *regular) Open(ctx context.Context, flags int) (vfs.File, error) { return r.open(ctx, flags) }

// Open opens the directory.
func (d *dir) Open(ctx context.Context, flags int) (vfs.File, error) { return d.open(ctx, flags) }

type openCall struct {
	req wire.OpenRequest
	rep wire.OpenReply
}

var openCalls = sync.Pool{New: func() any { return new(openCall) }}

func (n *node) open(ctx context.Context, flags int) (vfs.File, error) {
	if err := n.c.settle.wait(ctx); err != nil {
		return nil, err
	}
	o := openCalls.Get().(*openCall)
	defer openCalls.Put(o)
	o.req = wire.OpenRequest{Node: n.id, Flags: int32(flags)}
	if err := n.c.call.Open(ctx, &o.req, &o.rep, nil); err != nil {
		return nil, n.c.outcome(err)
	}
	of := n.self
	if o.rep.Node.ID != 0 {
		var err error
		if of, err = n.c.node(o.rep.Node); err != nil {
			return nil, err
		}
	}
	return n.c.newFile(o.rep.File, of)
}

// locker is a node whose server keeps its locks.
type locker struct{ n *node }

// GetLock tells of the lock in the way of l.
func (k locker) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	return k.n.c.getLock(ctx, k.n.id, 0, &l)
}

// SetLock sets or removes a lock, and waits for it.
func (k locker) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	return k.n.c.setLock(ctx, k.n.id, 0, &l, wait)
}

func lockRequest(node, file uint64, l *vfs.Lock, wait bool) *wire.LockRequest {
	return &wire.LockRequest{Node: node, File: file, Type: l.Type, Flock: l.Flock, Wait: wait, Owner: l.Owner,
		PID: l.PID, Start: l.Start, End: l.End}
}

func (c *Client) getLock(ctx context.Context, node, file uint64, l *vfs.Lock) (vfs.Lock, error) {
	var rep wire.LockReply
	if err := c.call.GetLock(ctx, lockRequest(node, file, l, false), &rep, nil); err != nil {
		return vfs.Lock{}, c.outcome(err)
	}
	if rep.Type != unix.F_UNLCK && (rep.Start < 0 || rep.End < rep.Start) {
		return vfs.Lock{}, c.broken("a lock from %d to %d", rep.Start, rep.End)
	}
	return vfs.Lock{Type: rep.Type, Flock: rep.Flock, Owner: rep.Owner, PID: rep.PID, Start: rep.Start, End: rep.End}, nil
}

func (c *Client) setLock(ctx context.Context, node, file uint64, l *vfs.Lock, wait bool) error {
	return c.outcome(c.call.SetLock(ctx, lockRequest(node, file, l, wait), new(wire.Empty), nil))
}
