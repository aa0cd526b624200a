package tmp

import (
	"context"
	"slices"
	"sort"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const firstCookie = 3

// dir is a directory. Everything but the inode is guarded by fs.names.
type dir struct {
	inode
	parent  *dir // nil for the root and for a removed directory
	entries map[string]*entry
	// order holds the entries by cookie; removed ones stay as nil nodes until
	// they are half of it.
	order   []*entry
	removed int
	last    uint64
	dead    bool // rmdir has been here
}

type entry struct {
	name   string
	node   node // nil when removed
	cookie uint64
}

func (d *dir) Stat(context.Context) (vfs.Attr, error) {
	a := d.attr()
	d.fs.names.RLock()
	a.Size = int64(len(d.entries)+2) * 20
	d.fs.names.RUnlock()
	return a, nil
}

// Lookup finds a name.
func (d *dir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	d.fs.names.RLock()
	defer d.fs.names.RUnlock()
	if e := d.entries[name]; e != nil {
		return e.node, nil
	}
	return nil, syscall.ENOENT
}

// add enters a name. fs.names is held.
func (d *dir) add(name string, n node) {
	d.last++
	e := &entry{name: name, node: n, cookie: d.last}
	d.entries[name] = e
	d.order = append(d.order, e)
	n.common().nlink++
	if r, ok := n.(*regular); ok {
		r.named = true
	}
	if c, ok := n.(*dir); ok {
		c.parent = d
		c.nlink = 2 // itself and its "."; the name counts as one of them
		d.nlink++
	}
	d.touched()
}

// drop removes a name. fs.names is held.
func (d *dir) drop(e *entry) {
	delete(d.entries, e.name)
	n := e.node
	e.node = nil
	d.removed++
	if d.removed > 32 && d.removed > len(d.order)/2 {
		d.order = slices.DeleteFunc(d.order, func(e *entry) bool { return e.node == nil })
		d.removed = 0
	}
	i := n.common()
	i.nlink--
	if c, ok := n.(*dir); ok {
		c.nlink = 0
		c.parent = nil
		d.nlink--
	}
	i.mu.Lock()
	i.ctime = now()
	i.mu.Unlock()
	if i.nlink == 0 {
		d.fs.files.Add(-1)
		if r, ok := n.(*regular); ok {
			r.unused()
		}
	}
	d.touched()
}

func (d *dir) touched() {
	d.mu.Lock()
	d.modified()
	d.mu.Unlock()
}

// Make makes a file of any kind.
func (d *dir) Make(_ context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if d.dead {
		return nil, syscall.ENOENT
	}
	if d.entries[name] != nil {
		return nil, syscall.EEXIST
	}
	n := d.fs.newNode(o)
	d.add(name, n)
	return n, nil
}

// Tmpfile makes a regular file without a name.
func (d *dir) Tmpfile(_ context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	o.Mode = o.Mode&0o7777 | unix.S_IFREG
	return d.fs.newNode(o), nil
}

// Link adds a name for a file of this FS that is no directory.
func (d *dir) Link(_ context.Context, target vfs.Node, name string) error {
	n, ok := target.(node)
	if !ok || n.common().fs != d.fs {
		return syscall.EXDEV
	}
	if n.common().kind == unix.S_IFDIR {
		return syscall.EPERM
	}
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if d.dead {
		return syscall.ENOENT
	}
	if d.entries[name] != nil {
		return syscall.EEXIST
	}
	d.add(name, n)
	i := n.common()
	i.mu.Lock()
	i.ctime = now()
	i.mu.Unlock()
	return nil
}

// Remove removes a name.
func (d *dir) Remove(_ context.Context, name string, isDir bool) error {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	e := d.entries[name]
	if e == nil {
		return syscall.ENOENT
	}
	c, ok := e.node.(*dir)
	switch {
	case isDir && !ok:
		return syscall.ENOTDIR
	case !isDir && ok:
		return syscall.EISDIR
	case ok && len(c.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if ok {
		c.dead = true
	}
	d.drop(e)
	return nil
}

// Rename moves a name, replaces what is there, or exchanges the two.
func (d *dir) Rename(_ context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		return syscall.EXDEV
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 || flags == unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE {
		return syscall.EINVAL
	}
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	from := d.entries[name]
	if from == nil || t.dead {
		return syscall.ENOENT
	}
	over := t.entries[toName]
	if over != nil && flags == unix.RENAME_NOREPLACE {
		return syscall.EEXIST
	}
	if over == nil && flags == unix.RENAME_EXCHANGE {
		return syscall.ENOENT
	}
	if over != nil && over.node == from.node {
		return nil
	}
	moved, isDir := from.node.(*dir)
	if isDir && t.isBelow(moved) {
		return syscall.EINVAL
	}
	if flags == unix.RENAME_EXCHANGE {
		if other, ok := over.node.(*dir); ok && d.isBelow(other) {
			return syscall.EINVAL
		}
		a, b := from.node, over.node
		a.common().nlink++
		b.common().nlink++
		d.drop(from)
		t.drop(over)
		d.add(name, b)
		t.add(toName, a)
		a.common().nlink--
		b.common().nlink--
		restoreLinks(a)
		restoreLinks(b)
		return nil
	}
	if over != nil {
		c, overDir := over.node.(*dir)
		switch {
		case isDir && !overDir:
			return syscall.ENOTDIR
		case !isDir && overDir:
			return syscall.EISDIR
		case overDir && len(c.entries) > 0:
			return syscall.ENOTEMPTY
		}
		if overDir {
			c.dead = true
		}
		t.drop(over)
	}
	n := from.node
	n.common().nlink++ // so that the move is no moment without a name
	d.drop(from)
	t.add(toName, n)
	n.common().nlink--
	restoreLinks(n)
	return nil
}

// restoreLinks counts a moved directory's links again: its children stayed.
func restoreLinks(n node) {
	c, ok := n.(*dir)
	if !ok {
		return
	}
	c.nlink = 2
	for _, e := range c.entries {
		if _, ok := e.node.(*dir); ok {
			c.nlink++
		}
	}
}

// isBelow reports whether d is top or below it. fs.names is held.
func (d *dir) isBelow(top *dir) bool {
	for ; d != nil; d = d.parent {
		if d == top {
			return true
		}
	}
	return false
}

// Open opens the directory for reading.
func (d *dir) Open(context.Context, int) (vfs.File, error) { return &openDir{d}, nil }

type openDir struct{ d *dir }

func (o *openDir) Node() vfs.Node                   { return o.d }
func (o *openDir) Close() error                     { return nil }
func (o *openDir) Sync(context.Context, bool) error { return nil }

// ReadDir lists entries in the order in which they were made.
func (o *openDir) ReadDir(_ context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	d := o.d
	d.fs.names.RLock()
	defer d.fs.names.RUnlock()
	i := sort.Search(len(d.order), func(i int) bool { return d.order[i].cookie > cookie-1 && d.order[i].cookie >= cookie })
	if cookie < firstCookie {
		i = 0
	}
	var out []vfs.Dirent
	for ; i < len(d.order) && len(out) < limit; i++ {
		e := d.order[i]
		if e.node == nil {
			continue
		}
		if out == nil {
			out = make([]vfs.Dirent, 0, min(limit, len(d.order)-i))
		}
		n := e.node.common()
		out = append(out, vfs.Dirent{Name: e.name, Ino: n.ino, Type: n.kind, Next: e.cookie + 1})
	}
	if cookie < firstCookie {
		d.mu.Lock()
		d.accessed()
		d.mu.Unlock()
	}
	return out, nil
}
