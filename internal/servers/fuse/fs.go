package fuse

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"weak"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Options are those of mount(2), and what the channel can carry.
type Options struct {
	// RootMode has the type bits of the root; 0 is a directory.
	RootMode uint32
	// UID and GID are who mounted. Without AllowOther all others get EACCES,
	// the superuser among them.
	UID, GID   uint32
	AllowOther bool
	// DefaultPermissions: POSIX checks modes as on any other file system. Without
	// it the daemon decides.
	DefaultPermissions bool
	// MaxRead bounds a READ in bytes; 0 is no limit.
	MaxRead int
	// MaxMessage bounds the data in a message; 0 is no limit.
	MaxMessage int
	// Blksize is what stat tells, for fuseblk; 0 is the daemon's.
	Blksize uint32
	// Log hears why a daemon was cut off; nil for nobody.
	Log func(format string, args ...any)
	// Backing returns the file behind a backing id (passthrough), which can be used
	// until done is called; nil when the channel has no such ids.
	Backing func(id int32) (f vfs.File, done func(), err error)
}

// FS is a mounted daemon. Its methods may be called concurrently.
type FS struct {
	opts Options
	conn *conn
	dev  uint64

	mu     sync.Mutex // guards the rest
	nodes  map[uint64]*handle
	root   *node
	recent recent
	kept   kept
	files  map[uint64]*file // those that poll, by kh
	lastKH uint64
	gone   bool
	epoch  uint64
	busies int  // what is being written back without anybody who waits
	ending bool // the end waits for that

	evictions atomic.Uint64 // see evicted
}

// handle is what the daemon knows of a node: how often it was looked up.
type handle struct {
	id, generation uint64
	lookups        uint64
	node           weak.Pointer[node]
}

var lastDev atomic.Uint64

func newFS(o Options) *FS {
	if o.RootMode == 0 {
		o.RootMode = unix.S_IFDIR
	}
	if o.MaxRead == 0 {
		o.MaxRead = noLimit
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = noLimit
	}
	fs := &FS{opts: o, dev: unix.Mkdev(0, uint32(0x200+lastDev.Add(1))), nodes: map[uint64]*handle{}, files: map[uint64]*file{}}
	fs.conn = newConn(fs)
	fs.root = fs.newNode(rootID, o.RootMode)
	return fs
}

// Root returns the daemon's root.
func (fs *FS) Root(context.Context) (vfs.Node, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.root == nil {
		return nil, syscall.ENOTCONN
	}
	return fs.root.self, nil
}

// Started waits until the daemon has answered its first request, or will not.
func (fs *FS) Started(ctx context.Context) error {
	err := fs.conn.awaitReady(ctx)
	if err == syscall.ENOTCONN {
		fs.conn.mu.Lock()
		defer fs.conn.mu.Unlock()
		if fs.conn.why != nil {
			return fs.conn.why
		}
		return fmt.Errorf("fuse: the daemon ended before it answered: %w", syscall.ENOTCONN)
	}
	return err
}

// Unmount ends the file system: the daemon is told when it has done what it was
// asked before, or with force cut off at once.
func (fs *FS) Unmount(force bool) {
	fs.mu.Lock()
	fs.ending = true
	wait := fs.busies > 0 && !force
	fs.mu.Unlock()
	switch {
	case force:
		fs.conn.abort(nil)
	case !wait:
		fs.conn.end()
	}
	fs.drop()
}

// busy notes that something is written back which an unmount waits for.
func (fs *FS) busy() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.busies++
}

// idle notes its end.
func (fs *FS) idle() {
	fs.mu.Lock()
	fs.busies--
	end := fs.busies == 0 && fs.ending
	fs.mu.Unlock()
	if end {
		fs.conn.end()
	}
}

// drop lets go of all nodes that nobody else holds.
func (fs *FS) drop() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.recent, fs.kept = recent{}, kept{}
	fs.gone = true
}

// died implements peer.
func (fs *FS) died() {
	fs.mu.Lock()
	files := make([]*file, 0, len(fs.files))
	for _, f := range fs.files {
		files = append(files, f)
	}
	fs.mu.Unlock()
	for _, f := range files {
		f.queue.Notify(vfs.EventErr | vfs.EventHup)
	}
	if why := fs.conn.why; why != nil && fs.opts.Log != nil {
		fs.opts.Log("%v", why)
	}
	fs.drop()
}

