package host

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Remove removes name from d. The node of the file, if somebody holds it, goes
// on by its open files, and otherwise keeps its last attributes.
func (d *dir) Remove(ctx context.Context, name string, isDir bool) error {
	if err := single(name); err != nil {
		return err
	}
	if err := d.fs.writable(); err != nil {
		return err
	}
	fd, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.slot.put()
	var st unix.Statx_t
	if err := statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, &st); err != nil {
		return err
	}
	if err := d.mayMove(name, &st); err != nil {
		return err
	}
	flags := 0
	if isDir {
		flags = unix.AT_REMOVEDIR
	}
	n := d.fs.table.find(&st)
	n.losing(&st)
	err = hostName(ctx, func() error { return unix.Unlinkat(fd, name, flags) })
	n.lost(&st, err)
	return err
}

// losing prepares n, nil or the node of the file that st describes, for the loss
// of a name: before it happens, so that Stat always has an answer.
func (n *node) losing(st *unix.Statx_t) {
	if n == nil {
		return
	}
	last := attrOf(st)
	if last.Nlink--; n.kind == unix.S_IFDIR {
		last.Nlink = 0
	}
	n.gone.Store(&last)
}

// lost follows losing: err tells whether the name is lost.
func (n *node) lost(st *unix.Statx_t, err error) {
	switch {
	case n == nil:
	case err != nil:
		n.gone.Store(nil)
	case st.Nlink <= 1 || n.kind == unix.S_IFDIR:
		n.fs.table.forget(n)
	}
}

// Rename moves name in d to toName in to, with renameat2's flags.
func (d *dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		if _, ok := to.(*veil); ok {
			return syscall.EACCES
		}
		return syscall.EXDEV
	}
	if err := single(name); err != nil {
		return err
	}
	if err := single(toName); err != nil {
		return err
	}
	if err := d.fs.writable(); err != nil {
		return err
	}
	if err := t.mayMake(toName); err != nil {
		return err
	}
	fd, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.slot.put()
	toFD, err := t.acquire()
	if err != nil {
		return err
	}
	defer t.slot.put()
	d.fs.names.Lock()
	defer d.fs.names.Unlock()
	return d.rename(ctx, fd, name, t, toFD, toName, flags)
}

// rename is Rename with the descriptors acquired and the lock held.
func (d *dir) rename(ctx context.Context, fd int, name string, t *dir, toFD int, toName string, flags uint) error {
	var src, dst unix.Statx_t
	if err := statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, &src); err != nil {
		return err
	}
	if err := d.mayMove(name, &src); err != nil {
		return err
	}
	var over *node // the file that toName leads to now
	switch err := statx(toFD, toName, unix.AT_SYMLINK_NOFOLLOW, &dst); err {
	case nil:
		if err := t.mayMove(toName, &dst); err != nil {
			return err
		}
		over = d.fs.table.find(&dst)
	case syscall.ENOENT:
		if err := t.mayMove(toName, nil); err != nil {
			return err
		}
	default:
		return err
	}
	swap := flags&unix.RENAME_EXCHANGE != 0
	same := keyOf(&src) == keyOf(&dst) // two names of one file: nothing happens
	if !swap && !same {
		over.losing(&dst)
	}
	err := hostName(ctx, func() error { return unix.Renameat2(fd, name, toFD, toName, flags) })
	if !swap && !same {
		over.lost(&dst, err)
	}
	if err != nil {
		return err
	}
	d.fs.moves.Add(1)
	t.moved(toFD, toName)
	if swap || same || flags&unix.RENAME_WHITEOUT != 0 {
		d.moved(fd, name)
	}
	return nil
}

// moved tells the node of the file that is now name in d so.
func (d *dir) moved(fd int, name string) {
	var st unix.Statx_t
	if statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, &st) != nil {
		return
	}
	if n := d.fs.table.find(&st); n != nil && n != &d.fs.root.node {
		n.place.Store(&place{d, strings.Clone(name)})
	}
}

// Link gives target, a node of the same FS, another name.
func (d *dir) Link(ctx context.Context, target vfs.Node, name string) error {
	n := nodeOf(target)
	if n == nil || n.fs != d.fs {
		return syscall.EXDEV
	}
	if err := single(name); err != nil {
		return err
	}
	if err := d.fs.writable(); err != nil {
		return err
	}
	if err := d.mayMake(name); err != nil {
		return err
	}
	if n.kind == unix.S_IFDIR {
		return syscall.EPERM
	}
	dirfd, err := d.acquire()
	if err != nil {
		return err
	}
	defer d.slot.put()
	return n.withFD(func(fd int) error {
		// AT_EMPTY_PATH asks for a capability; the way by /proc does not.
		err := hostName(ctx, func() error {
			return unix.Linkat(unix.AT_FDCWD, procPath(fd), dirfd, name, unix.AT_SYMLINK_FOLLOW)
		})
		if err == nil && n.place.Load() == nil {
			n.place.Store(&place{d, strings.Clone(name)})
		}
		return err
	})
}

// nodeOf returns the node within v, or nil when it is another server's.
func nodeOf(v vfs.Node) *node {
	switch v := v.(type) {
	case *dir:
		return &v.node
	case *regular:
		return &v.node
	case *symlink:
		return &v.node
	case *special:
		return &v.node
	case *veil:
		return &v.node
	}
	return nil
}
