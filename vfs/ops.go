package vfs

import (
	"context"
	"syscall"
)

// The functions here call an optional interface, or answer as Linux does for a
// file system without that ability.

// Lookup looks name up in n; ENOTDIR when n is no directory.
func Lookup(ctx context.Context, n Node, name string) (Node, error) {
	if d, ok := n.(Dir); ok {
		return d.Lookup(ctx, name)
	}
	return nil, syscall.ENOTDIR
}

// Open opens n; ENXIO when it cannot be.
func Open(ctx context.Context, n Node, flags int) (File, error) {
	if o, ok := n.(Opener); ok {
		return o.Open(ctx, flags)
	}
	return nil, syscall.ENXIO
}

// Readlink reads n; EINVAL when it is no symbolic link.
func Readlink(ctx context.Context, n Node) (string, error) {
	if l, ok := n.(Readlinker); ok {
		return l.Readlink(ctx)
	}
	return "", syscall.EINVAL
}

// Make makes name in n; EPERM when the server cannot.
func Make(ctx context.Context, n Node, name string, o MakeOptions) (Node, error) {
	if m, ok := n.(Maker); ok {
		return m.Make(ctx, name, o)
	}
	return nil, notDirOr(n, syscall.EPERM)
}

// Tmpfile makes a nameless file in n.
func Tmpfile(ctx context.Context, n Node, o MakeOptions) (Node, error) {
	if t, ok := n.(Tmpfiler); ok {
		return t.Tmpfile(ctx, o)
	}
	return nil, notDirOr(n, syscall.EOPNOTSUPP)
}

// Remove removes name from n.
func Remove(ctx context.Context, n Node, name string, dir bool) error {
	if r, ok := n.(Remover); ok {
		return r.Remove(ctx, name, dir)
	}
	return notDirOr(n, syscall.EPERM)
}

// Rename moves name in n to toName in to.
func Rename(ctx context.Context, n Node, name string, to Node, toName string, flags uint) error {
	d, ok := to.(Dir)
	if !ok {
		return syscall.ENOTDIR
	}
	if r, ok := n.(Renamer); ok {
		return r.Rename(ctx, name, d, toName, flags)
	}
	return notDirOr(n, syscall.EPERM)
}

// Link names target in n.
func Link(ctx context.Context, n Node, target Node, name string) error {
	if l, ok := n.(Linker); ok {
		return l.Link(ctx, target, name)
	}
	return notDirOr(n, syscall.EPERM)
}

// SetAttributes changes n, or the open file f of it when f (which may be nil)
// can do that itself.
func SetAttributes(ctx context.Context, n Node, f File, s SetAttr) error {
	if a, ok := f.(AttrSetter); ok {
		return a.SetAttr(ctx, s)
	}
	if a, ok := n.(AttrSetter); ok {
		return a.SetAttr(ctx, s)
	}
	return syscall.EPERM
}

// Getxattr and its siblings answer EOPNOTSUPP for a server without attributes.
func Getxattr(ctx context.Context, n Node, name string) ([]byte, error) {
	if x, ok := n.(Xattrer); ok {
		return x.Getxattr(ctx, name)
	}
	return nil, syscall.EOPNOTSUPP
}

// Setxattr sets an extended attribute.
func Setxattr(ctx context.Context, n Node, name string, value []byte, flags int) error {
	if x, ok := n.(Xattrer); ok {
		return x.Setxattr(ctx, name, value, flags)
	}
	return syscall.EOPNOTSUPP
}

// Listxattr lists the names of extended attributes.
func Listxattr(ctx context.Context, n Node) ([]string, error) {
	if x, ok := n.(Xattrer); ok {
		return x.Listxattr(ctx)
	}
	return nil, nil
}

// Removexattr removes an extended attribute.
func Removexattr(ctx context.Context, n Node, name string) error {
	if x, ok := n.(Xattrer); ok {
		return x.Removexattr(ctx, name)
	}
	return syscall.EOPNOTSUPP
}

// Read reads f; EINVAL when it cannot be read, EISDIR for a directory.
func Read(ctx context.Context, f File, p []byte, off int64) (int, error) {
	if r, ok := f.(Reader); ok {
		return r.Read(ctx, p, off)
	}
	if _, ok := f.(DirReader); ok {
		return 0, syscall.EISDIR
	}
	return 0, syscall.EINVAL
}

// Write writes f; EINVAL when it cannot be written.
func Write(ctx context.Context, f File, p []byte, off int64) (int, error) {
	if w, ok := f.(Writer); ok {
		return w.Write(ctx, p, off)
	}
	return 0, syscall.EINVAL
}

// Ready returns f's events of mask; a File that is not Pollable is always
// ready to read and write.
func Ready(f File, mask Events) Events {
	if p, ok := f.(Pollable); ok {
		return p.Poll(mask)
	}
	return mask & (EventsIn | EventsOut)
}

// IsStream reports whether f has no offsets.
func IsStream(f File) bool {
	s, ok := f.(Streamer)
	return ok && s.IsStream()
}

func notDirOr(n Node, e syscall.Errno) error {
	if _, ok := n.(Dir); !ok {
		return syscall.ENOTDIR
	}
	return e
}
