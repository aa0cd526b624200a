package fuse

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Lookup asks the daemon for a name, or what it has told before.
func (d *dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if err := d.fs.allowed(ctx); err != nil {
		return nil, err
	}
	if len(name) > nameMax {
		return nil, syscall.ENAMETOOLONG
	}
	if n, _, valid := d.cached(name); valid && !d.fs.conn.lost.Load() {
		if n == nil {
			return nil, syscall.ENOENT
		}
		return n.self, nil
	}
	d.looked.Store(true)
	r := newRequest(opLookup, d.id)
	r.in = r.enc().str(name).b
	r.max = entrySize
	r.late = d.fs.lateEntry
	err := d.fs.conn.call(ctx, r)
	if err != nil {
		if err == syscall.ENOENT {
			d.lose(name)
		}
		return nil, err
	}
	n, err := d.entry(r, name)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return nil, err
	}
	r.free()
	return n.self, nil
}

// lateEntry forgets what an abandoned request has looked up or made.
func (fs *FS) lateEntry(body []byte, err error) {
	d := decoder{b: body}
	if e := d.entry(); err == nil && e.id != 0 {
		fs.conn.forget(e.id, 1)
	}
}

// lateCreate also releases the handle that comes with it.
func (fs *FS) lateCreate(flags uint32) func([]byte, error) {
	return func(body []byte, err error) {
		d := decoder{b: body}
		e := d.entry()
		if o := d.open(); err == nil && !d.bad && e.id != 0 {
			fs.release(e.id, o.fh, flags, false, func() { fs.conn.forget(e.id, 1) })
		}
	}
}

// entry takes the entry that a request for name has got; nil for none.
func (d *dir) entry(r *request, name string) (*node, error) {
	dec := decoder{b: r.body}
	e := dec.entry()
	if dec.bad || e.id == rootID {
		return nil, d.fs.bad(r.op)
	}
	if e.id == 0 {
		d.remember(name, nil, e.entryValid)
		return nil, nil
	}
	n, err := d.fs.take(&e)
	if err != nil {
		return nil, err
	}
	n.entered(&e, n.version())
	d.remember(strings.Clone(name), n, e.entryValid)
	return n, nil
}

// asMaker lets the request be made as who owns the new file, unless somebody in
// particular asks.
func asMaker(r *request, o *vfs.MakeOptions) { r.caller = vfs.Caller{UID: o.UID, GID: o.GID} }

// Make makes a file of any kind.
func (d *dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	if err := d.fs.allowed(ctx); err != nil {
		return nil, err
	}
	var r *request
	switch o.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		r = newRequest(opMkdir, d.id)
		r.in = r.enc().u32(o.Mode&0o7777, 0).str(name).b
	case unix.S_IFLNK:
		r = newRequest(opSymlink, d.id)
		r.in = r.enc().str(name).str(o.Target).b
	default:
		r = newRequest(opMknod, d.id)
		r.in = r.enc().u32(o.Mode, rdevOut(o.Rdev), 0, 0).str(name).b
	}
	asMaker(r, &o)
	r.max = entrySize
	n, err := d.made(ctx, r, name, o.Mode)
	if err != nil {
		return nil, err
	}
	r.free()
	return n.self, nil
}

// made sends a request that makes name, of a kind, and takes its entry.
func (d *dir) made(ctx context.Context, r *request, name string, mode uint32) (*node, error) {
	r.late = d.fs.lateEntry
	err := d.fs.conn.call(ctx, r)
	d.stale()
	d.expire(name)
	if err != nil {
		return nil, noSuch(err, syscall.EPERM)
	}
	n, err := d.entry(r, name)
	if err != nil {
		return nil, err
	}
	if n == nil || mode&unix.S_IFMT != 0 && n.kind != mode&unix.S_IFMT {
		return nil, syscall.EIO
	}
	return n, nil
}

// noSuch replaces ENOSYS, which no system call of this kind returns.
func noSuch(err error, by syscall.Errno) error {
	if err == syscall.ENOSYS {
		return by
	}
	return err
}

// MakeOpen makes a regular file and opens it with one request, if the daemon
// knows that.
func (d *dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	if err := d.fs.allowed(ctx); err != nil {
		return nil, nil, err
	}
	if !d.fs.conn.lacks[opCreate].Load() {
		n, f, err := d.create(ctx, opCreate, name, o, flags)
		if err != syscall.ENOSYS {
			return n, f, err
		}
	}
	n, err := d.Make(ctx, name, o)
	if err != nil {
		return nil, nil, err
	}
	f, err := vfs.Open(ctx, n, flags)
	return n, f, err
}

