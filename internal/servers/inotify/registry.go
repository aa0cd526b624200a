// Package inotify serves inotify(7): instances that queue events, and the
// registry of who watches what. It imports vfs, anon and x/sys only.
//
// The registry sees nothing by itself: POSIX tells it of every operation, which
// costs one atomic load when nobody wants to know.
//
// Lock order: Registry.mu, then Instance.mu, then a vfs.Queue's.
package inotify

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

const (
	// MaxQueued is how many events an instance queues before it says
	// IN_Q_OVERFLOW (/proc/sys/fs/inotify/max_queued_events).
	MaxQueued = 16384
	// MaxWatches is how many watches a registry holds
	// (/proc/sys/fs/inotify/max_user_watches).
	MaxWatches = 1 << 19

	// Unlinked, in a mask for Notify, says that the file was opened by a name that
	// is gone: watches with IN_EXCL_UNLINK do not hear of it.
	Unlinked uint32 = unix.IN_EXCL_UNLINK

	// direntEvents are about a name in a directory, selfEvents about a file alone;
	// the others reach both.
	direntEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
	selfEvents   = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_UNMOUNT
	kinds        = unix.IN_ALL_EVENTS | unix.IN_UNMOUNT
)

// Registry is who watches what; a box has one. The zero Registry is empty. All
// methods may be called concurrently.
type Registry struct {
	mask   atomic.Uint32 // all events that somebody wants
	cookie atomic.Uint32

	mu      sync.RWMutex
	watches map[vfs.Node][]*watch // one of each instance
	count   int
	wanted  [32]int // how many watches want each bit
}

// watch is a node that an instance watches. mask and flags change with
// Registry.mu held for writing.
type watch struct {
	instance *Instance
	node     vfs.Node
	wd       int32
	mask     uint32 // events
	flags    uint32 // IN_ONESHOT, IN_EXCL_UNLINK
}

// Cookie returns a number for a new pair of IN_MOVED_FROM and IN_MOVED_TO.
func (r *Registry) Cookie() uint32 { return r.cookie.Add(1) }

// Notify tells of an event: mask is one event of inotify(7), with IN_ISDIR when
// node is a directory, perhaps with Unlinked. Events about a name (IN_CREATE,
// IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO) go to who watches parent, IN_MOVE_SELF
// to who watches node, all others to both: to parent with the name, to node
// without. Either may be nil. cookie is that of a move, else 0.
func (r *Registry) Notify(node, parent vfs.Node, name string, mask, cookie uint32) {
	if r.mask.Load()&mask&kinds != 0 {
		r.notify(node, parent, name, mask, cookie)
	}
}

func (r *Registry) notify(node, parent vfs.Node, name string, mask, cookie uint32) {
	var spent []*watch
	r.mu.RLock()
	if parent != nil && mask&selfEvents == 0 {
		for _, w := range r.watches[parent] {
			spent = w.hear(spent, name, mask, cookie)
		}
	}
	if node != nil && mask&direntEvents == 0 {
		for _, w := range r.watches[node] {
			spent = w.hear(spent, "", mask, cookie)
		}
	}
	r.mu.RUnlock()
	for _, w := range spent {
		r.mu.Lock()
		r.drop(w)
		r.mu.Unlock()
	}
}

// hear queues the event if w wants it, and appends w to spent if it wants no
// more. The caller holds Registry.mu.
func (w *watch) hear(spent []*watch, name string, mask, cookie uint32) []*watch {
	if w.mask&mask&kinds == 0 || mask&Unlinked&w.flags != 0 {
		return spent
	}
	mask &= kinds | unix.IN_ISDIR
	if mask&selfEvents != 0 {
		mask &^= unix.IN_ISDIR // as Linux has it
	}
	if w.flags&unix.IN_ONESHOT != 0 {
		// Of two events at once, the one who removes it from wds tells.
		if !w.instance.spend(w) {
			return spent
		}
		spent = append(spent, w)
	}
	w.instance.push(event{w.wd, mask, cookie, name})
	if w.flags&unix.IN_ONESHOT != 0 {
		w.instance.push(event{wd: w.wd, mask: unix.IN_IGNORED})
	}
	return spent
}

