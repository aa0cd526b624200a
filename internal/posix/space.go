package posix

import (
	"context"
	"math"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func sysFsync(t *Task, a *Args) (uint64, error)     { return 0, t.sync(a.Int(0), false) }
func sysFdatasync(t *Task, a *Args) (uint64, error) { return 0, t.sync(a.Int(0), true) }

func (t *Task) sync(fd int, dataOnly bool) error {
	d, err := t.fds.get(fd)
	if err != nil {
		return err
	}
	defer d.release()
	return t.syncFile(d, dataOnly)
}

func (t *Task) syncFile(d *Description, dataOnly bool) error {
	if s, ok := d.file.(vfs.Syncer); ok {
		return s.Sync(t.context(), dataOnly)
	}
	a, err := d.file.Node().Stat(t.context())
	if err != nil {
		return err
	}
	if a.IsRegular() || a.IsDir() {
		return nil // nothing that could be lost
	}
	return syscall.EINVAL
}

func sysSyncFileRange(t *Task, a *Args) (uint64, error) {
	const flags = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	off, n := int64(a[1]), int64(a[2])
	if a.Int(3)&^flags != 0 || off < 0 || n < 0 || off > math.MaxInt64-n {
		return 0, syscall.EINVAL
	}
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	if d.stream {
		return 0, syscall.ESPIPE
	}
	if a.Int(3) == 0 {
		return 0, nil
	}
	return 0, t.syncFile(d, true)
}

func sysFtruncate(t *Task, a *Args) (uint64, error) {
	size := int64(a[1])
	if size < 0 {
		return 0, syscall.EINVAL
	}
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	if !d.canWrite() {
		return 0, syscall.EINVAL
	}
	attr, err := d.file.Node().Stat(t.context())
	if err != nil {
		return 0, err
	}
	if !attr.IsRegular() {
		return 0, syscall.EINVAL
	}
	if err = t.truncate(d.file.Node(), d.file, &attr, size); err == nil {
		t.modified(d.path)
	}
	return 0, err
}

func sysTruncate(t *Task, a *Args) (uint64, error) {
	size := int64(a[1])
	if size < 0 {
		return 0, syscall.EINVAL
	}
	l, err := t.lookupArg(unix.AT_FDCWD, a[0], 0)
	if err != nil {
		return 0, err
	}
	attr, err := l.node.Stat(t.context())
	if err != nil {
		return 0, err
	}
	switch {
	case attr.IsDir():
		return 0, syscall.EISDIR
	case !attr.IsRegular():
		return 0, syscall.EINVAL
	}
	if err := t.creds.Load().may(&attr, mayWrite); err != nil {
		return 0, err
	}
	if l.mount().readOnly.Load() {
		return 0, syscall.EROFS
	}
	if err = t.truncate(l.node, nil, &attr, size); err == nil {
		t.modifiedAt(&l)
	}
	return 0, err
}

// truncate changes the size of a regular file, f if it is open. The set-id bits
// go with it; the time of modification changes even if the size does not.
func (t *Task) truncate(n vfs.Node, f vfs.File, a *vfs.Attr, size int64) error {
	if size > a.Size {
		v := userVec{left: 1}
		if err := t.limitSize(&v, size-1, t.proc.limit(unix.RLIMIT_FSIZE)); err != nil {
			return err
		}
	}
	s := vfs.SetAttr{Valid: vfs.SetSize, Size: size}
	if size == a.Size {
		s.Valid |= vfs.SetMtime
		s.Mtime = syscall.NsecToTimespec(time.Now().UnixNano())
	}
	if mode, drop := t.withoutSetID(a); drop {
		s.Valid |= vfs.SetMode
		s.Mode = mode
	}
	return vfs.SetAttributes(t.context(), n, f, s)
}

// withoutSetID returns the permissions that a file has after it was changed by
// someone without CAP_FSETID, and whether they are others than before.
func (t *Task) withoutSetID(a *vfs.Attr) (uint32, bool) {
	mode := a.Mode & 0o7777
	if t.creds.Load().has(unix.CAP_FSETID) {
		return mode, false
	}
	kept := mode &^ unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		kept &^= unix.S_ISGID
	}
	return kept, kept != mode
}

