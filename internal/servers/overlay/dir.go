package overlay

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// dir is a directory: of the lower file system, of the upper one, or of both.
// Everything but lower is guarded by fs.names.
type dir struct {
	fs     *FS
	self   *wrapper
	lower  vfs.Dir // nil when it is a new one
	upper  vfs.Dir // nil until something is written in it
	parent *dir
	name   string
	dead   bool // removed

	id    identity
	white map[string]struct{} // lower names that are gone
}

func (d *dir) Stat(ctx context.Context) (vfs.Attr, error) {
	d.fs.names.RLock()
	upper := d.upper
	d.fs.names.RUnlock()
	if upper == nil {
		return d.lower.Stat(ctx)
	}
	a, err := upper.Stat(ctx)
	if err != nil {
		return a, err
	}
	if d.lower != nil {
		d.id.put(&a)
		if l, err := d.lower.Stat(ctx); err == nil && !d.dead {
			a.Nlink = max(a.Nlink, l.Nlink)
			a.Size = max(a.Size, l.Size)
		}
	}
	return a, nil
}

// Lookup finds a name, in the upper directory first.
func (d *dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	d.fs.names.RLock()
	defer d.fs.names.RUnlock()
	return d.lookup(ctx, name)
}

func (d *dir) lookup(ctx context.Context, name string) (vfs.Node, error) {
	if d.upper != nil {
		n, err := d.upper.Lookup(ctx, name)
		if err == nil {
			return d.fs.wrapUpper(n, d, name), nil
		}
		if err != syscall.ENOENT {
			return nil, err
		}
	}
	return d.lookupLower(ctx, name)
}

func (d *dir) lookupLower(ctx context.Context, name string) (vfs.Node, error) {
	if d.lower == nil {
		return nil, syscall.ENOENT
	}
	if _, gone := d.white[name]; gone {
		return nil, syscall.ENOENT
	}
	n, err := d.lower.Lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	return d.fs.wrapLower(n, d, name), nil
}

// shows reports whether name still leads to the lower node n.
func (d *dir) shows(ctx context.Context, name string, n vfs.Node) bool {
	if d.lower == nil || d.dead {
		return false
	}
	if _, gone := d.white[name]; gone {
		return false
	}
	if d.upper != nil {
		if _, err := d.upper.Lookup(ctx, name); err == nil {
			return false
		}
	}
	l, err := d.lower.Lookup(ctx, name)
	return err == nil && l == n
}

// ensureUpper makes the upper directory, and those above it. fs.names is held
// for writing.
func (d *dir) ensureUpper(ctx context.Context) error {
	if d.upper != nil {
		return nil
	}
	if d.dead || d.parent == nil {
		return syscall.ENOENT
	}
	if err := d.parent.ensureUpper(ctx); err != nil {
		return err
	}
	a, err := d.lower.Stat(ctx)
	if err != nil {
		return err
	}
	n, err := vfs.Make(ctx, d.parent.upper, d.name, vfs.MakeOptions{Mode: a.Mode, UID: a.UID, GID: a.GID})
	if err != nil {
		return err
	}
	if err := copyXattrs(ctx, n, d.lower); err != nil {
		return err
	}
	if err := vfs.SetAttributes(ctx, n, nil, copyAttr(&a)); err != nil {
		return err
	}
	d.id.set(&a)
	d.upper = n.(vfs.Dir)
	d.fs.keep(d.self, d.lower, n)
	return nil
}

// hide makes a lower name go away, if there is one.
func (d *dir) hide(ctx context.Context, name string) {
	if d.lower == nil {
		return
	}
	if _, gone := d.white[name]; gone {
		return
	}
	if n, err := d.lower.Lookup(ctx, name); err != nil {
		return
	} else if f := asFile(d.fs.wrapLower(n, d, name)); f != nil {
		f.gone.Add(1)
	}
	if d.white == nil {
		d.white = map[string]struct{}{}
	}
	d.white[name] = struct{}{}
	d.fs.keep(d.self, d.lower, nil)
}

