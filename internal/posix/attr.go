package posix

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// keepID is what chown(2) takes for an id that stays.
const keepID = 0xffffffff

func sysChmod(t *Task, a *Args) (uint64, error) {
	return 0, t.chmodAt(unix.AT_FDCWD, a[0], a.Uint(1), 0)
}

func sysFchmodat(t *Task, a *Args) (uint64, error) {
	return 0, t.chmodAt(a.Int(0), a[1], a.Uint(2), 0)
}

func sysFchmodat2(t *Task, a *Args) (uint64, error) {
	flags := a.Int(3)
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	return 0, t.chmodAt(a.Int(0), a[1], a.Uint(2), flags)
}

func (t *Task) chmodAt(dirfd int, path uint64, mode uint32, flags int) error {
	l, err := t.lookupArg(dirfd, path, flags)
	if err != nil {
		return err
	}
	return t.chmod(&l, nil, mode)
}

func sysFchmod(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return 0, t.chmod(d.located(), d.file, a.Uint(1))
}

// located is the description's file as a walk would have found it.
func (d *Description) located() *located { return &located{node: d.file.Node(), d: d.path.d} }

func (t *Task) chmod(l *located, f vfs.File, mode uint32) error {
	a, err := t.attrToChange(l)
	if err != nil {
		return err
	}
	c := t.creds.Load()
	if !c.owns(&a) {
		return syscall.EPERM
	}
	if a.IsSymlink() {
		return syscall.EOPNOTSUPP
	}
	mode &= 0o7777
	if !c.has(unix.CAP_FSETID) && !c.inGroup(a.GID) {
		mode &^= unix.S_ISGID
	}
	return t.setAttr(l, f, vfs.SetAttr{Valid: vfs.SetMode, Mode: mode})
}

// attrToChange returns the attributes of a file on a mount that can be written.
func (t *Task) attrToChange(l *located) (vfs.Attr, error) {
	if l.mount().readOnly.Load() {
		return vfs.Attr{}, syscall.EROFS
	}
	return l.node.Stat(t.context())
}

func (t *Task) setAttr(l *located, f vfs.File, s vfs.SetAttr) error {
	if err := vfs.SetAttributes(t.context(), l.node, f, s); err != nil {
		return err
	}
	l.event(attrEvents(s.Valid))
	return nil
}

func sysChown(t *Task, a *Args) (uint64, error) {
	return 0, t.chownAt(unix.AT_FDCWD, a[0], a.Uint(1), a.Uint(2), 0)
}

func sysLchown(t *Task, a *Args) (uint64, error) {
	return 0, t.chownAt(unix.AT_FDCWD, a[0], a.Uint(1), a.Uint(2), unix.AT_SYMLINK_NOFOLLOW)
}

func sysFchownat(t *Task, a *Args) (uint64, error) {
	flags := a.Int(4)
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	return 0, t.chownAt(a.Int(0), a[1], a.Uint(2), a.Uint(3), flags)
}

func (t *Task) chownAt(dirfd int, path uint64, uid, gid uint32, flags int) error {
	l, err := t.lookupArg(dirfd, path, flags)
	if err != nil {
		return err
	}
	return t.chown(&l, nil, uid, gid)
}

func sysFchown(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return 0, t.chown(d.located(), d.file, a.Uint(1), a.Uint(2))
}

func (t *Task) chown(l *located, f vfs.File, uid, gid uint32) error {
	a, err := t.attrToChange(l)
	if err != nil {
		return err
	}
	c := t.creds.Load()
	var s vfs.SetAttr
	if uid != keepID {
		if !c.has(unix.CAP_CHOWN) && !a.OwnAccess && (c.FSUID != a.UID || uid != a.UID) {
			return syscall.EPERM
		}
		s.Valid, s.UID = s.Valid|vfs.SetUID, uid
	}
	if gid != keepID {
		if !c.has(unix.CAP_CHOWN) && !a.OwnAccess && (c.FSUID != a.UID || gid != a.GID && !c.inGroup(gid)) {
			return syscall.EPERM
		}
		s.Valid, s.GID = s.Valid|vfs.SetGID, gid
	}
	// Set-id bits do not change hands, not even root's.
	if mode := a.Mode & 0o7777; !a.IsDir() {
		kept := mode &^ unix.S_ISUID
		if mode&unix.S_IXGRP != 0 || !c.has(unix.CAP_FSETID) && !c.inGroup(a.GID) {
			kept &^= unix.S_ISGID
		}
		if kept != mode {
			s.Valid, s.Mode = s.Valid|vfs.SetMode, kept
		}
	}
	if s.Valid == 0 {
		return nil
	}
	return t.setAttr(l, f, s)
}
