package posix

import (
	"strings"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/hati-os/hati/vfs"
)

// dentry is a name in the tree and the node it leads to. While somebody holds
// one, every walk to the same directory yields the same dentry, so that renames
// and removals show in every working directory and open file. Files that are no
// directories have one only while they are open.
//
// A dentry never answers instead of the server: it is found after the server
// was asked, by the node that the server gave.
type dentry struct {
	mount *mount
	node  vfs.Node
	dir   vfs.Dir // node, if it is a directory
	over  atomic.Pointer[overlay]
	place atomic.Pointer[place] // replaced, never changed
	first place                 // what place points to at first
	// linkable: a file without a name that may still get one (O_TMPFILE).
	linkable atomic.Bool

	// opens counts the open files; orphan: the file has no name left, so that it
	// ends with the last of them (notify.go).
	opens  atomic.Int64
	orphan atomic.Bool

	// version counts the changes that the box itself made to the directory: what
	// a Lookup returned before one says nothing after it.
	version atomic.Uint64

	mu       sync.Mutex // a leaf; guards the rest
	children map[string]weak.Pointer[dentry]
	sweepAt  int                // size of children at which dead ones are looked for
	arriving map[string]*dentry // directories on their way to a name here (rename)
	recent   int                // place in recentDentries
}

// place is where a dentry is.
type place struct {
	parent  *dentry // nil at the box's root and for what never had a name
	name    string
	deleted bool
}

func newDentry(m *mount, n vfs.Node, parent *dentry, name string) *dentry {
	d := &dentry{mount: m, node: n, first: place{parent: parent, name: name}}
	d.dir, _ = n.(vfs.Dir)
	d.place.Store(&d.first)
	return d
}

// child returns the dentry of name, which a Lookup has found to lead to n when
// the version was v. When the version has changed since, it is nil: look again.
func (d *dentry) child(t *mountTable, name string, n vfs.Node, v uint64) *dentry {
	return d.enter(t, name, n, v, false)
}

// opened returns the dentry for an open file that was found as name. When that
// is another file's name meanwhile, the dentry is nobody else's.
func (d *dentry) opened(t *mountTable, name string, n vfs.Node, v uint64) *dentry {
	return d.enter(t, name, n, v, true)
}

func (d *dentry) enter(t *mountTable, name string, n vfs.Node, v uint64, late bool) *dentry {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.children[name].Value()
	if c != nil && c.node == n {
		return c
	}
	if a := d.arriving[name]; a != nil && a.node == n {
		return a
	}
	if d.version.Load() != v {
		if !late {
			return nil
		}
		if c != nil {
			return newDentry(d.mount, n, d, strings.Clone(name))
		}
	}
	if c != nil {
		// The server has put another file there by itself.
		c.unhash()
	}
	c = newDentry(d.mount, n, d, strings.Clone(name))
	if o := d.over.Load(); o != nil {
		c.over.Store(o.child(name))
	}
	d.hash(c.first.name, c)
	if c.dir != nil {
		t.recent.add(c)
	}
	return c
}

// known returns the dentry that name has, if any.
func (d *dentry) known(name string) *dentry {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.children[name].Value()
}

// hash enters c. d.mu is held.
func (d *dentry) hash(name string, c *dentry) {
	if d.children == nil {
		d.children = map[string]weak.Pointer[dentry]{}
	}
	if len(d.children) >= max(d.sweepAt, 64) {
		for k, w := range d.children {
			if w.Value() == nil {
				delete(d.children, k)
			}
		}
		d.sweepAt = 2 * len(d.children)
	}
	d.children[name] = weak.Make(c)
}

// unhash notes that the name no longer leads to d.
func (d *dentry) unhash() {
	p := d.place.Load()
	d.place.CompareAndSwap(p, &place{parent: p.parent, name: p.name, deleted: true})
}

// attach puts the root of a mount below the directory through which a walk has
// come to it.
func (d *dentry) attach(parent *dentry, name string) {
	if p := d.place.Load(); p.parent != parent {
		d.place.CompareAndSwap(p, &place{parent: parent, name: strings.Clone(name)})
	}
}

// changed begins a new version: the server has changed a name in d.
func (d *dentry) changed() { d.version.Add(1) }

// removed notes that name no longer leads to n, and returns its dentry, if there
// is one.
func (d *dentry) removed(t *mountTable, name string, n vfs.Node) *dentry {
	d.changed()
	d.mu.Lock()
	c := d.children[name].Value()
	if c == nil || c.node != n {
		d.mu.Unlock()
		return nil
	}
	delete(d.children, name)
	c.unhash()
	d.mu.Unlock()
	t.recent.remove(c)
	return c
}

// arrive announces, before the server is asked, that c may get a name here, and
// leave takes that back: so nobody makes a second dentry for it in between.
func (d *dentry) arrive(name string, c *dentry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.arriving == nil {
		d.arriving = map[string]*dentry{}
	}
	d.arriving[name] = c
}

func (d *dentry) leave(name string, c *dentry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.arriving[name] == c {
		delete(d.arriving, name)
	}
}

// take removes and returns the dentry of n at name.
func (d *dentry) take(name string, n vfs.Node) *dentry {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.children[name].Value()
	if c == nil || c.node != n {
		return nil
	}
	delete(d.children, name)
	return c
}

// put gives c, which may be nil, the name in d; what had it before is deleted.
func (d *dentry) put(name string, c *dentry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.children[name].Value(); old != nil && old != c {
		old.unhash()
		delete(d.children, name)
	}
	if c == nil {
		return
	}
	name = strings.Clone(name)
	c.place.Store(&place{parent: d, name: name})
	c.over.Store(nil)
	if o := d.over.Load(); o != nil {
		c.over.Store(o.child(name))
	}
	d.hash(name, c)
}

// recentDentries keeps the dentries of directories that were made last, so that a
// tree in use is not made anew after each garbage collection. Those above them
// are kept, too. Other files' are not: their servers may wait for the end of
// their use.
type recentDentries struct {
	mu   sync.Mutex
	ring [512]*dentry
	next int
}

func (r *recentDentries) add(d *dentry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = (r.next + 1) % len(r.ring)
	r.ring[r.next] = d
	d.recent = r.next
}

// remove forgets d, so that a deleted file's node is not kept.
func (r *recentDentries) remove(d *dentry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ring[d.recent] == d {
		r.ring[d.recent] = nil
	}
}
