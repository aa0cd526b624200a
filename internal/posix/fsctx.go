package posix

import (
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// FSContext is what CLONE_FS shares: root, working directory, umask. Anyone may
// read it.
type FSContext struct {
	root, cwd atomic.Pointer[dentry]
	umask     atomic.Uint32
}

// newFSContext returns the context of a first program: the box's root, and dir
// as working directory ("" is the root).
func (k *Kernel) newFSContext(t *Task, dir string) (*FSContext, error) {
	f := &FSContext{}
	f.root.Store(k.mounts.root)
	f.cwd.Store(k.mounts.root)
	f.umask.Store(0o022)
	if dir == "" {
		return f, nil
	}
	w := walker{t: t, ctx: t.context(), creds: t.creds.Load(), root: k.mounts.root, at: k.mounts.root, rest: dir}
	l, err := w.lookup(true)
	if err != nil {
		return nil, err
	}
	if l.d == nil || l.d.dir == nil {
		return nil, syscall.ENOTDIR
	}
	f.cwd.Store(l.d)
	return f, nil
}

// fork returns a copy, for a child that does not share it.
func (f *FSContext) fork() *FSContext {
	c := &FSContext{}
	c.root.Store(f.root.Load())
	c.cwd.Store(f.cwd.Load())
	c.umask.Store(f.umask.Load())
	return c
}

func sysUmask(t *Task, a *Args) (uint64, error) {
	return uint64(t.fs.umask.Swap(a.Uint(0) & 0o777)), nil
}

func sysGetcwd(t *Task, a *Args) (uint64, error) {
	cwd := t.fs.cwd.Load()
	if cwd.place.Load().deleted {
		return 0, syscall.ENOENT
	}
	s, reached := cwd.from(t.fs.root.Load())
	if !reached {
		s = "(unreachable)" + s
	}
	if len(s)+1 > abi.PathMax {
		return 0, syscall.ENAMETOOLONG
	}
	if uint64(len(s)+1) > a[1] {
		return 0, syscall.ERANGE
	}
	return uint64(len(s) + 1), t.copyOut(a[0], append([]byte(s), 0))
}

func sysChdir(t *Task, a *Args) (uint64, error) {
	d, err := t.directoryArg(a[0])
	if err == nil {
		t.fs.cwd.Store(d)
	}
	return 0, err
}

func sysChroot(t *Task, a *Args) (uint64, error) {
	d, err := t.directoryArg(a[0])
	if err != nil {
		return 0, err
	}
	if !t.creds.Load().has(unix.CAP_SYS_CHROOT) {
		return 0, syscall.EPERM
	}
	t.fs.root.Store(d)
	return 0, nil
}

// directoryArg finds a directory that may be searched.
func (t *Task) directoryArg(addr uint64) (*dentry, error) {
	l, err := t.lookupArg(unix.AT_FDCWD, addr, 0)
	if err != nil {
		return nil, err
	}
	return t.searchable(l.d)
}

func (t *Task) searchable(d *dentry) (*dentry, error) {
	if d == nil || d.dir == nil {
		return nil, syscall.ENOTDIR
	}
	if a, ok := d.node.(vfs.Accesser); ok {
		if err := a.Access(t.context(), mayExec); err != nil {
			return nil, err
		}
	}
	return d, search(t.context(), t.creds.Load(), d)
}

func sysFchdir(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.getAny(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	dir, err := t.searchable(d.path.d)
	if err == nil {
		t.fs.cwd.Store(dir)
	}
	return 0, err
}
