package posix

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// oldName is a name that a call is about to take away.
type oldName struct {
	w     walker
	dir   *dentry
	name  string
	slash bool
	l     located // l.node is nil when there is none
	attr  vfs.Attr
}

// lastArg goes to the directory of a path's last name.
func (t *Task) lastArg(dirfd int, addr uint64) (o oldName, err error) {
	path, err := t.copyInPath(addr)
	if err != nil {
		return o, err
	}
	if o.w, err = t.walk(dirfd, path, 0); err != nil {
		return o, err
	}
	o.name, o.slash, err = o.w.toLast()
	o.dir = o.w.at
	return o, err
}

func (o *oldName) isDir() bool { return o.l.d != nil && o.l.d.dir != nil }

// special reports whether the last name is none that can be taken away.
func (o *oldName) special() bool { return o.name == "" || o.name == "." || o.name == ".." }

// covered reports whether a mount is at the name, or below it.
func (o *oldName) covered() bool {
	over := o.dir.over.Load()
	return over != nil && over.child(o.name) != nil
}

// find looks the name up.
func (o *oldName) find() (err error) {
	o.l, err = o.w.last(o.name)
	return err
}

// mayRemove checks permissions.
func (t *Task) mayRemove(o *oldName) (err error) {
	if o.attr, err = t.mayChange(o.dir); err != nil {
		return err
	}
	if err := t.sticky(&o.attr, o.l.node); err != nil {
		return err
	}
	if o.covered() {
		return syscall.EBUSY
	}
	return nil
}

func sysUnlink(t *Task, a *Args) (uint64, error) { return 0, t.unlink(unix.AT_FDCWD, a[0]) }
func sysRmdir(t *Task, a *Args) (uint64, error)  { return 0, t.rmdir(unix.AT_FDCWD, a[0]) }

func sysUnlinkat(t *Task, a *Args) (uint64, error) {
	switch a.Int(2) {
	case 0:
		return 0, t.unlink(a.Int(0), a[1])
	case unix.AT_REMOVEDIR:
		return 0, t.rmdir(a.Int(0), a[1])
	}
	return 0, syscall.EINVAL
}

func (t *Task) unlink(dirfd int, path uint64) error {
	o, err := t.lastArg(dirfd, path)
	if err != nil {
		return err
	}
	if o.special() {
		return syscall.EISDIR
	}
	if err := o.find(); err != nil {
		return err
	}
	if o.slash && !o.isDir() {
		return syscall.ENOTDIR
	}
	if o.slash {
		return syscall.EISDIR
	}
	if err := t.mayRemove(&o); err != nil {
		return err
	}
	if o.isDir() {
		return syscall.EISDIR
	}
	return t.remove(&o, false)
}

func (t *Task) rmdir(dirfd int, path uint64) error {
	o, err := t.lastArg(dirfd, path)
	if err != nil {
		return err
	}
	switch o.name {
	case "":
		return syscall.EBUSY
	case ".":
		return syscall.EINVAL
	case "..":
		return syscall.ENOTEMPTY
	}
	if err := o.find(); err != nil {
		return err
	}
	if err := t.mayRemove(&o); err != nil {
		return err
	}
	if !o.isDir() {
		return syscall.ENOTDIR
	}
	return t.remove(&o, true)
}

func (t *Task) remove(o *oldName, dir bool) error {
	if err := vfs.Remove(t.context(), o.dir.node, o.name, dir); err != nil {
		return err
	}
	c := o.dir.removed(t.k.mounts, o.name, o.l.node)
	t.deleted(o.dir, o.name, o.l.node, c)
	return nil
}

func sysRename(t *Task, a *Args) (uint64, error) {
	return 0, t.rename(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], 0)
}

func sysRenameat(t *Task, a *Args) (uint64, error) {
	return 0, t.rename(a.Int(0), a[1], a.Int(2), a[3], 0)
}

func sysRenameat2(t *Task, a *Args) (uint64, error) {
	return 0, t.rename(a.Int(0), a[1], a.Int(2), a[3], uint(a.Uint(4)))
}

