package posix

import (
	"context"
	"slices"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Kinds of access, as in access(2).
const (
	mayExec  = 1
	mayWrite = 2
	mayRead  = 4
)

// has reports whether a capability(7) is effective.
func (c *Creds) has(capability int) bool { return c.capable(capability) }

// privileged reports whether file permissions do not bind.
func (c *Creds) privileged() bool { return c.has(unix.CAP_DAC_OVERRIDE) }

// inGroup reports whether gid is the file system group or one of the others.
func (c *Creds) inGroup(gid uint32) bool {
	return c.FSGID == gid || slices.Contains(c.Groups, gid)
}

// owns reports whether c may do what only a file's owner may.
func (c *Creds) owns(a *vfs.Attr) bool {
	return c.FSUID == a.UID || a.OwnAccess || c.has(unix.CAP_FOWNER)
}

// may checks access to a file: EACCES if it is not granted.
func (c *Creds) may(a *vfs.Attr, want uint32) error {
	if c.privileged() || a.OwnAccess {
		if want&mayExec != 0 && !a.IsDir() && a.Mode&0o111 == 0 {
			return syscall.EACCES
		}
		return nil
	}
	bits := a.Mode
	switch {
	case c.FSUID == a.UID:
		bits >>= 6
	case c.inGroup(a.GID):
		bits >>= 3
	}
	if want&^bits != 0 {
		return syscall.EACCES
	}
	return nil
}

// search checks that the names in d may be looked up.
func search(ctx context.Context, c *Creds, d *dentry) error {
	if d.dir == nil {
		return syscall.ENOTDIR
	}
	if c.privileged() {
		return nil
	}
	a, err := d.node.Stat(ctx)
	if err != nil {
		return err
	}
	return c.may(&a, mayExec)
}

// mayChange checks that names may be added to d, or taken away, and returns its
// attributes.
func (t *Task) mayChange(d *dentry) (vfs.Attr, error) {
	if d.dir == nil {
		return vfs.Attr{}, syscall.ENOTDIR
	}
	a, err := d.node.Stat(t.context())
	if err != nil {
		return a, err
	}
	if d.mount.readOnly.Load() {
		return a, syscall.EROFS
	}
	return a, t.creds.Load().may(&a, mayWrite|mayExec)
}

// sticky checks that a name in dir, whose attributes are a, may be removed or
// moved: in a sticky directory only by the file's or the directory's owner.
func (t *Task) sticky(a *vfs.Attr, n vfs.Node) error {
	c := t.creds.Load()
	if a.Mode&unix.S_ISVTX == 0 || c.owns(a) {
		return nil
	}
	na, err := n.Stat(t.context())
	if err != nil {
		return err
	}
	if na.UID != c.FSUID {
		return syscall.EPERM
	}
	return nil
}

// makeOptions are those for a file that the task makes in a directory with the
// attributes dir: umask, owner, and the group of a set-group-id directory.
func (t *Task) makeOptions(dir *vfs.Attr, mode uint32) vfs.MakeOptions {
	c := t.creds.Load()
	perm := mode & 0o7777 &^ t.fs.umask.Load()
	o := vfs.MakeOptions{Mode: mode&unix.S_IFMT | perm, UID: c.FSUID, GID: c.FSGID}
	if dir.Mode&unix.S_ISGID != 0 {
		o.GID = dir.GID
		if mode&unix.S_IFMT == unix.S_IFDIR {
			o.Mode |= unix.S_ISGID
		} else if o.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP && !c.has(unix.CAP_FSETID) && !c.inGroup(o.GID) {
			o.Mode &^= unix.S_ISGID
		}
	}
	return o
}
