package host

import (
	"context"
	"runtime"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Make makes a file of any kind that the host's user may make. Mode and owner
// become exactly those asked for, whatever the umask of this process; if the
// host refuses (a chown by an ordinary user), the file is removed again.
func (d *dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	fd, err := d.beginMake(name)
	if err != nil {
		return nil, err
	}
	defer d.slot.put()
	kind, perm := o.Mode&unix.S_IFMT, o.Mode&0o7777
	if kind == 0 {
		kind = unix.S_IFREG
	}
	err = hostName(ctx, func() error {
		switch kind {
		case unix.S_IFDIR:
			return unix.Mkdirat(fd, name, perm)
		case unix.S_IFLNK:
			return unix.Symlinkat(o.Target, fd, name)
		default:
			return unix.Mknodat(fd, name, kind|perm, int(o.Rdev))
		}
	})
	if err != nil {
		return nil, err
	}
	var st unix.Statx_t
	n, err := d.lookup(fd, name, &st)
	if err != nil {
		return nil, err
	}
	if n.kind != kind {
		return nil, syscall.ESTALE // a host process was quick
	}
	if err := n.settle(&st, o); err != nil {
		n.unmake(fd, name)
		return nil, err
	}
	return n.self, nil
}

// MakeOpen makes a regular file and opens it, whatever its mode.
func (d *dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	dirfd, err := d.beginMake(name)
	if err != nil {
		return nil, nil, err
	}
	defer d.slot.put()
	const fresh = unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW
	fd, err := d.fs.open(ctx, dirfd, name, flags&openFlags|fresh, o.Mode&0o7777)
	if err != nil {
		return nil, nil, err
	}
	var st unix.Statx_t
	if err := statx(fd, "", unix.AT_EMPTY_PATH, &st); err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	n := d.fs.table.intern(d.fs, place{d, name}, &st, false)
	f := n.self.(*regular).newFile(fd, flags)
	if err := n.settle(&st, o); err != nil {
		n.unmake(dirfd, name)
		f.Close()
		return nil, nil, err
	}
	return n.self, f, nil
}

// beginMake returns d's descriptor, acquired, when name may be made in d.
func (d *dir) beginMake(name string) (int, error) {
	if err := single(name); err != nil {
		return -1, err
	}
	if err := d.mayMake(name); err != nil {
		if d.fs.readOnly {
			err = syscall.EROFS // and not whether there is one
		}
		return -1, err
	}
	fd, err := d.acquire()
	if err != nil {
		return -1, err
	}
	if d.fs.readOnly {
		var st unix.Statx_t
		err := statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, &st)
		d.slot.put()
		if err == nil {
			return -1, syscall.EEXIST // Linux says so first
		}
		return -1, syscall.EROFS
	}
	return fd, nil
}

// settle gives a new file, which st describes, the mode and owner of o.
func (n *node) settle(st *unix.Statx_t, o vfs.MakeOptions) error {
	owner := st.Uid != o.UID || st.Gid != o.GID
	want, got := o.Mode&0o7777, uint32(st.Mode)&0o7777
	if n.kind == unix.S_IFDIR {
		want |= got & unix.S_ISGID // from a directory that hands its group down
	}
	// chown clears the set-id bits.
	mode := n.kind != unix.S_IFLNK && (want != got || owner && want&(unix.S_ISUID|unix.S_ISGID) != 0)
	if !owner && !mode {
		return nil
	}
	return n.withFD(func(fd int) error {
		if owner {
			uid, gid := -1, -1
			if st.Uid != o.UID {
				uid = int(o.UID)
			}
			if st.Gid != o.GID {
				gid = int(o.GID)
			}
			if err := chown(fd, uid, gid); err != nil {
				return err
			}
		}
		if mode {
			return chmod(fd, want)
		}
		return nil
	})
}

// unmake removes what was made as name in dirfd, if it is still there.
func (n *node) unmake(dirfd int, name string) {
	var st unix.Statx_t
	if statx(dirfd, name, unix.AT_SYMLINK_NOFOLLOW, &st) != nil || !n.is(&st) {
		return
	}
	flags := 0
	if n.kind == unix.S_IFDIR {
		flags = unix.AT_REMOVEDIR
	}
	unix.Unlinkat(dirfd, name, flags)
	n.fs.table.forget(n)
}

// anchor keeps a file that has no name.
type anchor struct {
	handle
	cleanup runtime.Cleanup
}

// Tmpfile makes a file without a name. It lives until the last File of it is
// closed, or its node is forgotten, unless Link names it before.
func (d *dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	if err := d.fs.writable(); err != nil {
		return nil, err
	}
	dirfd, err := d.acquire()
	if err != nil {
		return nil, err
	}
	defer d.slot.put()
	fd, err := d.fs.open(ctx, dirfd, ".", unix.O_TMPFILE|unix.O_RDWR, o.Mode&0o7777)
	if err != nil {
		return nil, err
	}
	var st unix.Statx_t
	if err := statx(fd, "", unix.AT_EMPTY_PATH, &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	n := d.fs.table.intern(d.fs, place{}, &st, false)
	a := &anchor{}
	a.adopt(fd, 1)
	a.cleanup = runtime.AddCleanup(n, func(h *handle) { h.put() }, &a.handle)
	n.mu.Lock()
	n.anchor = a
	n.open.Store(&a.handle)
	n.mu.Unlock()
	if err := n.settle(&st, o); err != nil {
		return nil, err // the file goes with n
	}
	return n.self, nil
}

// letGo ends the file that a held, which was n's, unless it has a name now.
func (n *node) letGo(a *anchor) {
	var st unix.Statx_t
	if statx(a.fd, "", unix.AT_EMPTY_PATH, &st) == nil {
		if attr := attrOf(&st); attr.Nlink == 0 {
			n.gone.Store(&attr)
			n.fs.table.forget(n)
		}
	}
	a.cleanup.Stop()
	a.put()
}
