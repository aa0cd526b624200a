package tmp

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Rename moves a name, replaces what is there, or exchanges the two. A name that
// stays keeps its place among the entries, so that who reads the directory
// meanwhile sees it once.
func (d *dir) Rename(_ context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		return syscall.EXDEV
	}
	const both = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
	if flags&^both != 0 || flags == both {
		return syscall.EINVAL
	}
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	from, over := d.entries[name], t.entries[toName]
	switch {
	case from == nil || t.dead:
		return syscall.ENOENT
	case len(toName) > nameMax:
		return syscall.ENAMETOOLONG
	case over != nil && flags == unix.RENAME_NOREPLACE:
		return syscall.EEXIST
	case over == nil && flags == unix.RENAME_EXCHANGE:
		return syscall.ENOENT
	case over != nil && over.node == from.node:
		return nil
	case t.isBelow(from.node):
		return syscall.EINVAL
	}
	n := from.node
	switch {
	case flags == unix.RENAME_EXCHANGE:
		if d.isBelow(over.node) {
			return syscall.EINVAL
		}
		d.leave(n)
		t.leave(over.node)
		from.node, over.node = over.node, n
		d.adopt(from.node)
		t.adopt(n)
		from.node.common().changed()
	case over != nil && d.isBelow(over.node):
		return syscall.ENOTEMPTY
	case over != nil:
		_, isDir := n.(*dir)
		if err := removable(over.node, isDir); err != nil {
			return err
		}
		old := over.node
		d.take(from)
		t.leave(old)
		over.node = n
		t.adopt(n)
		t.unlinked(old)
	default:
		d.take(from)
		t.put(toName, n)
	}
	n.common().changed()
	d.modified()
	if t != d {
		t.modified()
	}
	return nil
}

// isBelow reports whether d is the directory n or below it. fs.names is held.
func (d *dir) isBelow(n node) bool {
	top, ok := n.(*dir)
	for ; ok && d != nil; d = d.parent {
		if d == top {
			return true
		}
	}
	return false
}