// exists reports whether there is a name. Errors count as one.
func (d *dir) exists(ctx context.Context, name string) error {
	_, err := d.lookup(ctx, name)
	switch err {
	case nil:
		return syscall.EEXIST
	case syscall.ENOENT:
		return nil
	}
	return err
}

// Make makes a file of any kind in the upper directory.
func (d *dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.exists(ctx, name); err != nil {
		return nil, err
	}
	if err := d.ensureUpper(ctx); err != nil {
		return nil, err
	}
	n, err := vfs.Make(ctx, d.upper, name, o)
	if err != nil {
		return nil, err
	}
	return d.fs.wrapUpper(n, d, name), nil
}

// Tmpfile makes a file without a name.
func (d *dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.ensureUpper(ctx); err != nil {
		return nil, err
	}
	return vfs.Tmpfile(ctx, d.upper, o)
}

// Link names a file again; a lower one is copied up.
func (d *dir) Link(ctx context.Context, target vfs.Node, name string) error {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.exists(ctx, name); err != nil {
		return err
	}
	if _, ok := target.(*dir); ok {
		return syscall.EPERM
	}
	if f := asFile(target); f != nil {
		if f.fs != d.fs {
			return syscall.EXDEV
		}
		if err := f.copyUpLocked(ctx, true); err != nil {
			return err
		}
		target = f.now()
	}
	if err := d.ensureUpper(ctx); err != nil {
		return err
	}
	return vfs.Link(ctx, d.upper, target, name)
}

// Remove removes a name from both.
func (d *dir) Remove(ctx context.Context, name string, isDir bool) error {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	n, err := d.lookup(ctx, name)
	if err != nil {
		return err
	}
	return d.remove(ctx, name, n, isDir)
}

func (d *dir) remove(ctx context.Context, name string, n vfs.Node, isDir bool) error {
	c, ok := n.(*dir)
	switch {
	case isDir && !ok:
		return syscall.ENOTDIR
	case !isDir && ok:
		return syscall.EISDIR
	case ok:
		if empty, err := c.isEmpty(ctx); err != nil {
			return err
		} else if !empty {
			return syscall.ENOTEMPTY
		}
	}
	if d.upper != nil {
		u, err := d.upper.Lookup(ctx, name)
		if err == nil {
			if err := vfs.Remove(ctx, d.upper, name, isDir); err != nil {
				return err
			}
			if isDir {
				d.fs.forgetUpper(u)
			}
		}
	}
	// Its times change as a directory's do.
	if err := d.ensureUpper(ctx); err != nil {
		return err
	}
	d.hide(ctx, name)
	if ok {
		c.dead = true
	}
	return d.touch(ctx)
}

func (d *dir) isEmpty(ctx context.Context) (bool, error) {
	list, err := d.list(ctx)
	return len(list) == 0, err
}

// SetAttr changes the upper directory.
func (d *dir) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.ensureUpper(ctx); err != nil {
		return err
	}
	return vfs.SetAttributes(ctx, d.upper, nil, s)
}

// touch gives the directory's modification time now.
func (d *dir) touch(ctx context.Context) error {
	t := now()
	return vfs.SetAttributes(ctx, d.upper, nil, vfs.SetAttr{Valid: vfs.SetMtime, Mtime: t})
}

// counts returns the directory whose attributes count.
func (d *dir) counts() vfs.Dir {
	d.fs.names.RLock()
	defer d.fs.names.RUnlock()
	if d.upper != nil {
		return d.upper
	}
	return d.lower
}

func (d *dir) Getxattr(ctx context.Context, name string) ([]byte, error) {
	return vfs.Getxattr(ctx, d.counts(), name)
}

func (d *dir) Listxattr(ctx context.Context) ([]string, error) { return vfs.Listxattr(ctx, d.counts()) }

func (d *dir) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.ensureUpper(ctx); err != nil {
		return err
	}
	return vfs.Setxattr(ctx, d.upper, name, value, flags)
}

func (d *dir) Removexattr(ctx context.Context, name string) error {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.ensureUpper(ctx); err != nil {
		return err
	}
	return vfs.Removexattr(ctx, d.upper, name)
}