func (t *Task) rename(fromFD int, fromPath uint64, toFD int, toPath uint64, flags uint) error {
	const exclusive = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
	if flags&^exclusive != 0 || flags == exclusive {
		return syscall.EINVAL
	}
	from, err := t.lastArg(fromFD, fromPath)
	if err != nil {
		return err
	}
	to, err := t.lastArg(toFD, toPath)
	if err != nil {
		return err
	}
	if from.dir.mount != to.dir.mount {
		return syscall.EXDEV
	}
	if from.special() {
		return syscall.EBUSY
	}
	if to.special() {
		if flags&unix.RENAME_NOREPLACE != 0 {
			return syscall.EEXIST
		}
		return syscall.EBUSY
	}
	if err := from.find(); err != nil {
		return err
	}
	if err := to.find(); err != nil && errnoOf(err) != syscall.ENOENT {
		return err
	}
	if done, err := t.checkRename(&from, &to, flags); done || err != nil {
		return err
	}
	return t.moveName(&from, &to, flags)
}

// checkRename checks all that rename(2) forbids; done means that both names are
// the same file's and nothing is to do.
func (t *Task) checkRename(from, to *oldName, flags uint) (done bool, err error) {
	exists := to.l.node != nil
	switch {
	case exists && flags&unix.RENAME_NOREPLACE != 0:
		return false, syscall.EEXIST
	case !exists && flags&unix.RENAME_EXCHANGE != 0:
		return false, syscall.ENOENT
	case !from.isDir() && (from.slash || to.slash && flags&unix.RENAME_EXCHANGE == 0),
		flags&unix.RENAME_EXCHANGE != 0 && to.slash && !to.isDir():
		return false, syscall.ENOTDIR
	case from.isDir() && to.dir.below(from.l.d):
		return false, syscall.EINVAL
	case to.isDir() && from.dir.below(to.l.d):
		if flags&unix.RENAME_EXCHANGE != 0 {
			return false, syscall.EINVAL
		}
		return false, syscall.ENOTEMPTY
	case exists && from.l.node == to.l.node:
		return true, nil
	}
	if err := t.mayRemove(from); err != nil {
		return false, err
	}
	if exists {
		err = t.mayRemove(to)
	} else {
		_, err = t.mayChange(to.dir)
	}
	if err != nil {
		return false, err
	}
	if exists && flags&unix.RENAME_EXCHANGE == 0 {
		if from.isDir() && !to.isDir() {
			return false, syscall.ENOTDIR
		}
		if !from.isDir() && to.isDir() {
			return false, syscall.EISDIR
		}
	}
	if from.dir == to.dir {
		return false, nil
	}
	// A directory that changes its parent changes its "..", too.
	if err := t.mayWriteDir(from); err != nil {
		return false, err
	}
	if flags&unix.RENAME_EXCHANGE != 0 {
		return false, t.mayWriteDir(to)
	}
	return false, nil
}

func (t *Task) mayWriteDir(o *oldName) error {
	if !o.isDir() || t.creds.Load().privileged() {
		return nil
	}
	a, err := o.l.node.Stat(t.context())
	if err != nil {
		return err
	}
	return t.creds.Load().may(&a, mayWrite)
}

// below reports whether d is top or below it.
func (d *dentry) below(top *dentry) bool {
	for ; d != nil; d = d.place.Load().parent {
		if d.same(top) {
			return true
		}
	}
	return false
}

// moveName has the server do it, and then moves the dentries along.
func (t *Task) moveName(from, to *oldName, flags uint) error {
	exchange := flags&unix.RENAME_EXCHANGE != 0
	if from.isDir() {
		to.dir.arrive(to.name, from.l.d)
		defer to.dir.leave(to.name, from.l.d)
	}
	if exchange && to.isDir() {
		from.dir.arrive(from.name, to.l.d)
		defer from.dir.leave(from.name, to.l.d)
	}
	if err := vfs.Rename(t.context(), from.dir.node, from.name, to.dir.node, to.name, flags); err != nil {
		return err
	}
	from.dir.changed()
	to.dir.changed()
	moved := from.dir.take(from.name, from.l.node)
	var back *dentry
	if exchange {
		back = to.dir.take(to.name, to.l.node)
	}
	replaced := to.dir.known(to.name)
	to.dir.put(to.name, moved)
	if exchange {
		from.dir.put(from.name, back)
		t.moved(from.dir, from.name, to.dir, to.name, from.l.node, nil, nil)
		t.moved(to.dir, to.name, from.dir, from.name, to.l.node, nil, nil)
		return nil
	}
	t.moved(from.dir, from.name, to.dir, to.name, from.l.node, to.l.node, replaced)
	return nil
}
