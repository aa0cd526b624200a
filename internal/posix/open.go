package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const (
	// largeFile is O_LARGEFILE, which x/sys/unix has as 0 where every file may be
	// large; the kernel shows it nevertheless.
	largeFile = 0o100000
	openFlags = unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_APPEND |
		unix.O_NONBLOCK | unix.O_DSYNC | unix.O_SYNC | unix.O_ASYNC | unix.O_DIRECT | largeFile |
		unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_CLOEXEC | unix.O_PATH | unix.O_TMPFILE
	pathFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	// tmpfileFlag is O_TMPFILE without the O_DIRECTORY in it.
	tmpfileFlag  = unix.O_TMPFILE &^ unix.O_DIRECTORY
	resolveFlags = unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS |
		unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT | abi.RESOLVE_CACHED
)

func sysOpen(t *Task, a *Args) (uint64, error) {
	return t.open(unix.AT_FDCWD, a[0], a.Int(1), a.Uint(2))
}

func sysOpenat(t *Task, a *Args) (uint64, error) {
	return t.open(a.Int(0), a[1], a.Int(2), a.Uint(3))
}

func sysCreat(t *Task, a *Args) (uint64, error) {
	return t.open(unix.AT_FDCWD, a[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, a.Uint(1))
}

// open is open(2) in its older forms, which ignore what they do not know.
func (t *Task) open(dirfd int, addr uint64, flags int, mode uint32) (uint64, error) {
	flags &= openFlags
	if flags |= largeFile; flags&unix.O_PATH != 0 {
		flags &= pathFlags
	}
	if flags&(unix.O_CREAT|tmpfileFlag) == 0 {
		mode = 0
	}
	return t.openHow(dirfd, addr, abi.OpenHow{Flags: uint64(flags), Mode: uint64(mode & 0o7777)})
}

func sysOpenat2(t *Task, a *Args) (uint64, error) {
	if err := abi.CheckVersioned(a[3], abi.SizeOpenHowVer0); err != nil {
		return 0, err
	}
	b := t.buffer(int(a[3]))
	if err := t.copyIn(a[2], b); err != nil {
		return 0, err
	}
	var how abi.OpenHow
	if err := how.Decode(b); err != nil {
		return 0, err
	}
	scopes := uint64(unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT)
	switch {
	case how.Flags&^openFlags != 0, how.Mode&^0o7777 != 0, how.Resolve&^resolveFlags != 0,
		how.Resolve&scopes == scopes,
		how.Mode != 0 && how.Flags&(unix.O_CREAT|tmpfileFlag) == 0,
		how.Flags&unix.O_PATH != 0 && how.Flags&^pathFlags != 0:
		return 0, syscall.EINVAL
	case how.Resolve&abi.RESOLVE_CACHED != 0:
		// Names are always asked of a server: nothing is known without waiting.
		if how.Flags&(unix.O_TRUNC|unix.O_CREAT|tmpfileFlag) != 0 {
			return 0, syscall.EAGAIN
		}
		return 0, syscall.EAGAIN
	}
	if how.Flags&unix.O_PATH == 0 {
		how.Flags |= largeFile
	}
	return t.openHow(a.Int(0), a[1], how)
}

// openHow opens a file and gives it a descriptor. The number is taken first:
// without one nothing must happen.
func (t *Task) openHow(dirfd int, addr uint64, how abi.OpenHow) (uint64, error) {
	flags := int(how.Flags)
	if err := checkOpenFlags(flags); err != nil {
		return 0, err
	}
	path, err := t.copyInPath(addr)
	if err != nil {
		return 0, err
	}
	fd, err := t.reserveFD(flags&unix.O_CLOEXEC != 0)
	if err != nil {
		return 0, err
	}
	d, err := t.openAt(dirfd, path, how)
	if err != nil {
		t.fds.unreserve(fd)
		return 0, err
	}
	t.fds.install(fd, d)
	return uint64(fd), nil
}

func checkOpenFlags(flags int) error {
	if flags&tmpfileFlag != 0 {
		if flags&unix.O_DIRECTORY == 0 || flags&unix.O_CREAT != 0 || flags&unix.O_ACCMODE == unix.O_RDONLY {
			return syscall.EINVAL
		}
	} else if flags&(unix.O_DIRECTORY|unix.O_CREAT) == unix.O_DIRECTORY|unix.O_CREAT {
		return syscall.EINVAL
	}
	return nil
}

// openAt opens a file and returns a description that has no descriptor yet.
func (t *Task) openAt(dirfd int, path string, how abi.OpenHow) (*Description, error) {
	w, err := t.walk(dirfd, path, how.Resolve)
	if err != nil {
		return nil, err
	}
	flags := int(how.Flags)
	if flags&unix.O_SYNC != 0 {
		flags |= unix.O_DSYNC
	}
	if flags&unix.O_CREAT != 0 {
		return t.openCreate(&w, flags, uint32(how.Mode))
	}
	l, err := w.lookup(flags&unix.O_NOFOLLOW == 0)
	if err != nil {
		return nil, err
	}
	isDir := l.d != nil && l.d.dir != nil
	switch {
	case flags&tmpfileFlag != 0:
		if !isDir {
			return nil, syscall.ENOTDIR
		}
		return t.openTmpfile(l.d, flags, uint32(how.Mode))
	case flags&unix.O_DIRECTORY != 0 && !isDir:
		return nil, syscall.ENOTDIR
	case flags&unix.O_PATH != 0:
		return newDescription(pathFile{l.node}, l.path(t.k.mounts), flags), nil
	}
	return t.openLocated(&l, flags)
}

// openCreate is open with O_CREAT.
func (t *Task) openCreate(w *walker, flags int, mode uint32) (*Description, error) {
	for {
		name, slash, err := w.toLast()
		if err != nil {
			return nil, err
		}
		if slash && name != "" && name != "." && name != ".." {
			return nil, syscall.EISDIR
		}
		l, err := w.last(name)
		if errnoOf(err) == syscall.ENOENT {
			d, err := t.create(w.at, name, flags, mode)
			if errnoOf(err) == syscall.EEXIST && flags&unix.O_EXCL == 0 {
				w.rest = name // somebody was faster
				continue
			}
			return d, err
		}
		if err != nil {
			return nil, err
		}
		if flags&unix.O_EXCL != 0 {
			return nil, syscall.EEXIST
		}
		if link, ok := l.node.(vfs.Readlinker); ok && flags&unix.O_NOFOLLOW == 0 && name != "" {
			if err := w.follow(link, false); err != nil {
				return nil, err
			}
			continue
		}
		if l.d != nil && l.d.dir != nil {
			return nil, syscall.EISDIR
		}
		return t.openLocated(&l, flags)
	}
}

// create makes a regular file and opens it, whatever its permissions say.
func (t *Task) create(dir *dentry, name string, flags int, mode uint32) (*Description, error) {
	attr, err := t.mayChange(dir)
	if err != nil {
		return nil, err
	}
	o := t.makeOptions(&attr, unix.S_IFREG|mode)
	v := dir.version.Load()
	var n vfs.Node
	var f vfs.File
	if m, ok := dir.node.(vfs.MakeOpener); ok {
		n, f, err = m.MakeOpen(t.context(), name, o, serverFlags(flags))
	} else if n, err = vfs.Make(t.context(), dir.node, name, o); err == nil {
		f, err = vfs.Open(t.context(), n, serverFlags(flags))
	}
	if err != nil {
		return nil, err
	}
	t.created(dir, name, n)
	d := newDescription(f, Path{dir.opened(t.k.mounts, name, n, v)}, flags)
	d.isNew = true
	d.opened()
	return d, nil
}

// openTmpfile makes a regular file without a name.
func (t *Task) openTmpfile(dir *dentry, flags int, mode uint32) (*Description, error) {
	attr, err := t.mayChange(dir)
	if err != nil {
		return nil, err
	}
	n, err := vfs.Tmpfile(t.context(), dir.node, t.makeOptions(&attr, unix.S_IFREG|mode))
	if err != nil {
		return nil, err
	}
	f, err := vfs.Open(t.context(), n, serverFlags(flags))
	if err != nil {
		return nil, err
	}
	a, err := n.Stat(t.context())
	if err != nil {
		f.Close()
		return nil, err
	}
	d := newDentry(dir.mount, n, dir, "#"+utoa(a.Ino))
	d.unhash()
	d.linkable.Store(flags&unix.O_EXCL == 0)
	desc := newDescription(f, Path{d}, flags)
	desc.opened()
	return desc, nil
}

// serverFlags are those of open's flags that a server hears of.
func serverFlags(flags int) int {
	return flags & (unix.O_ACCMODE | unix.O_APPEND | unix.O_DIRECT | unix.O_SYNC | unix.O_NOATIME | unix.O_NONBLOCK)
}

// wanted is the access that flags ask for.
func wanted(flags int) uint32 {
	want := [4]uint32{mayRead, mayWrite, mayRead | mayWrite, mayRead | mayWrite}[flags&unix.O_ACCMODE]
	if flags&unix.O_TRUNC != 0 {
		want |= mayWrite
	}
	return want
}

// openLocated opens a file that is there.
func (t *Task) openLocated(l *located, flags int) (*Description, error) {
	want, c, ctx := wanted(flags), t.creds.Load(), t.context()
	if _, ok := l.node.(vfs.Readlinker); ok {
		return nil, syscall.ELOOP // O_NOFOLLOW
	}
	isDir := l.d != nil && l.d.dir != nil
	if isDir && want&mayWrite != 0 {
		return nil, syscall.EISDIR
	}
	o, ok := l.node.(vfs.Opener)
	if ok && c.privileged() && want&mayWrite == 0 && flags&(unix.O_DIRECT) == 0 && !l.mount().has(unix.MS_NODEV|unix.MS_NOATIME|unix.MS_NODIRATIME) {
		// Nothing to check. A node whose server leaves opening to POSIX says ENXIO.
		f, err := o.Open(ctx, serverFlags(flags))
		if err == nil {
			d := t.openedFile(f, l, flags)
			d.opened()
			return d, nil
		}
		if errnoOf(err) != syscall.ENXIO {
			return nil, err
		}
	}
	a, err := l.node.Stat(ctx)
	if err != nil {
		return nil, err
	}
	// Before permissions: nobody writes there.
	if want&mayWrite != 0 && l.mount().readOnly.Load() && a.IsRegular() {
		return nil, syscall.EROFS
	}
	if err := c.may(&a, want); err != nil {
		return nil, err
	}
	if flags&unix.O_NOATIME != 0 && !c.owns(&a) {
		return nil, syscall.EPERM
	}
	d, err := t.openNode(l, &a, flags)
	if err != nil {
		return nil, err
	}
	d.opened()
	if flags&unix.O_TRUNC != 0 && a.IsRegular() {
		if err := t.truncate(l.node, d.file, &a, 0); err != nil {
			d.release()
			return nil, err
		}
		t.modified(d.path)
	}
	return d, nil
}
