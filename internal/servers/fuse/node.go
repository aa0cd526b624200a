package fuse

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// node is what all nodes have.
type node struct {
	fs   *FS
	id   uint64
	kind uint32
	h    *handle  // nil for the root
	self vfs.Node // the type that has the node's abilities

	mu        sync.Mutex // guards the rest
	attr      vfs.Attr
	attrUntil time.Time
	changes   uint64              // grows when what an answer under way tells is old
	names     map[string]*dent    // of a directory
	text      string              // of a symbolic link, when it may be kept
	opens     map[*file]struct{}  // open files
	nameless  bool                // it has lost a name: perhaps nobody uses it any more
	locks     map[uint64]lockings // by owner
	btime     syscall.Timespec
	born      bool // btime is known
}

type (
	dir struct {
		node
		looked atomic.Bool // names were looked up since a listing
	}
	regular struct {
		node
		data data
		tmp  *file // the handle that TMPFILE gave; node.mu guards it
	}
	link    struct{ node }
	special struct{ node }
)

// Stat returns the attributes: those known as long as the daemon lets them be
// kept.
func (n *node) Stat(ctx context.Context) (vfs.Attr, error) {
	if err := n.fs.allowed(ctx); err != nil {
		return vfs.Attr{}, err
	}
	n.mu.Lock()
	a, valid := n.attr, n.attrUntil
	n.mu.Unlock()
	if !valid.IsZero() && time.Now().Before(valid) {
		return a, nil
	}
	return n.getattr(ctx)
}

// getattr asks for the attributes.
func (n *node) getattr(ctx context.Context) (vfs.Attr, error) {
	if n.fs.conn.minor >= 39 && !n.fs.conn.lacks[opStatx].Load() {
		a, err := n.statx(ctx)
		if err != syscall.ENOSYS {
			return a, err
		}
	}
	changes := n.version()
	r := newRequest(opGetattr, n.id)
	fh, has := n.anyHandle()
	flags := uint32(0)
	if has {
		flags = getattrFH
	}
	r.in = r.enc().u32(flags, 0).u64(fh).b
	r.max = attrOutSize
	if err := n.fs.conn.call(ctx, r); err != nil {
		return vfs.Attr{}, err
	}
	a, err := n.attrOut(r, changes)
	r.free()
	return a, err
}

// anyHandle returns an open handle of the file: a file without a name may be
// known to the daemon by that only.
func (n *node) anyHandle() (fh uint64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range n.opens {
		if !f.noHandle {
			return f.fh, true
		}
	}
	return 0, false
}

// attrOut takes a struct fuse_attr_out.
func (n *node) attrOut(r *request, changes uint64) (vfs.Attr, error) {
	d := decoder{b: r.body}
	valid := validity(d.u64(), d.u32())
	d.u32()
	a := d.attr()
	if d.bad {
		return a, n.fs.bad(r.op)
	}
	if a.Type() != n.kind {
		return a, syscall.EIO
	}
	return n.setAttr(a, valid, changes), nil
}

// setAttr notes attributes that the daemon has told, unless something was
// changed since, and returns them as POSIX sees them.
func (n *node) setAttr(a vfs.Attr, valid time.Duration, changes uint64) vfs.Attr {
	a.Dev = n.fs.dev
	if a.Ino == 0 {
		a.Ino = n.id // a name with the number 0 counts as deleted
	}
	a.OwnAccess = !n.fs.opts.DefaultPermissions
	if n.fs.opts.Blksize != 0 {
		a.Blksize = n.fs.opts.Blksize
	}
	n.mu.Lock()
	if n.born {
		a.Btime = n.btime
	}
	changed := n.attr.Mode != 0 && (a.Mtime != n.attr.Mtime || a.Size != n.attr.Size)
	if changes == n.changes {
		n.attr, n.attrUntil = a, until(valid)
	} else {
		changed = false
	}
	n.mu.Unlock()
	if changed {
		n.changed(a.Size)
	}
	return a
}

// alive keeps the node in use up to where it is called.
func (n *node) alive() { runtime.KeepAlive(n) }

func (n *node) version() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changes
}

// stale notes that the attributes have changed.
func (n *node) stale() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes++
	n.attrUntil = time.Time{}
}

// entered takes an entry that leads to n.
func (n *node) entered(e *entry, changes uint64) { n.setAttr(e.attr, e.attrValid, changes) }

// SetAttr changes attributes.
func (n *node) SetAttr(ctx context.Context, s vfs.SetAttr) error { return n.setattr(ctx, nil, s) }