// create is CREATE or TMPFILE.
func (d *dir) create(ctx context.Context, op uint32, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	sent := uint32(flags) | unix.O_CREAT | largeFile
	r := newRequest(op, d.id)
	r.in = r.enc().u32(sent, unix.S_IFREG|o.Mode&0o7777, 0, 0).str(name).b
	asMaker(r, &o)
	r.max = entrySize + openOutSize
	r.late = d.fs.lateCreate(sent)
	err := d.fs.conn.call(ctx, r)
	if op == opCreate {
		d.stale()
		d.expire(name)
	}
	if err != nil {
		return nil, nil, err
	}
	dec := decoder{b: r.body}
	e := dec.entry()
	out := dec.open()
	if dec.bad || e.id == 0 || e.id == rootID || e.attr.Type() != unix.S_IFREG {
		return nil, nil, d.fs.bad(op)
	}
	r.free()
	n, err := d.fs.take(&e)
	if err != nil {
		return nil, nil, err
	}
	n.entered(&e, n.version())
	if op == opCreate {
		d.remember(strings.Clone(name), n, e.entryValid)
	}
	f, err := n.opened(ctx, out, uint32(flags))
	if err != nil {
		return nil, nil, err
	}
	return n.self, f, nil
}

// Tmpfile makes a file without a name.
func (d *dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	if err := d.fs.allowed(ctx); err != nil {
		return nil, err
	}
	if d.fs.conn.minor < 37 || d.fs.conn.lacks[opTmpfile].Load() {
		return nil, syscall.EOPNOTSUPP
	}
	n, f, err := d.create(ctx, opTmpfile, "", o, unix.O_RDWR)
	if err != nil {
		return nil, noSuch(err, syscall.EOPNOTSUPP)
	}
	// The first Open gets the handle that came with it.
	reg := n.(*regular)
	reg.mu.Lock()
	reg.tmp, _ = f.(*file)
	reg.mu.Unlock()
	return n, nil
}

// Remove takes a name away.
func (d *dir) Remove(ctx context.Context, name string, isDir bool) error {
	if err := d.fs.allowed(ctx); err != nil {
		return err
	}
	op := uint32(opUnlink)
	if isDir {
		op = opRmdir
	}
	r := newRequest(op, d.id)
	r.in = r.enc().str(name).b
	err := d.fs.conn.call(ctx, r)
	d.stale()
	d.expire(name)
	if err == nil {
		d.lose(name)
		r.free()
	}
	return noSuch(err, syscall.EPERM)
}

// Rename moves a name.
func (d *dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	if err := d.fs.allowed(ctx); err != nil {
		return err
	}
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		return syscall.EXDEV
	}
	r := newRequest(opRename, d.id)
	if flags != 0 {
		if d.fs.conn.minor < 23 || d.fs.conn.lacks[opRename2].Load() {
			return syscall.EINVAL
		}
		r.op = opRename2
		r.in = r.enc().u64(t.id).u32(uint32(flags), 0).str(name).str(toName).b
	} else {
		r.in = r.enc().u64(t.id).str(name).str(toName).b
	}
	err := d.fs.conn.call(ctx, r)
	d.stale()
	t.stale()
	d.expire(name)
	t.expire(toName)
	if err == nil {
		r.free()
		moved, other := d.detach(name), t.detach(toName)
		// Whose attributes the next change of these names concerns.
		if moved != nil {
			t.remember(toName, moved, 0)
		}
		switch {
		case other == nil:
		case flags&unix.RENAME_EXCHANGE != 0:
			d.remember(name, other, 0)
		default:
			other.unnamed()
		}
	}
	if flags != 0 {
		return noSuch(err, syscall.EINVAL)
	}
	return noSuch(err, syscall.EPERM)
}

// Link gives target a second name.
func (d *dir) Link(ctx context.Context, target vfs.Node, name string) error {
	if err := d.fs.allowed(ctx); err != nil {
		return err
	}
	t := d.fs.own(target)
	if t == nil {
		return syscall.EXDEV
	}
	r := newRequest(opLink, d.id)
	r.in = r.enc().u64(t.id).str(name).b
	r.max = entrySize
	t.stale()
	_, err := d.made(ctx, r, name, t.kind)
	t.stale()
	if err == nil {
		r.free()
	}
	return err
}

// own returns the node of a vfs.Node of this file system, else nil.
func (fs *FS) own(n vfs.Node) *node {
	if b, ok := n.(interface{ base() *node }); ok && b.base().fs == fs {
		return b.base()
	}
	return nil
}

func (n *node) base() *node { return n }
