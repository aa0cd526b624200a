package posix

import (
	"sync/atomic"

	"github.com/hati-os/hati/internal/servers/inotify"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What follows is where changes of files become known to those who watch them
// (inotify(7)). Only what the box itself does is seen: a server may change files
// by itself, as another system does under a network file system.

// watchers are the inotify instances of a box.
type watchers struct {
	inotify.Registry
	instances atomic.Int32
}

// active returns w, or nil when nobody can be listening.
func (w *watchers) active() *watchers {
	if w.instances.Load() == 0 {
		return nil
	}
	return w
}

func (m *mount) watchers() *watchers {
	if m.table == nil {
		return nil
	}
	return m.table.watches.active()
}

func dirBit(n vfs.Node) uint32 {
	if _, ok := n.(vfs.Dir); ok {
		return unix.IN_ISDIR
	}
	return 0
}

// event tells of something that happened to the file at d.
func (d *dentry) event(mask uint32) {
	if d == nil {
		return
	}
	w := d.mount.watchers()
	if w == nil {
		return
	}
	at := d.place.Load()
	var dir vfs.Node
	if at.parent != nil && d != d.mount.root {
		dir = at.parent.node
	}
	if at.deleted {
		mask |= inotify.Unlinked
	}
	w.Notify(d.node, dir, at.name, mask|dirBit(d.node), 0)
}

// event is that of what a walk has found.
func (l *located) event(mask uint32) {
	if l.d != nil {
		l.d.event(mask)
	} else if w := l.parent.mount.watchers(); w != nil {
		w.Notify(l.node, l.parent.node, l.name, mask|dirBit(l.node), 0)
	}
}

// opened and closed: a description begins, and ends.
func (d *Description) opened() {
	if !d.isPath {
		d.path.d.event(unix.IN_OPEN)
	}
}

func (d *Description) closed() {
	at := d.path.d
	if at == nil {
		return
	}
	if !d.isPath {
		if d.canWrite() {
			at.event(unix.IN_CLOSE_WRITE)
		} else {
			at.event(unix.IN_CLOSE_NOWRITE)
		}
	}
	if at.opens.Add(-1) == 0 && at.orphan.Load() {
		if w := at.mount.watchers(); w != nil {
			w.Delete(at.node)
		}
	}
}

// accessed: something was read from an open file.
func (t *Task) accessed(p Path) { p.d.event(unix.IN_ACCESS) }

// modified: the contents of an open file have changed.
func (t *Task) modified(p Path) { p.d.event(unix.IN_MODIFY) }

// modifiedAt: those of a file that is not open.
func (t *Task) modifiedAt(l *located) { l.event(unix.IN_MODIFY) }

// changedAttr: the attributes of a file have changed.
func (t *Task) changedAttr(l *located) { l.event(unix.IN_ATTRIB) }

// attrEvents are the events of a SetAttr.
func attrEvents(valid uint32) (mask uint32) {
	const both = vfs.SetAtime | vfs.SetMtime
	if valid&vfs.SetSize != 0 {
		mask = unix.IN_MODIFY
	}
	if valid&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 {
		mask |= unix.IN_ATTRIB
	}
	switch valid & both {
	case both:
		mask |= unix.IN_ATTRIB
	case vfs.SetAtime:
		mask |= unix.IN_ACCESS
	case vfs.SetMtime:
		mask |= unix.IN_MODIFY
	}
	return mask
}

// created: dir has got a name.
func (t *Task) created(dir *dentry, name string, n vfs.Node) {
	if w := t.k.mounts.watches.active(); w != nil {
		w.Notify(n, dir.node, name, unix.IN_CREATE|dirBit(n), 0)
	}
}

// linked: dir has got another name for a file.
func (t *Task) linked(dir *dentry, name string, n vfs.Node) {
	if w := t.k.mounts.watches.active(); w != nil {
		w.Notify(n, nil, "", unix.IN_ATTRIB, 0)
		w.Notify(n, dir.node, name, unix.IN_CREATE, 0)
	}
}

// deleted: dir has lost a name of n, whose dentry was c, if it had one.
func (t *Task) deleted(dir *dentry, name string, n vfs.Node, c *dentry) {
	w := t.k.mounts.watches.active()
	if w == nil {
		return
	}
	bit := dirBit(n)
	if bit == 0 {
		w.Notify(n, nil, "", unix.IN_ATTRIB, 0)
	}
	t.unlinked(w, n, c)
	w.Notify(n, dir.node, name, unix.IN_DELETE|bit, 0)
}

// unlinked ends the watches of a file that has no name left, or has that done
// when it is no longer open.
func (t *Task) unlinked(w *watchers, n vfs.Node, c *dentry) {
	if dirBit(n) == 0 {
		if a, err := n.Stat(t.context()); err == nil && a.Nlink > 0 {
			return
		}
	}
	if c != nil && c.node == n {
		c.orphan.Store(true)
		if c.opens.Load() > 0 {
			return
		}
	}
	w.Delete(n)
}

// moved: a name has become another one, and taken it from target, if that is
// not nil; c is the dentry that target had.
func (t *Task) moved(dir *dentry, name string, to *dentry, toName string, n, target vfs.Node, c *dentry) {
	w := t.k.mounts.watches.active()
	if w == nil {
		return
	}
	w.Rename(n, dirBit(n) != 0, dir.node, name, to.node, toName, target)
	if target != nil {
		t.unlinked(w, target, c)
	}
}