func (n *node) setattr(ctx context.Context, f *file, s vfs.SetAttr) error {
	if err := n.fs.allowed(ctx); err != nil {
		return err
	}
	valid, fh := uint32(0), uint64(0)
	for _, b := range [...]struct{ have, want uint32 }{
		{vfs.SetMode, attrMode}, {vfs.SetUID, attrUID}, {vfs.SetGID, attrGID},
		{vfs.SetSize, attrSize_}, {vfs.SetAtime, attrAtime}, {vfs.SetMtime, attrMtime},
	} {
		if s.Valid&b.have != 0 {
			valid |= b.want
		}
	}
	if f != nil && !f.noHandle {
		valid, fh = valid|attrFH, f.fh
	}
	if s.Valid&vfs.SetSize != 0 {
		release, err := n.hold(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	r := newRequest(opSetattr, n.id)
	r.in = r.enc().u32(valid, 0).u64(fh, uint64(s.Size), 0).
		u64(uint64(s.Atime.Sec), uint64(s.Mtime.Sec), 0).u32(uint32(s.Atime.Nsec), uint32(s.Mtime.Nsec), 0).
		u32(n.kind|s.Mode&0o7777, 0, s.UID, s.GID, 0).b
	r.max = attrOutSize
	n.stale()
	err := n.fs.conn.call(ctx, r)
	n.stale()
	if s.Valid&vfs.SetSize != 0 {
		n.truncated(s.Size)
	}
	if err != nil {
		return err
	}
	_, err = n.attrOut(r, n.version())
	r.free()
	return err
}

// Access asks the daemon whether the caller may, for access(2) and chdir(2);
// mask is access(2)'s.
func (n *node) Access(ctx context.Context, mask uint32) error {
	if err := n.fs.allowed(ctx); err != nil {
		return err
	}
	if n.fs.opts.DefaultPermissions || n.fs.conn.lacks[opAccess].Load() {
		return nil
	}
	r := newRequest(opAccess, n.id)
	r.in = r.enc().u32(mask, 0).b
	err := n.fs.conn.call(ctx, r)
	if err == syscall.ENOSYS {
		err = nil
	}
	return err
}

// Readlink returns the text of a symbolic link.
func (l *link) Readlink(ctx context.Context) (string, error) {
	if err := l.fs.allowed(ctx); err != nil {
		return "", err
	}
	l.mu.Lock()
	text := l.text
	l.mu.Unlock()
	if text != "" {
		return text, nil
	}
	r := newRequest(opReadlink, l.id)
	r.max = pageSize - 1
	if err := l.fs.conn.call(ctx, r); err != nil {
		return "", err
	}
	for _, b := range r.body {
		if b == 0 {
			return "", l.fs.bad(opReadlink)
		}
	}
	text = string(r.body)
	r.free()
	if l.fs.has(initCacheSymlinks) {
		l.mu.Lock()
		l.text = text
		l.mu.Unlock()
	}
	return text, nil
}

// statx is getattr with the time of birth.
func (n *node) statx(ctx context.Context) (vfs.Attr, error) {
	changes := n.version()
	r := newRequest(opStatx, n.id)
	fh, has := n.anyHandle()
	flags := uint32(0)
	if has {
		flags = getattrFH
	}
	r.in = r.enc().u32(flags, 0).u64(fh).u32(0, unix.STATX_BASIC_STATS|unix.STATX_BTIME).b
	r.max = 288
	if err := n.fs.conn.call(ctx, r); err != nil {
		return vfs.Attr{}, err
	}
	d := decoder{b: r.body}
	valid := validity(d.u64(), d.u32())
	d.take(4 + 16)
	a, mask := d.statx()
	if d.bad {
		return a, n.fs.bad(opStatx)
	}
	r.free()
	if mask&unix.STATX_BASIC_STATS != unix.STATX_BASIC_STATS {
		return a, syscall.EIO
	}
	if a.Type() != n.kind {
		return a, syscall.EIO
	}
	n.mu.Lock()
	n.btime, n.born = a.Btime, mask&unix.STATX_BTIME != 0
	n.mu.Unlock()
	return n.setAttr(a, valid, changes), nil
}

// statx is struct fuse_statx.
func (d *decoder) statx() (a vfs.Attr, mask uint32) {
	mask = d.u32()
	a.Blksize = d.u32()
	d.u64()
	a.Nlink, a.UID, a.GID = d.u32(), d.u32(), d.u32()
	a.Mode = uint32(d.u16())
	d.u16()
	a.Ino, a.Size, a.Blocks = d.u64(), int64(d.u64()), int64(d.u64())
	d.u64()
	for _, t := range []*syscall.Timespec{&a.Atime, &a.Btime, &a.Ctime, &a.Mtime} {
		t.Sec, t.Nsec = int64(d.u64()), nsec(d.u32())
		d.u32()
	}
	a.Rdev = unix.Mkdev(d.u32(), d.u32())
	d.take(8 + 14*8)
	if a.Blksize == 0 || a.Blksize > 1<<30 {
		a.Blksize = pageSize
	}
	if !validType(a.Mode) || a.Size < 0 || a.Blocks < 0 {
		d.bad = true
	}
	return a, mask
}
