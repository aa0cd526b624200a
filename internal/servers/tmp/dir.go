package tmp

import (
	"context"
	"slices"
	"sort"
	"strings"
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
	// order holds the entries by cookie; removed ones stay, without a node, until
	// they are half of it.
	order   []*entry
	removed int
	last    uint64 // cookie given out
	dead    bool   // rmdir has been here
}

type entry struct {
	name   string
	node   node // nil when removed
	cookie uint64
}

// Stat returns the attributes.
func (d *dir) Stat(context.Context) (vfs.Attr, error) {
	a := d.attr()
	d.fs.names.RLock()
	a.Size = int64(len(d.entries)+2) * 20
	d.fs.names.RUnlock()
	return a, nil
}

// SetAttr changes attributes.
func (d *dir) SetAttr(_ context.Context, s vfs.SetAttr) error { return d.change(&s) }

// Lookup finds a name.
func (d *dir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	d.fs.names.RLock()
	e := d.entries[name]
	if e == nil {
		d.fs.names.RUnlock()
		return nil, syscall.ENOENT
	}
	n := e.node
	d.fs.names.RUnlock()
	return n, nil
}

// free is nil when name can be made. fs.names is held.
func (d *dir) free(name string) error {
	switch {
	case len(name) > nameMax:
		return syscall.ENAMETOOLONG
	case d.dead:
		return syscall.ENOENT
	case d.entries[name] != nil:
		return syscall.EEXIST
	}
	return nil
}

// put enters a name for a node whose links are counted already. fs.names is
// held.
func (d *dir) put(name string, n node) {
	d.last++
	name = strings.Clone(name) // not the path it was cut from
	e := &entry{name: name, node: n, cookie: d.last}
	if d.entries == nil {
		d.entries = map[string]*entry{}
	}
	d.entries[name] = e
	d.order = append(d.order, e)
	d.adopt(n)
}

// adopt makes d the parent of n, if that is a directory.
func (d *dir) adopt(n node) {
	if c, ok := n.(*dir); ok {
		c.parent = d
		d.nlink.Add(1)
	}
}

// leave is the opposite of adopt.
func (d *dir) leave(n node) {
	if _, ok := n.(*dir); ok {
		d.nlink.Add(^uint32(0))
	}
}

// take removes an entry; its node's links are as they were. fs.names is held.
func (d *dir) take(e *entry) {
	delete(d.entries, e.name)
	d.leave(e.node)
	e.node = nil
	d.removed++
	if d.removed > 32 && d.removed > len(d.order)/2 {
		d.order = slices.DeleteFunc(d.order, func(e *entry) bool { return e.node == nil })
		d.removed = 0
	}
}

// unlinked counts a lost name of n. fs.names is held.
func (d *dir) unlinked(n node) {
	i := n.common()
	if c, ok := n.(*dir); ok {
		c.dead, c.parent = true, nil
		c.nlink.Store(0)
	} else {
		i.nlink.Add(^uint32(0))
	}
	i.changed()
	if i.nlink.Load() > 0 {
		return
	}
	d.fs.files.Add(-1)
	if r, ok := n.(*regular); ok {
		r.unused()
	}
}

// Make makes a file of any kind.
func (d *dir) Make(_ context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	return d.make(name, &o, nil)
}

// MakeOpen makes a regular file and opens it.
func (d *dir) MakeOpen(_ context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	o.Mode = o.Mode&0o7777 | unix.S_IFREG
	f := &file{access: flags & unix.O_ACCMODE, noatime: flags&unix.O_NOATIME != 0}
	n, err := d.make(name, &o, f)
	if err != nil {
		return nil, nil, err
	}
	return n, f, nil
}

// make makes a file; f, if not nil, becomes the first one to have it open.
func (d *dir) make(name string, o *vfs.MakeOptions, f *file) (vfs.Node, error) {
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	if err := d.free(name); err != nil {
		return nil, err
	}
	n := d.fs.newNode(o)
	if n.common().kind == unix.S_IFDIR {
		n.common().nlink.Store(2)
	} else {
		n.common().nlink.Store(1)
	}
	if f != nil {
		f.r = n.(*regular)
		f.r.opens = 1
	}
	d.put(name, n)
	d.fs.files.Add(1)
	d.modified()
	return n, nil
}

// Tmpfile makes a regular file without a name. It lasts until the last open file
// of it is closed.
func (d *dir) Tmpfile(_ context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	o.Mode = o.Mode&0o7777 | unix.S_IFREG
	n := d.fs.newNode(&o).(*regular)
	n.linkable = true
	return n, nil
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
	if err := d.free(name); err != nil {
		return err
	}
	if n.common().nlink.Load() > 0 {
		n.common().nlink.Add(1)
	} else if r, ok := n.(*regular); !ok || !r.firstName() {
		return syscall.ENOENT
	} else {
		d.fs.files.Add(1)
	}
	d.put(name, n)
	d.modified()
	n.common().changed()
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
	if err := removable(e.node, isDir); err != nil {
		return err
	}
	n := e.node
	d.take(e)
	d.modified()
	d.unlinked(n)
	return nil
}

// removable is nil when n may lose its name to rmdir (isDir) or unlink.
func removable(n node, isDir bool) error {
	c, ok := n.(*dir)
	switch {
	case isDir && !ok:
		return syscall.ENOTDIR
	case !isDir && ok:
		return syscall.EISDIR
	case ok && len(c.entries) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// Open opens the directory for reading.
func (d *dir) Open(_ context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EISDIR
	}
	return &openDir{d, flags&unix.O_NOATIME != 0}, nil
}

type openDir struct {
	d       *dir
	noatime bool
}

func (o *openDir) Node() vfs.Node                   { return o.d }
func (o *openDir) Close() error                     { return nil }
func (o *openDir) Sync(context.Context, bool) error { return nil }

// ReadDir lists entries in the order in which they were made.
func (o *openDir) ReadDir(_ context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	if cookie < firstCookie && !o.noatime {
		o.d.accessed()
	}
	d := o.d
	d.fs.names.RLock()
	defer d.fs.names.RUnlock()
	at := sort.Search(len(d.order), func(i int) bool { return d.order[i].cookie >= cookie })
	left := d.order[at:]
	if len(left) == 0 || limit <= 0 {
		return nil, nil
	}
	out := make([]vfs.Dirent, 0, min(limit, len(left)))
	for _, e := range left {
		if e.node == nil {
			continue
		}
		n := e.node.common()
		out = append(out, vfs.Dirent{Name: e.name, Ino: n.ino, Type: n.kind, Next: e.cookie + 1})
		if len(out) == limit {
			break
		}
	}
	return out, nil
}
