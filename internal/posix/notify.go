package posix

import (
	"sync/atomic"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What follows is where changes of files become known to those who watch them
// (inotify(7)).

// watcher hears of events on nodes. name is that of the file in the directory n,
// or "" when n itself is meant; cookie ties the halves of a rename together.
type watcher interface {
	Notify(n vfs.Node, mask, cookie uint32, name string)
}

var lastCookie atomic.Uint32

// event tells of something that happened to n, which dir knows by name. dir may
// be nil.
func (t *Task) event(dir *dentry, name string, n vfs.Node, mask uint32) {
	w := t.k.mounts.watcher
	if w == nil {
		return
	}
	if _, ok := n.(vfs.Dir); ok {
		mask |= unix.IN_ISDIR
	}
	if dir != nil {
		w.Notify(dir.node, mask, 0, name)
	}
	w.Notify(n, mask, 0, "")
}

// pathEvent is event for a file that was opened by path.
func (t *Task) pathEvent(p Path, mask uint32) {
	if t.k.mounts.watcher == nil || p.d == nil || p.d.mount == nowhere {
		return
	}
	at := p.d.place.Load()
	if at.deleted {
		t.event(nil, "", p.d.node, mask)
		return
	}
	t.event(at.parent, at.name, p.d.node, mask)
}

// created: dir has got a name.
func (t *Task) created(dir *dentry, name string, n vfs.Node) {
	if w := t.k.mounts.watcher; w != nil {
		w.Notify(dir.node, unix.IN_CREATE|dirBit(n), 0, name)
	}
}

// deleted: dir has lost a name.
func (t *Task) deleted(dir *dentry, name string, n vfs.Node) {
	w := t.k.mounts.watcher
	if w == nil {
		return
	}
	w.Notify(dir.node, unix.IN_DELETE|dirBit(n), 0, name)
	a, err := n.Stat(t.context())
	if err != nil || a.Nlink == 0 || a.IsDir() {
		w.Notify(n, unix.IN_DELETE_SELF, 0, "")
	} else {
		w.Notify(n, unix.IN_ATTRIB, 0, "")
	}
}

// moved: a name has become another one.
func (t *Task) moved(dir *dentry, name string, to *dentry, toName string, n vfs.Node) {
	w := t.k.mounts.watcher
	if w == nil {
		return
	}
	cookie := lastCookie.Add(1)
	w.Notify(dir.node, unix.IN_MOVED_FROM|dirBit(n), cookie, name)
	w.Notify(to.node, unix.IN_MOVED_TO|dirBit(n), cookie, toName)
	w.Notify(n, unix.IN_MOVE_SELF, 0, "")
}

func dirBit(n vfs.Node) uint32 {
	if _, ok := n.(vfs.Dir); ok {
		return unix.IN_ISDIR
	}
	return 0
}

// modified: the contents of an open file have changed.
func (t *Task) modified(p Path) { t.pathEvent(p, unix.IN_MODIFY) }

// modifiedAt: those of a file that is not open.
func (t *Task) modifiedAt(l *located) { t.event(l.dir(), l.shownName(), l.node, unix.IN_MODIFY) }

// changedAttr: the attributes of a file have changed.
func (t *Task) changedAttr(l *located) {
	if t.k.mounts.watcher != nil {
		t.event(l.dir(), l.shownName(), l.node, unix.IN_ATTRIB)
	}
}

// dir returns the directory that has the file's name, or nil.
func (l *located) dir() *dentry {
	if l.d != nil {
		return l.d.place.Load().parent
	}
	return l.parent
}

func (l *located) shownName() string {
	if l.d != nil {
		return l.d.place.Load().name
	}
	return l.name
}
