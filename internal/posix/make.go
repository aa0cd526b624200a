package posix

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// newName is where a call is about to make a name.
type newName struct {
	dir  *dentry
	name string
	attr vfs.Attr // of dir
}

// newNameArg finds the directory for a path whose last name does not exist, and
// checks that it may be made: EEXIST before anything else. A slash at the end is
// for directories only.
func (t *Task) newNameArg(dirfd int, addr uint64, isDir bool) (newName, error) {
	n, err := t.freeNameArg(dirfd, addr, isDir)
	if err == nil {
		n.attr, err = t.mayChange(n.dir)
	}
	return n, err
}

// freeNameArg is newNameArg without a look at permissions.
func (t *Task) freeNameArg(dirfd int, addr uint64, isDir bool) (newName, error) {
	path, err := t.copyInPath(addr)
	if err != nil {
		return newName{}, err
	}
	return t.newNameAt(dirfd, path, isDir)
}

// newNameAt is newNameArg for a path that is not in the guest's memory.
func (t *Task) newNameAt(dirfd int, path string, isDir bool) (newName, error) {
	w, err := t.walk(dirfd, path, 0)
	if err != nil {
		return newName{}, err
	}
	name, slash, err := w.toLast()
	if err != nil {
		return newName{}, err
	}
	if name == "" || name == "." || name == ".." {
		return newName{}, syscall.EEXIST
	}
	switch _, err := w.last(name); {
	case err == nil:
		return newName{}, syscall.EEXIST
	case errnoOf(err) != syscall.ENOENT:
		return newName{}, err
	case slash && !isDir:
		return newName{}, syscall.ENOENT
	}
	n := newName{dir: w.at, name: name}
	if w.at.place.Load().deleted {
		return n, syscall.ENOENT
	}
	return n, nil
}

func sysMkdir(t *Task, a *Args) (uint64, error) {
	return 0, t.mkdir(unix.AT_FDCWD, a[0], a.Uint(1))
}

func sysMkdirat(t *Task, a *Args) (uint64, error) {
	return 0, t.mkdir(a.Int(0), a[1], a.Uint(2))
}

func (t *Task) mkdir(dirfd int, path uint64, mode uint32) error {
	n, err := t.newNameArg(dirfd, path, true)
	if err != nil {
		return err
	}
	return t.make(&n, t.makeOptions(&n.attr, unix.S_IFDIR|mode&0o1777))
}

// make makes a file of any kind.
func (t *Task) make(n *newName, o vfs.MakeOptions) error {
	node, err := vfs.Make(t.context(), n.dir.node, n.name, o)
	if err != nil {
		return err
	}
	t.created(n.dir, n.name, node)
	return nil
}

func sysMknod(t *Task, a *Args) (uint64, error) {
	return 0, t.mknod(unix.AT_FDCWD, a[0], a.Uint(1), a.Uint(2))
}

func sysMknodat(t *Task, a *Args) (uint64, error) {
	return 0, t.mknod(a.Int(0), a[1], a.Uint(2), a.Uint(3))
}

func (t *Task) mknod(dirfd int, path uint64, mode, rdev uint32) error {
	kind := mode & unix.S_IFMT
	switch kind {
	case 0:
		mode |= unix.S_IFREG
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
	case unix.S_IFDIR:
		return syscall.EPERM
	default:
		return syscall.EINVAL
	}
	n, err := t.newNameArg(dirfd, path, false)
	if err != nil {
		return err
	}
	o := t.makeOptions(&n.attr, mode)
	if kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		if !t.creds.Load().has(unix.CAP_MKNOD) {
			return syscall.EPERM
		}
		o.Rdev = uint64(rdev)
	}
	return t.make(&n, o)
}

func sysSymlink(t *Task, a *Args) (uint64, error) {
	return 0, t.symlink(a[0], unix.AT_FDCWD, a[1])
}

func sysSymlinkat(t *Task, a *Args) (uint64, error) {
	return 0, t.symlink(a[0], a.Int(1), a[2])
}

func (t *Task) symlink(target uint64, dirfd int, path uint64) error {
	text, err := t.copyInPath(target)
	if err != nil {
		return err
	}
	if text == "" {
		return syscall.ENOENT
	}
	n, err := t.newNameArg(dirfd, path, false)
	if err != nil {
		return err
	}
	o := t.makeOptions(&n.attr, unix.S_IFLNK)
	o.Mode, o.Target = unix.S_IFLNK|0o777, text
	return t.make(&n, o)
}

func sysReadlink(t *Task, a *Args) (uint64, error) {
	return t.readlink(unix.AT_FDCWD, a[0], a[1], a.Int(2))
}

func sysReadlinkat(t *Task, a *Args) (uint64, error) {
	return t.readlink(a.Int(0), a[1], a[2], a.Int(3))
}

func (t *Task) readlink(dirfd int, path, to uint64, size int) (uint64, error) {
	if size <= 0 {
		return 0, syscall.EINVAL
	}
	name, err := t.copyInPath(path)
	if err != nil {
		return 0, err
	}
	l, err := t.lookupAt(dirfd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	link, ok := l.node.(vfs.Readlinker)
	if !ok {
		if name == "" {
			return 0, syscall.ENOENT
		}
		return 0, syscall.EINVAL
	}
	text, err := link.Readlink(t.context())
	if err != nil {
		return 0, err
	}
	b := append(t.buffer(0)[:0], text...)
	b = b[:min(len(b), size)]
	return uint64(len(b)), t.copyOut(to, b)
}

func sysLink(t *Task, a *Args) (uint64, error) {
	return 0, t.link(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], 0)
}

func sysLinkat(t *Task, a *Args) (uint64, error) {
	flags := a.Int(4)
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	return 0, t.link(a.Int(0), a[1], a.Int(2), a[3], flags)
}

func (t *Task) link(dirfd int, path uint64, toDirfd int, toPath uint64, flags int) error {
	at := unix.AT_SYMLINK_NOFOLLOW
	if flags&unix.AT_SYMLINK_FOLLOW != 0 {
		at = 0
	}
	l, err := t.lookupArg(dirfd, path, at|flags&unix.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	n, err := t.freeNameArg(toDirfd, toPath, false)
	if err != nil {
		return err
	}
	if l.mount() != n.dir.mount {
		return syscall.EXDEV
	}
	a, err := l.node.Stat(t.context())
	if err != nil {
		return err
	}
	if !t.safeLink(&a) {
		return syscall.EPERM
	}
	if _, err := t.mayChange(n.dir); err != nil {
		return err
	}
	switch {
	case a.IsDir():
		return syscall.EPERM
	case a.Nlink == 0 && l.d != nil && !l.d.linkable.Load():
		return syscall.ENOENT // deleted, or a temporary file that stays one
	}
	if err := vfs.Link(t.context(), n.dir.node, l.node, n.name); err != nil {
		return err
	}
	t.linked(n.dir, n.name, l.node)
	return nil
}

// safeLink is /proc/sys/fs/protected_hardlinks: who does not own a file can
// link only what he could copy.
func (t *Task) safeLink(a *vfs.Attr) bool {
	const setGID = unix.S_ISGID | unix.S_IXGRP
	c := t.creds.Load()
	return c.owns(a) || a.IsRegular() && a.Mode&unix.S_ISUID == 0 && a.Mode&setGID != setGID &&
		c.may(a, mayRead|mayWrite) == nil
}
