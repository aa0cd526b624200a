// Package overlay lays a writable file system over one that is never changed.
// What is written is kept in the upper one: a file of the lower one is copied
// there before its first change; that a lower name is gone, and which
// directories belong together, the overlay keeps in its own memory.
//
// Nodes of the upper file system that never were in the lower one are handed out
// as they are. Directories and lower files are wrapped, and keep their identity
// (== and st_dev, st_ino) when they are copied up. Descriptors that were opened
// for reading before that go on reading the old contents, as with Linux's
// overlayfs. Other names of a hard-linked lower file follow a copy-up as long as
// the overlay remembers it, which it does until the box ends.
//
// The package imports vfs only.
//
// Lock order: FS.names (all names and their relations), then dir.mu or file.mu,
// then FS.tables. Servers below are called with FS.names or file.mu held.
package overlay

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"weak"

	"github.com/hati-os/hati/vfs"
)

// Options are choices that an overlay has.
type Options struct{}

// FS is an overlay. Its methods may be called concurrently.
type FS struct {
	upper, lower vfs.FS
	root         *dir

	names sync.RWMutex // held for writing while names change

	tables  sync.Mutex
	lowers  map[vfs.Node]weak.Pointer[wrapper] // wrappers of lower nodes
	copied  map[vfs.Node]*wrapper              // by lower node: what must not be forgotten
	byUpper map[vfs.Node]*wrapper              // by upper node
}

// wrapper is what is kept of a lower node, or of an upper directory: exactly one
// of d and f is set.
type wrapper struct {
	d    *dir
	f    *file
	link bool // f is a symbolic link
}

func (w *wrapper) node() vfs.Node {
	switch {
	case w.d != nil:
		return w.d
	case w.link:
		return link{w.f}
	}
	return w.f
}

// asFile returns the file that a node is, nil for none.
func asFile(n vfs.Node) *file {
	switch n := n.(type) {
	case *file:
		return n
	case link:
		return n.file
	}
	return nil
}

// New lays upper, whose root is an empty directory of the caller's, over lower.
func New(upper, lower vfs.FS, _ Options) (*FS, error) {
	fs := &FS{
		upper: upper, lower: lower,
		lowers:  map[vfs.Node]weak.Pointer[wrapper]{},
		copied:  map[vfs.Node]*wrapper{},
		byUpper: map[vfs.Node]*wrapper{},
	}
	ctx := context.Background()
	u, err := upper.Root(ctx)
	if err != nil {
		return nil, err
	}
	l, err := lower.Root(ctx)
	if err != nil {
		return nil, err
	}
	a, err := l.Stat(ctx)
	if err != nil {
		return nil, err
	}
	if !a.IsDir() {
		return nil, syscall.ENOTDIR
	}
	fs.root = &dir{fs: fs, lower: l.(vfs.Dir), upper: u.(vfs.Dir)}
	fs.root.self = &wrapper{d: fs.root}
	fs.root.id.set(&a)
	if err := vfs.SetAttributes(ctx, u, nil, copyAttr(&a)); err != nil {
		return nil, err
	}
	fs.keep(fs.root.self, l, u)
	return fs, nil
}

// Root returns the merged root.
func (fs *FS) Root(context.Context) (vfs.Node, error) { return fs.root, nil }

// Statfs is the upper file system's: there is where there is room.
func (fs *FS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	if s, ok := fs.upper.(vfs.Statfser); ok {
		return s.Statfs(ctx)
	}
	return vfs.Statfs{}, syscall.ENOSYS
}

// identity is what a node shows as st_dev and st_ino for ever.
type identity struct{ dev, ino uint64 }

func (i *identity) set(a *vfs.Attr) { i.dev, i.ino = a.Dev, a.Ino }

func (i *identity) put(a *vfs.Attr) {
	if i.ino != 0 {
		a.Dev, a.Ino = i.dev, i.ino
	}
}

// copyAttr is the change that gives a copy its original's attributes.
func copyAttr(a *vfs.Attr) vfs.SetAttr {
	return vfs.SetAttr{
		Valid: vfs.SetMode | vfs.SetUID | vfs.SetGID | vfs.SetAtime | vfs.SetMtime,
		Mode:  a.Mode & 0o7777, UID: a.UID, GID: a.GID, Atime: a.Atime, Mtime: a.Mtime,
	}
}

// keep remembers a wrapper for good, by the nodes that are not nil.
func (fs *FS) keep(w *wrapper, lower, upper vfs.Node) {
	fs.tables.Lock()
	defer fs.tables.Unlock()
	if lower != nil {
		fs.copied[lower] = w
	}
	if upper != nil {
		fs.byUpper[upper] = w
	}
}

// forgetUpper drops the wrapper of an upper node without names.
func (fs *FS) forgetUpper(n vfs.Node) {
	fs.tables.Lock()
	defer fs.tables.Unlock()
	delete(fs.byUpper, n)
}

// wrapUpper returns the node for an upper one.
func (fs *FS) wrapUpper(n vfs.Node, parent *dir, name string) vfs.Node {
	fs.tables.Lock()
	defer fs.tables.Unlock()
	if w := fs.byUpper[n]; w != nil {
		return w.node()
	}
	u, ok := n.(vfs.Dir)
	if !ok {
		return n
	}
	d := &dir{fs: fs, upper: u, parent: parent, name: name}
	d.self = &wrapper{d: d}
	fs.byUpper[n] = d.self
	return d
}

// wrapLower returns the node for a lower one, found as name in parent.
func (fs *FS) wrapLower(n vfs.Node, parent *dir, name string) vfs.Node {
	fs.tables.Lock()
	defer fs.tables.Unlock()
	w := fs.copied[n]
	if w == nil {
		w = fs.lowers[n].Value()
	}
	if w != nil {
		if w.f != nil {
			w.f.at.Store(&place{parent, name})
		}
		return w.node()
	}
	w = &wrapper{}
	if l, ok := n.(vfs.Dir); ok {
		w.d = &dir{fs: fs, lower: l, parent: parent, name: name, self: w}
	} else {
		w.f = &file{fs: fs, lower: n, self: w}
		_, w.link = n.(vfs.Readlinker)
		w.f.at.Store(&place{parent, name})
	}
	fs.lowers[n] = weak.Make(w)
	runtime.AddCleanup(w, fs.cleanup, n)
	return w.node()
}

// cleanup forgets a lower node when nobody has its wrapper any more.
func (fs *FS) cleanup(n vfs.Node) {
	fs.tables.Lock()
	defer fs.tables.Unlock()
	if p, ok := fs.lowers[n]; ok && p.Value() == nil {
		delete(fs.lowers, n)
	}
}

// place is where a lower file was last seen: where its copy will be.
type place struct {
	dir  *dir
	name string
}
