// Package overlay lays a writable file system over one that is never changed.
// What is written is kept in the upper one: a file of the lower one is copied
// there when it is first changed. That a lower name is gone, and which
// directories belong together, the overlay keeps in its own memory.
//
// Files of the upper file system that never were in the lower one are handed out
// as they are. Directories and lower files are wrapped, and keep their identity
// (==, st_dev, st_ino, birth) when they are copied up. All names of a lower file
// follow a copy, and so do its open files: who reads sees what others write.
// Only mappings made before the copy go on showing the old contents, as with
// Linux's overlayfs; who maps to write copies first.
//
// Processes of the host may change the lower file system meanwhile. What they
// make, change and remove shows as long as the overlay has nothing of its own in
// that place.
//
// # Memory
//
// A lower file that is not copied is known only while somebody holds its node.
// What stays is: a copy with its wrapper, a removed lower name, and a file of
// several names that has lost one.
//
// The package imports vfs and golang.org/x/sys only.
//
// # Lock order
//
// openFile.mu and openDir.mu; file.mu (over the copying of one file), then FS.renames, then dir.mu, a parent's
// before a child's, two unrelated ones in the order of their numbers; FS.tables is
// a leaf. Both servers are called with dir.mu held, but contents are copied
// without it.
package overlay

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"weak"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Options are choices that an overlay has.
type Options struct{}

// Numberer is an upper file system that can be told the numbers that its files
// show: dev as st_dev, and st_ino from first on, so that they are told apart from
// the lower ones beside them and yet are of the same file system.
type Numberer interface {
	Number(dev, first uint64)
}

// firstIno is beyond the numbers of real disks, and still exact in a program that
// keeps numbers as floating point.
const firstIno = 1 << 52

// FS is an overlay. Its methods may be called concurrently.
type FS struct {
	upper vfs.FS
	lower vfs.FS
	root  *dir
	links vfs.Dir // upper directory of copies that have no name, or not all of them
	last  atomic.Uint64

	renames sync.Mutex // held while names move: directories' parents change only then

	lowers sync.Map // lower node -> weak.Pointer[node]
	uppers sync.Map // upper node -> *node: directories, and copies that have names

	tables sync.Mutex
	kept   map[*node]struct{} // not copied, but with fewer names than below
}

// New lays upper, whose root is an empty directory of the overlay's own, over
// lower.
func New(upper, lower vfs.FS, _ Options) (*FS, error) {
	fs, err := lay(upper, lower)
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return fs, nil
}

func lay(upper, lower vfs.FS) (*FS, error) {
	ctx := context.Background()
	low, err := lower.Root(ctx)
	if err != nil {
		return nil, err
	}
	l, ok := low.(vfs.Dir)
	if !ok {
		return nil, syscall.ENOTDIR
	}
	a, err := l.Stat(ctx)
	if err != nil {
		return nil, err
	}
	if n, ok := upper.(Numberer); ok {
		n.Number(a.Dev, firstIno)
	}
	top, err := upper.Root(ctx)
	if err != nil {
		return nil, err
	}
	fs := &FS{upper: upper, lower: lower, kept: map[*node]struct{}{}}
	make := func(name string) (vfs.Dir, error) {
		n, err := vfs.Make(ctx, top, name, vfs.MakeOptions{Mode: unix.S_IFDIR | 0o700, UID: a.UID, GID: a.GID})
		if err != nil {
			return nil, err
		}
		return n.(vfs.Dir), nil
	}
	if fs.links, err = make("links"); err != nil {
		return nil, err
	}
	u, err := make("root")
	if err != nil {
		return nil, err
	}
	fs.root = &dir{low: l}
	fs.root.init(fs, l, fs.root)
	if err := dress(ctx, u, l, &a); err != nil {
		return nil, err
	}
	fs.root.raised(u, &a)
	fs.lowers.Store(low, weak.Make(&fs.root.node))
	return fs, nil
}