// Rename tells of a rename that has happened: node, a directory if dir, has
// moved from fromName in from to toName in to. target, which may be nil, is the
// file that had that name before; once it has no other name and is not open,
// Delete follows.
func (r *Registry) Rename(node vfs.Node, dir bool, from vfs.Node, fromName string, to vfs.Node, toName string, target vfs.Node) {
	if r.mask.Load() == 0 {
		return
	}
	var isDir uint32
	if dir {
		isDir = unix.IN_ISDIR
	}
	cookie := r.Cookie()
	r.Notify(node, from, fromName, unix.IN_MOVED_FROM|isDir, cookie)
	r.Notify(node, to, toName, unix.IN_MOVED_TO|isDir, cookie)
	if target != nil {
		r.Notify(target, nil, "", unix.IN_ATTRIB|isDir, 0)
	}
	r.Notify(node, nil, "", unix.IN_MOVE_SELF, 0)
}

// Unlink tells of an unlink or, if dir, an rmdir that has happened: name in
// parent was node. gone says that node has no other name and is not open, as
// Delete does, which otherwise follows when that is so.
func (r *Registry) Unlink(node vfs.Node, dir bool, parent vfs.Node, name string, gone bool) {
	if r.mask.Load() == 0 {
		return
	}
	var isDir uint32
	if dir {
		isDir = unix.IN_ISDIR
	} else {
		r.Notify(node, nil, "", unix.IN_ATTRIB, 0) // the number of links
	}
	if gone {
		r.Delete(node)
	}
	r.Notify(node, parent, name, unix.IN_DELETE|isDir, 0)
}

// Delete tells that node is gone: it has no name left and nobody has it open.
// Its watches end.
func (r *Registry) Delete(node vfs.Node) { r.end(node, unix.IN_DELETE_SELF) }

// Unmount tells that the file system of node is unmounted. Its watches end.
func (r *Registry) Unmount(node vfs.Node) { r.end(node, unix.IN_UNMOUNT) }

func (r *Registry) end(node vfs.Node, mask uint32) {
	if r.mask.Load() == 0 {
		return
	}
	r.notify(node, nil, "", mask, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.watches[node]) > 0 {
		r.ignore(r.watches[node][0])
	}
}

// Watched calls f for each watched node until it returns false, so that an
// unmount finds those of its file system. f must not call the Registry.
func (r *Registry) Watched(f func(vfs.Node) bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for n := range r.watches {
		if !f(n) {
			return
		}
	}
}

// want counts the bits of mask that a watch wants, or with -1 no longer wants.
// The caller holds mu.
func (r *Registry) want(mask uint32, by int) {
	all := r.mask.Load()
	for m := mask; m != 0; m &= m - 1 {
		b := bits.TrailingZeros32(m)
		if r.wanted[b] += by; r.wanted[b] == 0 {
			all &^= 1 << b
		} else {
			all |= 1 << b
		}
	}
	r.mask.Store(all)
}

// ignore ends w and says so to its instance. The caller holds mu.
func (r *Registry) ignore(w *watch) {
	if w.instance.spend(w) {
		w.instance.push(event{wd: w.wd, mask: unix.IN_IGNORED})
	}
	r.drop(w)
}

// drop takes w out of the registry. The caller holds mu.
func (r *Registry) drop(w *watch) {
	list := r.watches[w.node]
	for i, o := range list {
		if o != w {
			continue
		}
		if len(list) == 1 {
			delete(r.watches, w.node)
		} else {
			// A copy, small as the list is, keeps no pointer behind its end.
			r.watches[w.node] = append(list[:i:i], list[i+1:]...)
		}
		r.want(w.mask, -1)
		r.count--
		return
	}
}
