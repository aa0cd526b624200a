package overlay

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// dir is a directory: of the lower file system, of the upper one, or of both.
type dir struct {
	node
	low    vfs.Dir // nil when it is a new one
	number uint64  // by age
	dead   atomic.Bool
	subs   atomic.Int32 // subdirectories made, less those removed

	mu    sync.RWMutex        // guards the rest, and all names in it
	up    vfs.Dir             // nil until something is written in it
	white map[string]struct{} // lower names that are gone; only with up
}

// Stat returns the attributes. The link count follows what is made and removed
// through the overlay, from the lower directory's at the time of the copy.
func (d *dir) Stat(ctx context.Context) (vfs.Attr, error) {
	u := d.upper.Load()
	if u == nil {
		a, err := d.low.Stat(ctx)
		if d.dead.Load() {
			a.Nlink = 0
		}
		return a, err
	}
	a, err := (*u).Stat(ctx)
	if err != nil || d.low == nil {
		return a, err
	}
	o := d.origin
	o.show(&a)
	a.Size = max(a.Size, o.size)
	switch {
	case d.dead.Load():
		a.Nlink = 0
	case o.nlink < 2:
		a.Nlink = 1 // a file system that does not count
	default:
		a.Nlink = uint32(max(2, int64(o.nlink)+int64(d.subs.Load())))
	}
	return a, nil
}

// Lookup finds a name, in the upper directory first.
func (d *dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	d.mu.RLock()
	n, err := d.lookup(ctx, name)
	d.mu.RUnlock()
	return n, err
}

// lookup is Lookup with mu held.
func (d *dir) lookup(ctx context.Context, name string) (vfs.Node, error) {
	n, _, err := d.find(ctx, name)
	return n, err
}

// find is lookup, and tells whether the name is below.
func (d *dir) find(ctx context.Context, name string) (n vfs.Node, below bool, err error) {
	if d.up != nil {
		n, err := d.up.Lookup(ctx, name)
		if err == nil {
			return d.fs.wrapUpper(n, d, name), false, nil
		}
		if !is(err, syscall.ENOENT) {
			return nil, false, err
		}
	}
	if d.low == nil || d.dead.Load() {
		return nil, false, syscall.ENOENT
	}
	if _, gone := d.white[name]; gone {
		return nil, false, syscall.ENOENT
	}
	if n, err = d.low.Lookup(ctx, name); err != nil {
		if d.up != nil && absent(err) {
			err = syscall.ENOENT // whatever became of the lower directory
		}
		return nil, false, err
	}
	return d.fs.wrapLower(ctx, n, d, name), true, nil
}

// shows reports whether name leads to the lower node itself. mu is held.
func (d *dir) shows(ctx context.Context, name string, lower vfs.Node) bool {
	if d.dead.Load() {
		return false
	}
	if _, gone := d.white[name]; gone {
		return false
	}
	if d.up != nil {
		if _, err := d.up.Lookup(ctx, name); !is(err, syscall.ENOENT) {
			return false
		}
	}
	return d.leadsTo(ctx, name, lower)
}

// below reports whether d is top or in it. What it says holds for as long as
// fs.renames is held.
func (d *dir) below(top *dir) bool {
	for {
		if d == top {
			return true
		}
		p := d.place.Load()
		if p == nil {
			return false
		}
		d = p.dir
	}
}

// SetAttr changes the upper directory.
func (d *dir) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	if s.Valid&vfs.SetSize != 0 {
		return syscall.EISDIR
	}
	if err := d.raise(ctx); err != nil {
		return err
	}
	return vfs.SetAttributes(ctx, d.now(), nil, s)
}

// Getxattr returns an extended attribute.
func (d *dir) Getxattr(ctx context.Context, name string) ([]byte, error) {
	return vfs.Getxattr(ctx, d.now(), name)
}

// Listxattr lists the extended attributes.
func (d *dir) Listxattr(ctx context.Context) ([]string, error) { return vfs.Listxattr(ctx, d.now()) }

// Setxattr sets an extended attribute of the upper directory.
func (d *dir) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	if err := d.raise(ctx); err != nil {
		return err
	}
	return vfs.Setxattr(ctx, d.now(), name, value, flags)
}

// Removexattr removes an extended attribute of the upper directory.
func (d *dir) Removexattr(ctx context.Context, name string) error {
	if _, err := d.Getxattr(ctx, name); err != nil {
		return err
	}
	if err := d.raise(ctx); err != nil {
		return err
	}
	return vfs.Removexattr(ctx, d.now(), name)
}
