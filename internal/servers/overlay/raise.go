package overlay

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// raise makes the upper directory, and those above it. No dir.mu is held.
func (d *dir) raise(ctx context.Context) error {
	for d.upper.Load() == nil {
		p := d.place.Load()
		if d.dead.Load() || p == nil {
			return syscall.ENOENT
		}
		if err := p.dir.raise(ctx); err != nil {
			return err
		}
		if err := d.raiseAt(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// raiseAt makes the upper directory in p, and nothing if d is not there.
func (d *dir) raiseAt(ctx context.Context, p *place) error {
	p.dir.mu.Lock()
	defer p.dir.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.up != nil || d.dead.Load() || d.place.Load() != p {
		return nil // raise sees to it
	}
	if !p.dir.shows(ctx, p.name, d.lower) {
		return syscall.ESTALE // the host has moved it
	}
	a, err := d.lower.Stat(ctx)
	if err != nil {
		return err
	}
	return p.dir.unseen(ctx, func() error {
		o := vfs.MakeOptions{Mode: a.Mode, UID: a.UID, GID: a.GID}
		n, err := vfs.Make(ctx, p.dir.up, p.name, o)
		if err != nil {
			return err
		}
		if err := dress(ctx, n, d.lower, &a); err != nil {
			vfs.Remove(context.Background(), p.dir.up, p.name, true)
			return err
		}
		d.raised(n.(vfs.Dir), &a)
		return nil
	})
}

// raised makes u the upper directory. mu is held.
func (d *dir) raised(u vfs.Dir, a *vfs.Attr) {
	n := vfs.Node(u)
	d.origin = originOf(a)
	d.up = u
	d.fs.uppers.Store(n, &d.node)
	d.upper.Store(&n)
}

// unseen makes a change in the upper directory that changes nothing that can be
// seen, so the times are to stay. mu is held.
func (d *dir) unseen(ctx context.Context, change func() error) error {
	a, err := d.up.Stat(ctx)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	// The change is made; that the times stay is a courtesy.
	_ = vfs.SetAttributes(context.WithoutCancel(ctx), d.up, nil,
		vfs.SetAttr{Valid: vfs.SetAtime | vfs.SetMtime, Atime: a.Atime, Mtime: a.Mtime})
	return nil
}

// touch gives the directory's modification time now.
func (d *dir) touch(ctx context.Context) {
	_ = vfs.SetAttributes(context.WithoutCancel(ctx), d.up, nil, vfs.SetAttr{Valid: vfs.SetMtime, Mtime: now()})
}

// hide makes a lower name go away, if there is one. mu is held, and up is there.
func (d *dir) hide(ctx context.Context, name string) {
	if d.low == nil {
		return
	}
	if _, gone := d.white[name]; gone {
		return
	}
	if _, err := d.low.Lookup(context.WithoutCancel(ctx), name); !absent(err) {
		d.whiteOut(name)
	}
}

// whiteOut is hide for a name that is known to be below.
func (d *dir) whiteOut(name string) {
	if d.white == nil {
		d.white = map[string]struct{}{}
	}
	d.white[strings.Clone(name)] = struct{}{}
}

// bury makes d a removed directory: its wrapper is the last to know it. mu is
// held, and the parent's.
func (d *dir) bury() {
	d.dead.Store(true)
	if u := d.upper.Load(); u != nil {
		d.fs.uppers.CompareAndDelete(*u, &d.node)
	}
	if d.lower != nil && d.fs.known(d.lower) == &d.node {
		d.fs.lowers.Delete(d.lower)
	}
}
