package overlay

import (
	"context"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func now() syscall.Timespec { return syscall.NsecToTimespec(time.Now().UnixNano()) }

// Rename moves a name. A lower file is copied up for it; of a lower directory
// only the directory itself is: the overlay knows that what is in it stays
// where it was.
func (d *dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		return syscall.EXDEV
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 || flags == unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE {
		return syscall.EINVAL
	}
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	from, err := d.lookup(ctx, name)
	if err != nil {
		return err
	}
	if t.dead {
		return syscall.ENOENT
	}
	over, err := t.lookup(ctx, toName)
	switch {
	case err != nil && err != syscall.ENOENT:
		return err
	case err == nil && flags == unix.RENAME_NOREPLACE:
		return syscall.EEXIST
	case err != nil && flags == unix.RENAME_EXCHANGE:
		return syscall.ENOENT
	case err == nil && over == from:
		return nil
	}
	if err := checkLoop(from, t); err != nil {
		return err
	}
	if flags == unix.RENAME_EXCHANGE {
		if err := checkLoop(over, d); err != nil {
			return err
		}
		return d.exchange(ctx, name, from, t, toName, over)
	}
	if err == nil {
		if err := replaceable(ctx, from, over); err != nil {
			return err
		}
	}
	if err := d.bringUp(ctx, name, from); err != nil {
		return err
	}
	if err := t.ensureUpper(ctx); err != nil {
		return err
	}
	if c, ok := over.(*dir); ok {
		// It may have lower names that are gone, so the upper one is removed first.
		if err := t.remove(ctx, toName, c, true); err != nil {
			return err
		}
	}
	if err := vfs.Rename(ctx, d.upper, name, t.upper, toName, 0); err != nil {
		return err
	}
	t.hide(ctx, toName)
	d.hide(ctx, name)
	moved(from, t, toName)
	return d.touch(ctx)
}

// exchange swaps two names.
func (d *dir) exchange(ctx context.Context, name string, from vfs.Node, t *dir, toName string, over vfs.Node) error {
	if err := d.bringUp(ctx, name, from); err != nil {
		return err
	}
	if err := t.bringUp(ctx, toName, over); err != nil {
		return err
	}
	if err := vfs.Rename(ctx, d.upper, name, t.upper, toName, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	d.hide(ctx, name)
	t.hide(ctx, toName)
	moved(from, t, toName)
	moved(over, d, name)
	return nil
}

// bringUp makes sure that name is in the upper directory of d.
func (d *dir) bringUp(ctx context.Context, name string, n vfs.Node) error {
	if c, ok := n.(*dir); ok {
		if err := c.ensureUpper(ctx); err != nil {
			return err
		}
	}
	if f := asFile(n); f != nil {
		f.at.Store(&place{d, name})
		if err := f.copyUpLocked(ctx, true); err != nil {
			return err
		}
		if err := d.ensureUpper(ctx); err != nil {
			return err
		}
		// A copy that has another of its names does not have this one yet.
		if _, err := d.upper.Lookup(ctx, name); err == syscall.ENOENT {
			return vfs.Link(ctx, d.upper, f.now(), name)
		}
	}
	return d.ensureUpper(ctx)
}

func moved(n vfs.Node, to *dir, name string) {
	if c, ok := n.(*dir); ok {
		c.parent, c.name = to, name
	} else if f := asFile(n); f != nil {
		f.at.Store(&place{to, name})
	}
}

// checkLoop is EINVAL when n is a directory that has to in it.
func checkLoop(n vfs.Node, to *dir) error {
	c, ok := n.(*dir)
	for ; ok && to != nil; to = to.parent {
		if to == c {
			return syscall.EINVAL
		}
	}
	return nil
}

func replaceable(ctx context.Context, from, over vfs.Node) error {
	_, fromDir := from.(*dir)
	c, overDir := over.(*dir)
	switch {
	case fromDir && !overDir:
		return syscall.ENOTDIR
	case !fromDir && overDir:
		return syscall.EISDIR
	case overDir:
		empty, err := c.isEmpty(ctx)
		if err == nil && !empty {
			err = syscall.ENOTEMPTY
		}
		return err
	}
	return nil
}