// bad ends the mount, because the daemon's answer to an operation made no sense.
func (fs *FS) bad(op uint32) error {
	fs.conn.abort(fmt.Errorf("fuse: malformed answer to operation %d: %w", op, syscall.EPROTO))
	return syscall.EIO
}

// allowed begins each operation: it checks that the caller may use the mount at
// all, and waits until it is known what the daemon can do.
func (fs *FS) allowed(ctx context.Context) error {
	if err := fs.permitted(ctx); err != nil {
		return err
	}
	return fs.conn.awaitReady(ctx)
}

func (fs *FS) permitted(ctx context.Context) error {
	if fs.opts.AllowOther {
		return nil
	}
	c, ok := vfs.CallerOf(ctx)
	if ok && (c.UID != fs.opts.UID || c.GID != fs.opts.GID) {
		return syscall.EACCES
	}
	return nil
}

// newNode makes a node of the kind in mode.
func (fs *FS) newNode(id uint64, mode uint32) *node {
	var n *node
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		d := &dir{}
		n, d.self = &d.node, d
	case unix.S_IFLNK:
		l := &link{}
		n, l.self = &l.node, l
	case unix.S_IFREG:
		r := &regular{}
		n, r.self = &r.node, r
	default:
		s := &special{}
		n, s.self = &s.node, s
	}
	n.fs, n.id, n.kind = fs, id, mode&unix.S_IFMT
	return n
}

// take returns the node of an entry that the daemon has returned, which counts
// as a look-up of it.
func (fs *FS) take(e *entry) (*node, error) {
	if e.id == 0 || e.id == rootID {
		return nil, syscall.EIO
	}
	fs.mu.Lock()
	h := fs.nodes[e.id]
	var n *node
	if h != nil {
		if n = h.node.Value(); n != nil && (n.kind != e.attr.Type() || h.generation != e.generation) {
			n = nil // the daemon uses the number for another file
		}
	}
	if n == nil {
		n = fs.newNode(e.id, e.attr.Mode)
		h = &handle{id: e.id, generation: e.generation, node: weak.Make(n)}
		n.h = h
		if !fs.gone {
			fs.nodes[e.id] = h
		}
		runtime.AddCleanup(n, forgotten, unheld{weak.Make(fs), h})
	}
	h.lookups++
	fs.mu.Unlock()
	return n, nil
}

// unheld is a node that nobody has any more. Nodes and their FS have each other:
// it must not be this that keeps them.
type unheld struct {
	fs weak.Pointer[FS]
	h  *handle
}

// forgotten tells the daemon, if the FS is still there.
func forgotten(u unheld) {
	fs, h := u.fs.Value(), u.h
	if fs == nil {
		return
	}
	fs.mu.Lock()
	if fs.nodes[h.id] == h {
		delete(fs.nodes, h.id)
	}
	n := h.lookups
	fs.mu.Unlock()
	fs.conn.forget(h.id, n)
}

// known returns the node with the id, if it is in use.
func (fs *FS) known(id uint64) *node {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if id == rootID {
		return fs.root
	}
	if h := fs.nodes[id]; h != nil {
		return h.node.Value()
	}
	return nil
}

// until is the end of a validity that begins now.
func until(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// superMagic is the file system's type in statfs(2).
const superMagic = 0x65735546

// Statfs asks the daemon; those who may not use the mount learn its type only.
func (fs *FS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	s := vfs.Statfs{Type: superMagic, BlockSize: 4096, NameMax: 255}
	if fs.permitted(ctx) != nil {
		return s, nil
	}
	r := newRequest(opStatfs, rootID)
	r.max = 80
	if err := fs.conn.call(ctx, r); err != nil {
		if err == syscall.ENOSYS {
			return s, nil
		}
		return s, err
	}
	d := decoder{b: r.body}
	s.Blocks, s.BlocksFree, s.BlocksAvailable, s.Files, s.FilesFree = d.u64(), d.u64(), d.u64(), d.u64(), d.u64()
	s.BlockSize, s.NameMax = d.u32(), d.u32()
	if d.bad {
		return s, fs.bad(opStatfs)
	}
	r.free()
	return s, nil
}

// Pending returns how many requests the daemon has, and how many of them nobody
// waits for any more.
func (fs *FS) Pending() (sent, abandoned int) {
	fs.conn.mu.Lock()
	defer fs.conn.mu.Unlock()
	return len(fs.conn.pending), fs.conn.abandoned
}
