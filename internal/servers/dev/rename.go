package dev

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Rename is renameat2(2) within the file system, with RENAME_NOREPLACE and
// RENAME_EXCHANGE.
func (d *dir) Rename(_ context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		return syscall.EXDEV
	}
	const both = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
	if flags&^both != 0 || flags == both {
		return syscall.EINVAL
	}
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()

	from, ok := d.names[name]
	if !ok || t.parent == nil {
		return syscall.ENOENT
	}
	over, taken := t.names[toName]
	exchange := flags&unix.RENAME_EXCHANGE != 0
	switch {
	case len(toName) > nameMax:
		return syscall.ENAMETOOLONG
	case taken && flags&unix.RENAME_NOREPLACE != 0:
		return syscall.EEXIST
	case exchange && !taken:
		return syscall.ENOENT
	case taken && over.node == from.node:
		return nil
	case !movable(from.node, t) || exchange && !movable(over.node, d):
		return syscall.EINVAL
	}
	if d.fs.own(from.node) == nil {
		return syscall.EBUSY
	}
	if taken && !exchange && !movable(over.node, d) {
		return syscall.ENOTEMPTY // what is moved lies in it
	}
	if exchange {
		if d.fs.own(over.node) == nil {
			return syscall.EBUSY
		}
		d.take(name)
		t.take(toName)
		d.put(name, over.node)
		t.put(toName, from.node)
		return nil
	}
	if taken {
		_, isDir := from.node.(*dir)
		if err := d.fs.removable(over.node, isDir); err != nil {
			return err
		}
		t.take(toName)
		t.drop(over.node)
	}
	d.take(name)
	t.put(toName, from.node)
	d.fs.own(from.node).ctime = now()
	return nil
}

// movable reports whether n may move to t: a directory never into itself.
func movable(n vfs.Node, t *dir) bool {
	for ; t != nil; t = t.parent {
		if vfs.Node(t) == n {
			return false
		}
		if t.parent == t {
			break
		}
	}
	return true
}
