package remote

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// place is the number of a node, or of a file, on a lane.
type place struct {
	c  *session
	id uint64
}

// node is what all kinds of nodes have. Its place changes when its server is
// started anew.
type node struct {
	client *Client
	at     atomic.Pointer[place]
	first  place  // what at points to at first
	kind   uint32 // wire's bits
	self   vfs.Node
	trace  trace
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

func newNode(c *session, w wire.Node) *node {
	var n *node
	switch {
	case w.Bits&wire.NodeLine != 0:
		l := &line{}
		n, l.self = &l.node, l
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
	n.client, n.kind = c.client, w.Bits
	n.first = place{c, w.ID}
	n.at.Store(&n.first)
	return n
}

// base returns the node part of one of this package's nodes of client c.
func base(c *Client, n vfs.Node) (*node, bool) {
	b, ok := n.(interface{ common() *node })
	if !ok || b.common().client != c {
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
	c, id, err := n.where(ctx)
	if err != nil {
		return vfs.Attr{}, err
	}
	s := statCalls.Get().(*statCall)
	defer statCalls.Put(s)
	s.req.Node = id
	if err := c.call.Stat(ctx, &s.req, &s.rep, nil); err != nil {
		return vfs.Attr{}, c.outcome(err)
	}
	a := &s.rep.Attr
	isDir, isLink := a.Mode&unix.S_IFMT == unix.S_IFDIR, a.Mode&unix.S_IFMT == unix.S_IFLNK
	if a.Size < 0 || a.Blocks < 0 || isDir != (n.kind&wire.NodeDir != 0) || isLink != (n.kind&wire.NodeLink != 0) {
		return vfs.Attr{}, c.broken("node %d: mode %#o, size %d", id, a.Mode, a.Size)
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
	c, id, err := n.where(ctx)
	if err != nil {
		return err
	}
	return c.outcome(c.call.Access(ctx, &wire.AccessRequest{Node: id, Mask: mask}, new(wire.Empty), nil))
}

// SetAttr changes attributes.
func (n *node) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	c, id, err := n.where(ctx)
	if err != nil {
		return err
	}
	return c.setAttr(ctx, id, 0, s)
}

func (c *session) setAttr(ctx context.Context, node, file uint64, s vfs.SetAttr) error {
	req := wire.SetAttrRequest{Node: node, File: file, Valid: s.Valid, Mode: s.Mode, UID: s.UID, GID: s.GID,
		Size: s.Size, Atime: wireTime(s.Atime), Mtime: wireTime(s.Mtime)}
	return c.outcome(c.call.SetAttr(ctx, &req, new(wire.Empty), nil))
}

// maxXattr is the largest value, or list, of extended attributes (xattr(7)).
const maxXattr = 64 << 10

// Getxattr returns an extended attribute.
func (n *node) Getxattr(ctx context.Context, name string) ([]byte, error) {
	if len(name) > 255 {
		return nil, syscall.ERANGE
	}
	c, id, err := n.where(ctx)
	if err != nil {
		return nil, err
	}
	x := lane.Extra{Room: make([]byte, maxXattr)}
	if err := c.call.Getxattr(ctx, &wire.NameRequest{Node: id, Name: name}, new(wire.Empty), &x); err != nil {
		return nil, c.outcome(err)
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
	c, id, err := n.where(ctx)
	if err != nil {
		return err
	}
	x := lane.Extra{Bulk: value}
	req := wire.XattrRequest{Node: id, Name: name, Flags: int32(flags)}
	return c.outcome(c.call.Setxattr(ctx, &req, new(wire.Empty), &x))
}

// Listxattr lists the names of extended attributes.
func (n *node) Listxattr(ctx context.Context) ([]string, error) {
	c, id, err := n.where(ctx)
	if err != nil {
		return nil, err
	}
	x := lane.Extra{Room: make([]byte, maxXattr)}
	if err := c.call.Listxattr(ctx, &wire.NodeRequest{Node: id}, new(wire.Empty), &x); err != nil {
		return nil, c.outcome(err)
	}
	if len(x.Room) == 0 {
		return nil, nil
	}
	list, ok := strings.CutSuffix(string(x.Room), "\x00")
	if !ok {
		return nil, c.broken("a list of names that does not end")
	}
	return strings.Split(list, "\x00"), nil
}

// Removexattr removes an extended attribute.
func (n *node) Removexattr(ctx context.Context, name string) error {
	if len(name) > 255 {
		return syscall.ERANGE
	}
	c, id, err := n.where(ctx)
	if err != nil {
		return err
	}
	return c.outcome(c.call.Removexattr(ctx, &wire.NameRequest{Node: id, Name: name}, new(wire.Empty), nil))
}

// Readlink returns the link's text.
func (s *symlink) Readlink(ctx context.Context) (string, error) {
	c, id, err := s.where(ctx)
	if err != nil {
		return "", err
	}
	x := lane.Extra{Room: make([]byte, 4096)}
	if err := c.call.Readlink(ctx, &wire.NodeRequest{Node: id}, new(wire.Empty), &x); err != nil {
		return "", c.outcome(err)
	}
	text := string(x.Room)
	if strings.IndexByte(text, 0) >= 0 {
		return "", c.broken("a link to %q", text)
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
	c, id, err := n.where(ctx)
	if err != nil {
		return nil, err
	}
	of, w, err := n.openAt(ctx, c, id, flags)
	if err != nil {
		return nil, err
	}
	return c.newFile(ctx, w, of, flags)
}

// openAt opens what has this number there, and returns what it turned out to be.
func (n *node) openAt(ctx context.Context, c *session, id uint64, flags int) (of vfs.Node, w wire.File, err error) {
	if err := c.settle.wait(ctx); err != nil {
		return nil, w, err
	}
	o := openCalls.Get().(*openCall)
	defer openCalls.Put(o)
	o.req = wire.OpenRequest{Node: id, Flags: int32(flags)}
	if err := c.call.Open(ctx, &o.req, &o.rep, nil); err != nil {
		return nil, w, c.outcome(err)
	}
	of = n.self
	if o.rep.Node.ID != 0 {
		if of, err = c.node(o.rep.Node); err != nil {
			c.settle.close(o.rep.File.ID)
			return nil, w, err
		}
	}
	return of, o.rep.File, nil
}

// locker is a node whose server keeps its locks.
type locker struct{ n *node }

// GetLock tells of the lock in the way of l.
func (k locker) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	c, id, err := k.n.where(ctx)
	if err != nil {
		return vfs.Lock{}, err
	}
	return c.getLock(ctx, lockRequest(id, 0, &l, false))
}

// SetLock sets or removes a lock, and waits for it.
func (k locker) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	c, id, err := k.n.where(ctx)
	if err != nil {
		return err
	}
	err = c.setLock(ctx, lockRequest(id, 0, &l, wait))
	k.n.trace.locking(c, &l, err)
	return err
}

func lockRequest(node, file uint64, l *vfs.Lock, wait bool) *wire.LockRequest {
	return &wire.LockRequest{Node: node, File: file, Type: l.Type, Flock: l.Flock, Wait: wait, Owner: l.Owner,
		PID: l.PID, Start: l.Start, End: l.End}
}

func (c *session) getLock(ctx context.Context, req *wire.LockRequest) (vfs.Lock, error) {
	var rep wire.LockReply
	if err := c.call.GetLock(ctx, req, &rep, nil); err != nil {
		return vfs.Lock{}, c.outcome(err)
	}
	if rep.Type != unix.F_UNLCK && (rep.Start < 0 || rep.End < rep.Start) {
		return vfs.Lock{}, c.broken("a lock from %d to %d", rep.Start, rep.End)
	}
	return vfs.Lock{Type: rep.Type, Flock: rep.Flock, Owner: rep.Owner, PID: rep.PID, Start: rep.Start, End: rep.End}, nil
}

func (c *session) setLock(ctx context.Context, req *wire.LockRequest) error {
	if req.Wait {
		ctx = hasty{ctx}
	}
	return c.outcome(c.call.SetLock(ctx, req, new(wire.Empty), nil))
}