// dropSetID takes the set-id bits off a regular file that is written.
func (t *Task) dropSetID(d *Description) error {
	if t.creds.Load().has(unix.CAP_FSETID) || d.path.d.mount == nowhere {
		return nil
	}
	n := d.file.Node()
	a, err := n.Stat(t.context())
	if err != nil || !a.IsRegular() {
		return err
	}
	mode, drop := t.withoutSetID(&a)
	if !drop {
		return nil
	}
	return vfs.SetAttributes(t.context(), n, d.file, vfs.SetAttr{Valid: vfs.SetMode, Mode: mode})
}

func sysFallocate(t *Task, a *Args) (uint64, error) {
	const known = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_COLLAPSE_RANGE |
		unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_INSERT_RANGE | unix.FALLOC_FL_UNSHARE_RANGE
	mode, off, n := a.Uint(1), int64(a[2]), int64(a[3])
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	switch punch := mode & (unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE); {
	case off < 0 || n <= 0:
		return 0, syscall.EINVAL
	case mode&^known != 0, punch == unix.FALLOC_FL_PUNCH_HOLE:
		return 0, syscall.EOPNOTSUPP
	case mode&unix.FALLOC_FL_COLLAPSE_RANGE != 0 && mode != unix.FALLOC_FL_COLLAPSE_RANGE,
		mode&unix.FALLOC_FL_INSERT_RANGE != 0 && mode != unix.FALLOC_FL_INSERT_RANGE:
		return 0, syscall.EINVAL
	case !d.canWrite():
		return 0, syscall.EBADF
	case off > math.MaxInt64-n:
		return 0, syscall.EFBIG
	}
	attr, err := d.file.Node().Stat(t.context())
	if err != nil {
		return 0, err
	}
	switch attr.Type() {
	case unix.S_IFREG:
	case unix.S_IFIFO:
		return 0, syscall.ESPIPE
	case unix.S_IFDIR:
		return 0, syscall.EISDIR
	default:
		return 0, syscall.ENODEV
	}
	al, ok := d.file.(vfs.Allocator)
	if !ok {
		return 0, syscall.EOPNOTSUPP
	}
	if off+n > attr.Size && mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		v := userVec{left: 1}
		if err := t.limitSize(&v, off+n-1, t.proc.limit(unix.RLIMIT_FSIZE)); err != nil {
			return 0, err
		}
	}
	if err = al.Allocate(t.context(), mode, off, n); err == nil {
		t.modified(d.path)
	}
	return 0, err
}

// sysFadvise and sysReadahead check their arguments: servers are not advised.
func sysFadvise(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	attr, err := d.file.Node().Stat(t.context())
	switch {
	case err != nil:
		return 0, err
	case attr.Type() == unix.S_IFIFO:
		return 0, syscall.ESPIPE
	case int64(a[2]) < 0 || a.Int(3) < unix.FADV_NORMAL || a.Int(3) > unix.FADV_NOREUSE:
		return 0, syscall.EINVAL
	}
	return 0, nil
}

func sysReadahead(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	if !d.canRead() {
		return 0, syscall.EBADF
	}
	attr, err := d.file.Node().Stat(t.context())
	if err == nil && !attr.IsRegular() && attr.Type() != unix.S_IFBLK {
		err = syscall.EINVAL
	}
	return 0, err
}

// sysSync and sysSyncfs: servers keep nothing back that fsync of a descriptor
// would not write, so the root directories are all there is to flush.
func sysSync(t *Task, _ *Args) (uint64, error) {
	for _, m := range t.k.mounts.mounted() {
		if err := syncMount(t.context(), m); vfs.Interrupted(err) {
			return 0, err
		}
	}
	return 0, nil
}

func sysSyncfs(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return 0, syncMount(t.context(), d.path.d.mount)
}

func syncMount(ctx context.Context, m *mount) error {
	if m.root == nil {
		return nil
	}
	f, err := vfs.Open(ctx, m.root.node, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if s, ok := f.(vfs.Syncer); ok {
		return s.Sync(ctx, false)
	}
	return nil
}
