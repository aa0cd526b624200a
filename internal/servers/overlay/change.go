package overlay

import (
	"context"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func now() syscall.Timespec { return syscall.NsecToTimespec(time.Now().UnixNano()) }

// begin raises d for a change of name, if nothing stands against it: exists says
// whether there must be the name, or must not. So a call that fails leaves no
// directories behind.
func (d *dir) begin(ctx context.Context, name string, exists bool) error {
	if d.upper.Load() != nil {
		return nil
	}
	if _, err := d.Lookup(ctx, name); err == nil && !exists {
		return syscall.EEXIST
	} else if err != nil && (exists || !is(err, syscall.ENOENT)) {
		return err
	}
	return d.raise(ctx)
}

// vacant is nil when there is no name. mu is held.
func (d *dir) vacant(ctx context.Context, name string) error {
	_, err := d.lookup(ctx, name)
	switch {
	case err == nil:
		return syscall.EEXIST
	case is(err, syscall.ENOENT):
		return nil
	}
	return err
}

// Make makes a file of any kind in the upper directory.
func (d *dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	if err := d.begin(ctx, name, false); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.vacant(ctx, name); err != nil {
		return nil, err
	}
	n, err := vfs.Make(ctx, d.up, name, o)
	if err != nil {
		return nil, err
	}
	if o.Mode&unix.S_IFMT == unix.S_IFDIR {
		d.subs.Add(1)
	}
	return d.fs.wrapUpper(n, d, name), nil
}

// MakeOpen makes a regular file in the upper directory, and opens it.
func (d *dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	if err := d.begin(ctx, name, false); err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.vacant(ctx, name); err != nil {
		return nil, nil, err
	}
	return makeOpen(ctx, d.up, name, o, flags)
}

// makeOpen makes a regular file and opens it.
func makeOpen(ctx context.Context, d vfs.Dir, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	o.Mode = o.Mode&0o7777 | unix.S_IFREG
	if m, ok := d.(vfs.MakeOpener); ok {
		return m.MakeOpen(ctx, name, o, flags)
	}
	n, err := vfs.Make(ctx, d, name, o)
	if err != nil {
		return nil, nil, err
	}
	f, err := vfs.Open(ctx, n, flags)
	if err != nil {
		vfs.Remove(context.Background(), d, name, false)
		return nil, nil, err
	}
	return n, f, nil
}

// Tmpfile makes a file without a name.
func (d *dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	if d.dead.Load() {
		return nil, syscall.ENOENT
	}
	return vfs.Tmpfile(ctx, d.fs.links, o)
}

// Link names a file again; a lower one is copied up.
func (d *dir) Link(ctx context.Context, target vfs.Node, name string) error {
	if t, ok := target.(*dir); ok {
		if t.fs != d.fs {
			return syscall.EXDEV
		}
		return syscall.EPERM
	}
	if err := d.begin(ctx, name, false); err != nil {
		return err
	}
	f := fileOf(target)
	if f != nil {
		if f.fs != d.fs {
			return syscall.EXDEV
		}
		if err := f.copyUp(ctx, true); err != nil {
			return err
		}
		if f.names(ctx) == 0 {
			return syscall.ENOENT
		}
		target = f.now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.vacant(ctx, name); err != nil {
		return err
	}
	if err := vfs.Link(ctx, d.up, target, name); err != nil {
		return err
	}
	if f != nil {
		f.delta.Add(1)
	}
	return nil
}

// Remove removes a name from both.
func (d *dir) Remove(ctx context.Context, name string, isDir bool) error {
	if err := d.begin(ctx, name, true); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, below, err := d.find(ctx, name)
	if err != nil {
		return err
	}
	c, _ := n.(*dir)
	switch {
	case isDir && c == nil:
		return syscall.ENOTDIR
	case !isDir && c != nil:
		return syscall.EISDIR
	case c != nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		if err := c.vacated(ctx); err != nil {
			return err
		}
	}
	if below {
		if err := ended(ctx); err != nil {
			return err
		}
		d.whiteOut(name)
		d.touch(ctx)
	} else {
		if err := vfs.Remove(ctx, d.up, name, isDir); err != nil {
			return err
		}
		d.hide(ctx, name)
	}
	d.lost(ctx, n)
	return nil
}

// ended is a ctx's cause, if it has ended.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// lost counts that a name of n in d is gone. d.mu is held, and n's if it is a
// directory.
func (d *dir) lost(ctx context.Context, n vfs.Node) {
	if c, ok := n.(*dir); ok {
		c.bury()
		d.subs.Add(-1)
	} else if f := fileOf(n); f != nil {
		f.unlinked(ctx)
	}
}

// vacated is ENOTEMPTY when there is something in d. mu is held.
func (d *dir) vacated(ctx context.Context) error {
	if d.up != nil {
		if err := each(ctx, d.up, 1, func(vfs.Dirent) error { return syscall.ENOTEMPTY }); err != nil {
			return err
		}
	}
	if d.low == nil {
		return nil
	}
	err := each(ctx, d.low, len(d.white)+1, func(e vfs.Dirent) error {
		if _, gone := d.white[e.Name]; !gone {
			return syscall.ENOTEMPTY
		}
		return nil
	})
	if absent(err) {
		return nil
	}
	return err
}