// Root returns the merged root.
func (fs *FS) Root(context.Context) (vfs.Node, error) { return fs.root, nil }

// Statfs tells what both file systems hold, and the upper one's room.
func (fs *FS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	s, ok := fs.upper.(vfs.Statfser)
	if !ok {
		return vfs.Statfs{}, syscall.ENOSYS
	}
	st, err := s.Statfs(ctx)
	if err != nil {
		return st, err
	}
	st.Type = unix.OVERLAYFS_SUPER_MAGIC
	if l, ok := fs.lower.(vfs.Statfser); ok && st.BlockSize > 0 {
		if low, err := l.Statfs(ctx); err == nil && low.Blocks >= low.BlocksFree {
			used := (low.Blocks - low.BlocksFree) * uint64(low.BlockSize) / uint64(st.BlockSize)
			st.Blocks += used
		}
	}
	return st, nil
}

// unique returns a new name in links.
func (fs *FS) unique() string { return strconv.FormatUint(fs.last.Add(1), 36) }

// wrapUpper returns the node for an upper one.
func (fs *FS) wrapUpper(n vfs.Node, parent *dir, name string) vfs.Node {
	if w, ok := fs.uppers.Load(n); ok {
		return w.(*node).self
	}
	if u, ok := n.(vfs.Dir); ok {
		return fs.newUpper(u, parent, name)
	}
	return n
}

// newUpper wraps an upper directory.
func (fs *FS) newUpper(u vfs.Dir, parent *dir, name string) vfs.Node {
	n := vfs.Node(u)
	d := &dir{up: u, number: fs.last.Add(1)}
	d.init(fs, nil, d)
	d.put(parent, name)
	d.upper.Store(&n)
	w, _ := fs.uppers.LoadOrStore(n, &d.node)
	return w.(*node).self
}

// wrapLower returns the node for a lower one, found as name in parent.
func (fs *FS) wrapLower(ctx context.Context, n vfs.Node, parent *dir, name string) vfs.Node {
	if w := fs.known(n); w != nil {
		w.found(ctx, parent, name)
		return w.self
	}
	fresh := fs.newLower(n)
	fresh.put(parent, name)
	p := weak.Make(fresh)
	for {
		old, loaded := fs.lowers.LoadOrStore(n, p)
		if !loaded || fs.lowers.CompareAndSwap(n, old, p) && old.(weak.Pointer[node]).Value() == nil {
			break
		}
		if w := old.(weak.Pointer[node]).Value(); w != nil {
			return w.self
		}
	}
	runtime.AddCleanup(fresh, forget, entry{weak.Make(fs), n, p})
	return fresh.self
}

// known returns the wrapper of a lower node, if somebody has it.
func (fs *FS) known(n vfs.Node) *node {
	if p, ok := fs.lowers.Load(n); ok {
		return p.(weak.Pointer[node]).Value()
	}
	return nil
}

// newLower makes a wrapper. What can be opened and is no directory is taken for a
// regular file.
func (fs *FS) newLower(n vfs.Node) *node {
	if low, ok := n.(vfs.Dir); ok {
		d := &dir{low: low, number: fs.last.Add(1)}
		return d.init(fs, n, d)
	}
	if _, ok := n.(vfs.Readlinker); ok {
		l := &link{}
		return l.init(fs, n, l)
	}
	if _, ok := n.(vfs.Opener); ok {
		r := &regular{}
		return r.init(fs, n, r)
	}
	s := &special{}
	return s.init(fs, n, s)
}

// entry is what is left of a wrapper that is gone; it must not lead to it.
type entry struct {
	fs    weak.Pointer[FS]
	lower vfs.Node
	node  weak.Pointer[node]
}

func forget(e entry) {
	if fs := e.fs.Value(); fs != nil {
		fs.lowers.CompareAndDelete(e.lower, e.node)
	}
}
