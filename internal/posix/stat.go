package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func sysStat(t *Task, a *Args) (uint64, error) { return t.statAt(unix.AT_FDCWD, a[0], a[1], 0) }
func sysLstat(t *Task, a *Args) (uint64, error) {
	return t.statAt(unix.AT_FDCWD, a[0], a[1], unix.AT_SYMLINK_NOFOLLOW)
}

func sysFstat(t *Task, a *Args) (uint64, error) {
	l, err := t.lookupOpen(a.Int(0))
	if err != nil {
		return 0, err
	}
	return t.copyOutStat(l, a[1])
}

func sysNewfstatat(t *Task, a *Args) (uint64, error) {
	const known = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH
	if a.Int(3)&^known != 0 {
		return 0, syscall.EINVAL
	}
	return t.statAt(a.Int(0), a[1], a[2], a.Int(3))
}

func (t *Task) statAt(dirfd int, path, to uint64, flags int) (uint64, error) {
	l, err := t.lookupArg(dirfd, path, flags)
	if err != nil {
		return 0, err
	}
	return t.copyOutStat(l.node, to)
}

// lookupOpen returns the node of an open file.
func (t *Task) lookupOpen(fd int) (vfs.Node, error) {
	d, err := t.fds.getAny(fd)
	if err != nil {
		return nil, err
	}
	defer d.release()
	return d.file.Node(), nil
}

func (t *Task) copyOutStat(n vfs.Node, to uint64) (uint64, error) {
	attr, err := n.Stat(t.context())
	if err != nil {
		return 0, err
	}
	b := t.buffer(abi.SizeStat)
	s := abi.StatOf(&attr)
	s.Encode(b)
	return 0, t.copyOut(to, b)
}

func sysStatx(t *Task, a *Args) (uint64, error) {
	const (
		known    = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH | syncFlags
		reserved = 0x80000000
		unique   = 0x4000 // STATX_MNT_ID_UNIQUE
	)
	flags, mask := a.Int(2), a.Uint(3)
	if flags&^known != 0 || flags&syncFlags == syncFlags || mask&reserved != 0 {
		return 0, syscall.EINVAL
	}
	var l located
	var err error
	if a[1] == 0 && flags&unix.AT_EMPTY_PATH != 0 {
		l, err = t.lookupFD(a.Int(0))
	} else {
		l, err = t.lookupArg(a.Int(0), a[1], flags)
	}
	if err != nil {
		return 0, err
	}
	attr, err := l.node.Stat(t.context())
	if err != nil {
		return 0, err
	}
	s := abi.StatxOf(&attr)
	m := l.mount()
	s.AttributesMask = unix.STATX_ATTR_MOUNT_ROOT
	if l.d != nil && l.d == m.root {
		s.Attributes = unix.STATX_ATTR_MOUNT_ROOT
	}
	s.MntID = uint64(m.id)
	s.Mask |= unix.STATX_MNT_ID
	if mask&unique != 0 {
		s.Mask = s.Mask&^unix.STATX_MNT_ID | unique
	}
	b := t.buffer(abi.SizeStatx)
	s.Encode(b)
	return 0, t.copyOut(a[4], b)
}

const syncFlags = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC

func sysAccess(t *Task, a *Args) (uint64, error) {
	return 0, t.access(unix.AT_FDCWD, a[0], a.Uint(1), 0)
}

func sysFaccessat(t *Task, a *Args) (uint64, error) {
	return 0, t.access(a.Int(0), a[1], a.Uint(2), 0)
}

func sysFaccessat2(t *Task, a *Args) (uint64, error) {
	flags := a.Int(3)
	if flags&^(unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	return 0, t.access(a.Int(0), a[1], a.Uint(2), flags)
}

// access is access(2): the whole walk is made as the real user.
func (t *Task) access(dirfd int, path uint64, mode uint32, flags int) error {
	if mode&^(mayRead|mayWrite|mayExec) != 0 {
		return syscall.EINVAL
	}
	if flags&unix.AT_EACCESS == 0 {
		if real := t.creds.Load().asReal(); real != nil {
			own := t.creds.Load()
			t.creds.Store(real)
			defer t.creds.Store(own)
		}
	}
	l, err := t.lookupArg(dirfd, path, flags)
	if err != nil || mode == 0 {
		return err
	}
	attr, err := l.node.Stat(t.context())
	if err != nil {
		return err
	}
	if err := t.creds.Load().may(&attr, mode); err != nil {
		return err
	}
	if a, ok := l.node.(vfs.Accesser); ok {
		if err := a.Access(t.context(), mode); err != nil {
			return err
		}
	}
	if kind := attr.Type(); mode&mayWrite != 0 && l.mount().readOnly.Load() &&
		(kind == unix.S_IFREG || kind == unix.S_IFDIR || kind == unix.S_IFLNK) {
		return syscall.EROFS
	}
	return nil
}

// asReal returns the credentials with which access(2) looks, or nil when they
// are the same.
func (c *Creds) asReal() *Creds {
	own := c.capabilities()
	caps := uint64(0)
	if c.UID == 0 {
		caps = own.Permitted
	}
	if c.FSUID == c.UID && c.FSGID == c.GID && own.Effective == caps {
		return nil
	}
	kept := own // allocated only here
	kept.Effective = caps
	r := *c
	r.FSUID, r.FSGID, r.Caps = c.UID, c.GID, &kept
	return &r
}

func sysStatfs(t *Task, a *Args) (uint64, error) {
	l, err := t.lookupArg(unix.AT_FDCWD, a[0], 0)
	if err != nil {
		return 0, err
	}
	return t.statfs(l.mount(), a[1])
}

func sysFstatfs(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.getAny(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return t.statfs(d.path.d.mount, a[1])
}

// statfs tells about a mounted server, or one that knows nothing of itself.
func (t *Task) statfs(m *mount, to uint64) (uint64, error) {
	const tmpfsMagic = unix.TMPFS_MAGIC
	s := vfs.Statfs{Type: tmpfsMagic, BlockSize: 4096, NameMax: 255}
	if f, ok := m.fs.(vfs.Statfser); ok {
		var err error
		if s, err = f.Statfs(t.context()); err != nil {
			return 0, err
		}
	}
	s.Flags |= m.statFlags()
	b := t.buffer(abi.SizeStatfs)
	v := abi.StatfsOf(&s)
	v.Encode(b)
	return 0, t.copyOut(to, b)
}
