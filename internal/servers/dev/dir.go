package dev

import (
	"cmp"
	"context"
	"slices"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// dir is a directory. fs.mu guards all of it.
type dir struct {
	inode
	parent *dir // the root's is itself; nil once removed
	names  map[string]entry
	next   uint64 // the cookie of the next name
}

// entry is a name: cookies rise in the order in which names were made.
type entry struct {
	node   vfs.Node
	cookie uint64
}

const firstCookie = 3

func (fs *tree) newDir(mode, uid, gid uint32) *dir {
	d := &dir{inode: fs.newInode(mode, uid, gid), names: make(map[string]entry), next: firstCookie}
	d.nlink = 2
	return d
}

// put names n; the caller holds fs.mu or is still building the tree.
func (d *dir) put(name string, n vfs.Node) {
	d.names[name] = entry{n, d.next}
	d.next++
	if sub, ok := n.(*dir); ok && sub.fs == d.fs {
		sub.parent = d
		d.nlink++
	}
	d.touch()
}

// take removes the name; the caller holds fs.mu.
func (d *dir) take(name string) {
	if _, ok := d.names[name].node.(*dir); ok {
		d.nlink--
	}
	delete(d.names, name)
	d.touch()
}

func (d *dir) touch() {
	d.mtime = now()
	d.ctime = d.mtime
}

// Lookup finds a name.
func (d *dir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	d.fs.mu.RLock()
	defer d.fs.mu.RUnlock()
	if e, ok := d.names[name]; ok {
		return e.node, nil
	}
	if len(name) > nameMax {
		return nil, syscall.ENAMETOOLONG
	}
	return nil, syscall.ENOENT
}

// room checks whether name can be made in d; the caller holds fs.mu.
func (d *dir) room(name string) error {
	switch _, taken := d.names[name]; {
	case len(name) > nameMax:
		return syscall.ENAMETOOLONG
	case taken:
		return syscall.EEXIST
	case d.parent == nil:
		return syscall.ENOENT
	}
	return nil
}

// Make makes a node of any kind.
func (d *dir) Make(_ context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if err := d.room(name); err != nil {
		return nil, err
	}
	var n vfs.Node
	switch o.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		n = d.fs.newDir(o.Mode, o.UID, o.GID)
	case unix.S_IFREG, 0:
		n = &regular{inode: d.fs.newInode(unix.S_IFREG|o.Mode&0o7777, o.UID, o.GID)}
	case unix.S_IFLNK:
		n = &symlink{inode: d.fs.newInode(unix.S_IFLNK|0o777, o.UID, o.GID), target: o.Target}
	case unix.S_IFCHR, unix.S_IFBLK:
		s := &special{inode: d.fs.newInode(o.Mode, o.UID, o.GID)}
		s.rdev = o.Rdev
		n = s
	case unix.S_IFIFO, unix.S_IFSOCK:
		n = &endpoint{inode: d.fs.newInode(o.Mode, o.UID, o.GID)}
	default:
		return nil, syscall.EINVAL
	}
	d.put(name, n)
	return n, nil
}

// MakeOpen makes a regular file and opens it.
func (d *dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	o.Mode = unix.S_IFREG | o.Mode&0o7777
	n, err := d.Make(ctx, name, o)
	if err != nil {
		return nil, nil, err
	}
	f, err := vfs.Open(ctx, n, flags)
	return n, f, err
}

// Remove is unlink and rmdir. A foreign directory (pts, shm) is EBUSY, as a
// mount point is.
func (d *dir) Remove(_ context.Context, name string, isDir bool) error {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	e, ok := d.names[name]
	if !ok {
		return syscall.ENOENT
	}
	if err := d.fs.removable(e.node, isDir); err != nil {
		return err
	}
	d.take(name)
	d.drop(e.node)
	return nil
}

// removable says whether n may lose its name to rmdir (isDir) or unlink.
func (fs *tree) removable(n vfs.Node, isDir bool) error {
	sub, ok := n.(*dir)
	switch {
	case fs.own(n) == nil:
		return syscall.EBUSY
	case isDir && !ok:
		return syscall.ENOTDIR
	case !isDir && ok:
		return syscall.EISDIR
	case ok && len(sub.names) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// drop counts down the links of a node that lost a name.
func (d *dir) drop(n vfs.Node) {
	b := d.fs.own(n)
	b.ctime = now()
	if sub, ok := n.(*dir); ok {
		sub.parent, b.nlink = nil, 0
		return
	}
	b.nlink--
}

// Link gives target a second name.
func (d *dir) Link(_ context.Context, target vfs.Node, name string) error {
	t := d.fs.own(target)
	if t == nil {
		return syscall.EXDEV
	}
	if _, isDir := target.(*dir); isDir {
		return syscall.EPERM
	}
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	if err := d.room(name); err != nil {
		return err
	}
	if t.nlink == 0 {
		return syscall.ENOENT
	}
	t.nlink++
	t.ctime = now()
	d.put(name, target)
	return nil
}

// Open opens the directory for listing.
func (d *dir) Open(context.Context, int) (vfs.File, error) { return &dirFile{d}, nil }

type dirFile struct{ d *dir }

func (f *dirFile) Node() vfs.Node { return f.d }
func (f *dirFile) Close() error   { return nil }

// ReadDir lists the names in the order in which they were made.
func (f *dirFile) ReadDir(ctx context.Context, cookie uint64, max int) ([]vfs.Dirent, error) {
	type item struct {
		vfs.Dirent
		foreign vfs.Node
	}
	f.d.fs.mu.RLock()
	items := make([]item, 0, len(f.d.names))
	for name, e := range f.d.names {
		if e.cookie < cookie {
			continue
		}
		it := item{Dirent: vfs.Dirent{Name: name, Next: e.cookie + 1}}
		if t := f.d.fs.own(e.node); t != nil {
			it.Ino, it.Type = t.ino, t.mode&unix.S_IFMT
		} else {
			it.foreign = e.node
		}
		items = append(items, it)
	}
	f.d.fs.mu.RUnlock()

	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.Next, b.Next) })
	items = items[:min(len(items), max)]
	list := make([]vfs.Dirent, len(items))
	for i, it := range items {
		if it.foreign != nil { // another server, so asked without the lock
			if a, err := it.foreign.Stat(ctx); err == nil {
				it.Ino, it.Type = a.Ino, a.Type()
			}
		}
		list[i] = it.Dirent
	}
	return list, nil
}
