package overlay

import (
	"context"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// copyUp makes the upper file, with the contents unless they are not wanted, and
// names it where the lower one was found. It is made in fs.links, out of sight;
// there it keeps a name if the lower one has several, since those not used yet
// lead to it too. No dir.mu is held.
func (f *file) copyUp(ctx context.Context, contents bool) error {
	if f.upper.Load() != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.upper.Load() != nil {
		return nil
	}
	a, err := f.lower.Stat(ctx)
	if err != nil {
		return err
	}
	name := f.fs.unique()
	u, open, err := f.duplicate(ctx, name, &a, contents)
	if err == nil {
		err = f.install(ctx, name, u, open, &a)
	}
	if err != nil {
		if open != nil {
			open.Close()
		}
		if u != nil {
			_ = vfs.Remove(context.WithoutCancel(ctx), f.fs.links, name, false)
		}
	}
	return err
}

// duplicate makes the copy in fs.links. A regular file is left open.
func (f *file) duplicate(ctx context.Context, name string, a *vfs.Attr, contents bool) (u vfs.Node, open vfs.File, err error) {
	o := vfs.MakeOptions{Mode: a.Mode, UID: a.UID, GID: a.GID, Rdev: a.Rdev}
	switch {
	case a.IsRegular():
		o.Mode = 0o600
		if u, open, err = makeOpen(ctx, f.fs.links, name, o, unix.O_RDWR); err == nil && contents {
			err = fill(ctx, open, f.lower, a)
		}
	case a.IsSymlink():
		if o.Target, err = vfs.Readlink(ctx, f.lower); err != nil {
			return nil, nil, err
		}
		u, err = vfs.Make(ctx, f.fs.links, name, o)
	default:
		u, err = vfs.Make(ctx, f.fs.links, name, o)
	}
	if err == nil {
		err = dress(ctx, u, f.lower, a)
	}
	return u, open, err
}

// install puts the copy u, called name in fs.links, in the place of the lower
// file, and closes open unless somebody needs it. After an error nothing has
// changed.
func (f *file) install(ctx context.Context, name string, u vfs.Node, open vfs.File, a *vfs.Attr) error {
	if err := ended(ctx); err != nil {
		return err
	}
	hidden := name
	if p := f.place.Load(); p.dir.raise(ctx) == nil {
		d := p.dir
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.shows(ctx, p.name, f.lower) {
			if err := d.unseen(ctx, func() error {
				if a.Nlink > 1 {
					return vfs.Link(ctx, d.up, u, p.name)
				}
				hidden = ""
				return vfs.Rename(ctx, f.fs.links, name, d.up, p.name, unix.RENAME_NOREPLACE)
			}); err != nil {
				return err
			}
		}
	}
	f.publish(ctx, hidden, u, a)
	if open == nil {
		return nil
	}
	if f.low.Load() == 0 {
		return open.Close()
	}
	f.anchor.Store(&open)
	f.weigh()
	return nil
}

// publish makes u the file.
func (f *file) publish(ctx context.Context, hidden string, u vfs.Node, a *vfs.Attr) {
	f.fs.tables.Lock()
	f.origin = originOf(a)
	f.upper.Store(&u)
	delete(f.fs.kept, &f.node)
	if f.count(a.Nlink) > 0 {
		f.fs.uppers.Store(u, &f.node)
		f.hidden, hidden = hidden, ""
	}
	f.fs.tables.Unlock()
	f.loans.recall()
	if hidden != "" {
		_ = vfs.Remove(context.WithoutCancel(ctx), f.fs.links, hidden, false)
	}
}

// weigh lifts the anchor when no open file needs it.
func (f *file) weigh() {
	if f.low.Load() > 0 {
		return
	}
	if a := f.anchor.Swap(nil); a != nil {
		(*a).Close()
	}
}
