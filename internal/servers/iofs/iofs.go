// Package iofs serves a Go io/fs file system, read-only.
//
// Nodes are values, compared by path; a file's number is a hash of its path.
// Files are read through io.ReaderAt or io.Seeker where they have one, and
// otherwise from the start again when a read goes backwards. The names come from
// the fs.FS as often as they are asked for. FIFOs, sockets and devices are
// shown, and never opened. An fs.FS knows no contexts, so what it is asked ends
// when it answers; a ctx that has ended before keeps it from being asked.
//
// The package imports vfs, devnum and golang.org/x/sys only.
//
// Lock order: openFile.mu and openDir.mu are leaves.
package iofs

import (
	"context"
	"errors"
	"hash/fnv"
	"io/fs"
	"path"
	"syscall"

	"github.com/hati-os/hati/internal/servers/devnum"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// FS serves an fs.FS. Its methods may be called concurrently if those of the
// fs.FS may.
type FS struct {
	fsys fs.FS
	dev  uint64
}

// New returns a server for fsys.
func New(fsys fs.FS) *FS { return &FS{fsys, devnum.Next()} }

// Root returns the directory ".".
func (f *FS) Root(context.Context) (vfs.Node, error) { return f.node(".") }

type node struct {
	fs   *FS
	name string
}

type (
	dir     struct{ node }
	file    struct{ node }
	symlink struct{ node }
	special struct{ node } // FIFO, socket or device
)

func (f *FS) lstat(name string) (fs.FileInfo, error) {
	if l, ok := f.fsys.(fs.ReadLinkFS); ok {
		return l.Lstat(name)
	}
	return fs.Stat(f.fsys, name)
}

func (f *FS) node(name string) (vfs.Node, error) {
	i, err := f.lstat(name)
	if err != nil {
		return nil, errno(err)
	}
	n := node{f, name}
	switch fileType(i.Mode()) {
	case unix.S_IFDIR:
		return dir{n}, nil
	case unix.S_IFLNK:
		return symlink{n}, nil
	case unix.S_IFREG:
		return file{n}, nil
	}
	return special{n}, nil
}

// ended is a ctx's cause, if it has ended.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// errno finds the errno in an fs error.
func errno(err error) error {
	var e syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return syscall.ENOENT
	case errors.Is(err, fs.ErrPermission):
		return syscall.EACCES
	}
	return syscall.EIO
}

func ino(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()>>1 | 1
}

func fileType(m fs.FileMode) uint32 {
	switch {
	case m.IsDir():
		return unix.S_IFDIR
	case m&fs.ModeSymlink != 0:
		return unix.S_IFLNK
	case m&fs.ModeNamedPipe != 0:
		return unix.S_IFIFO
	case m&fs.ModeSocket != 0:
		return unix.S_IFSOCK
	case m&fs.ModeCharDevice != 0:
		return unix.S_IFCHR
	case m&fs.ModeDevice != 0:
		return unix.S_IFBLK
	}
	return unix.S_IFREG
}

// permissions are those bits of m; zip files and the like often say nothing,
// which means that all may be read.
func permissions(m fs.FileMode) uint32 {
	p := uint32(m.Perm())
	if p == 0 {
		p = 0o444
		if m.IsDir() {
			p = 0o555
		}
	}
	if m&fs.ModeSetuid != 0 {
		p |= unix.S_ISUID
	}
	if m&fs.ModeSetgid != 0 {
		p |= unix.S_ISGID
	}
	if m&fs.ModeSticky != 0 {
		p |= unix.S_ISVTX
	}
	return p
}

// Stat returns the attributes.
func (n node) Stat(ctx context.Context) (vfs.Attr, error) {
	if err := ended(ctx); err != nil {
		return vfs.Attr{}, err
	}
	i, err := n.fs.lstat(n.name)
	if err != nil {
		return vfs.Attr{}, errno(err)
	}
	a := vfs.Attr{
		Dev: n.fs.dev, Ino: ino(n.name), Mode: fileType(i.Mode()) | permissions(i.Mode()), Nlink: 1, Blksize: 4096,
		Size: i.Size(), Blocks: (i.Size() + 511) / 512,
	}
	if t := i.ModTime(); !t.IsZero() { // an embed.FS has none
		ts := syscall.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
		a.Atime, a.Mtime, a.Ctime, a.Btime = ts, ts, ts, ts
	}
	return a, nil
}

// Lookup finds a name.
func (d dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	p := path.Join(d.name, name)
	if !fs.ValidPath(p) {
		return nil, syscall.ENOENT
	}
	return d.fs.node(p)
}

// Readlink returns the text.
func (s symlink) Readlink(ctx context.Context) (string, error) {
	if err := ended(ctx); err != nil {
		return "", err
	}
	t, err := fs.ReadLink(s.fs.fsys, s.name)
	return t, errno(err)
}

// What would change something fails as on a read-only file system.

// Make fails.
func (d dir) Make(context.Context, string, vfs.MakeOptions) (vfs.Node, error) {
	return nil, syscall.EROFS
}

// Tmpfile fails.
func (d dir) Tmpfile(context.Context, vfs.MakeOptions) (vfs.Node, error) { return nil, syscall.EROFS }

// Remove fails.
func (d dir) Remove(context.Context, string, bool) error { return syscall.EROFS }

// Link fails.
func (d dir) Link(context.Context, vfs.Node, string) error { return syscall.EROFS }

// Rename fails.
func (d dir) Rename(context.Context, string, vfs.Dir, string, uint) error { return syscall.EROFS }

// SetAttr fails.
func (n node) SetAttr(context.Context, vfs.SetAttr) error { return syscall.EROFS }
