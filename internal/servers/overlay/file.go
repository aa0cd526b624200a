package overlay

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// file is a file of the lower file system that is no directory, until and after
// it is copied up.
type file struct {
	fs    *FS
	lower vfs.Node
	self  *wrapper
	at    atomic.Pointer[place]
	gone  atomic.Int32 // names of it that were removed

	mu    sync.Mutex // held over the copying
	upper atomic.Pointer[vfs.Node]
	id    identity // set with upper
}

// now returns the node that counts.
func (f *file) now() vfs.Node {
	if u := f.upper.Load(); u != nil {
		return *u
	}
	return f.lower
}

func (f *file) Stat(ctx context.Context) (vfs.Attr, error) {
	u := f.upper.Load()
	if u == nil {
		a, err := f.lower.Stat(ctx)
		a.Nlink = uint32(max(0, int64(a.Nlink)-int64(f.gone.Load())))
		return a, err
	}
	a, err := (*u).Stat(ctx)
	f.id.put(&a)
	return a, err
}

// Open copies the file up when it is opened for writing.
func (f *file) Open(ctx context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		if err := f.copyUp(ctx, flags&unix.O_TRUNC == 0); err != nil {
			return nil, err
		}
	}
	return vfs.Open(ctx, f.now(), flags)
}

// link is a file that is a symbolic link.
type link struct{ *file }

func (l link) Readlink(ctx context.Context) (string, error) { return vfs.Readlink(ctx, l.now()) }

// SetAttr copies the file up first.
func (f *file) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	if err := f.copyUp(ctx, s.Valid&vfs.SetSize == 0 || s.Size > 0); err != nil {
		return err
	}
	return vfs.SetAttributes(ctx, f.now(), nil, s)
}

func (f *file) Getxattr(ctx context.Context, name string) ([]byte, error) {
	return vfs.Getxattr(ctx, f.now(), name)
}

func (f *file) Listxattr(ctx context.Context) ([]string, error) { return vfs.Listxattr(ctx, f.now()) }

func (f *file) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	if err := f.copyUp(ctx, true); err != nil {
		return err
	}
	return vfs.Setxattr(ctx, f.now(), name, value, flags)
}

func (f *file) Removexattr(ctx context.Context, name string) error {
	if _, err := f.Getxattr(ctx, name); err != nil {
		return err
	}
	if err := f.copyUp(ctx, true); err != nil {
		return err
	}
	return vfs.Removexattr(ctx, f.now(), name)
}

// copyUp makes the upper file, with the contents unless they are not wanted, and
// names it where the lower one was found.
func (f *file) copyUp(ctx context.Context, contents bool) error {
	if f.upper.Load() != nil {
		return nil
	}
	f.fs.names.Lock()
	defer f.fs.names.Unlock()
	return f.copyUpLocked(ctx, contents)
}

// copyUpLocked is copyUp with fs.names held.
func (f *file) copyUpLocked(ctx context.Context, contents bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.upper.Load() != nil {
		return nil
	}
	a, err := f.lower.Stat(ctx)
	if err != nil {
		return err
	}
	o := vfs.MakeOptions{Mode: a.Mode, UID: a.UID, GID: a.GID, Rdev: a.Rdev}
	if a.IsSymlink() {
		if o.Target, err = vfs.Readlink(ctx, f.lower); err != nil {
			return err
		}
	}
	p := f.at.Load()
	named := p.dir != nil && f.gone.Load() == 0 && p.dir.shows(ctx, p.name, f.lower)
	in := f.fs.root.upper
	if named {
		if err := p.dir.ensureUpper(ctx); err != nil {
			return err
		}
		in = p.dir.upper
	}
	var u vfs.Node
	if a.IsRegular() {
		if u, err = vfs.Tmpfile(ctx, in, o); err != nil {
			return err
		}
		if err = fill(ctx, u, f.lower, &a, contents); err == nil && named {
			err = vfs.Link(ctx, in, u, p.name)
		}
	} else {
		name := p.name
		if !named {
			return syscall.ENOENT // nothing that has no name is changed
		}
		u, err = vfs.Make(ctx, in, name, o)
	}
	if err != nil {
		return err
	}
	if err := copyXattrs(ctx, u, f.lower); err != nil {
		return err
	}
	if err := vfs.SetAttributes(ctx, u, nil, copyAttr(&a)); err != nil {
		return err
	}
	f.id.set(&a)
	f.upper.Store(&u)
	f.fs.keep(f.self, f.lower, u)
	return nil
}

// fill copies the contents, hole by hole.
func fill(ctx context.Context, to, from vfs.Node, a *vfs.Attr, contents bool) error {
	if !contents || a.Size == 0 {
		return nil
	}
	src, err := vfs.Open(ctx, from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := vfs.Open(ctx, to, unix.O_RDWR)
	if err != nil {
		return err
	}
	defer dst.Close()
	buf := make([]byte, min(a.Size, 256<<10))
	seeker, _ := src.(vfs.Seeker)
	for off := int64(0); ; {
		if seeker != nil && a.Blocks*512 < a.Size {
			next, err := seeker.SeekData(ctx, off, false)
			if err == syscall.ENXIO {
				break
			}
			if err == nil {
				off = next
			}
		}
		n, err := vfs.Read(ctx, src, buf, off)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		for done := 0; done < n; {
			m, err := vfs.Write(ctx, dst, buf[done:n], off+int64(done))
			if err != nil {
				return err
			}
			done += m
		}
		off += int64(n)
	}
	return vfs.SetAttributes(ctx, to, dst, vfs.SetAttr{Valid: vfs.SetSize, Size: a.Size})
}

func copyXattrs(ctx context.Context, to, from vfs.Node) error {
	names, err := vfs.Listxattr(ctx, from)
	if err != nil {
		return nil // none that we could have
	}
	for _, name := range names {
		v, err := vfs.Getxattr(ctx, from, name)
		if err != nil {
			continue
		}
		if err := vfs.Setxattr(ctx, to, name, v, 0); err != nil && err != syscall.EOPNOTSUPP {
			return err
		}
	}
	return nil
}
