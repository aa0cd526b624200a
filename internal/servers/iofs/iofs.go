// Package iofs serves a Go io/fs file system, read-only. It imports vfs only.
//
// Nodes are values, compared by path; a file's number is a hash of its path.
// Files are read through io.ReaderAt or io.Seeker where they have one, and
// otherwise from the start again when a read goes backwards. The names come from
// the fs.FS as often as they are asked for.
//
// Lock order: openFile.mu is a leaf.
package iofs

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// FS serves an fs.FS. Its methods may be called concurrently if those of the
// fs.FS may.
type FS struct{ fsys fs.FS }

// New returns a server for fsys.
func New(fsys fs.FS) *FS { return &FS{fsys} }

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
	switch {
	case i.IsDir():
		return dir{n}, nil
	case i.Mode()&fs.ModeSymlink != 0:
		return symlink{n}, nil
	}
	return file{n}, nil
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
	}
	return unix.S_IFREG
}

func (n node) Stat(context.Context) (vfs.Attr, error) {
	i, err := n.fs.lstat(n.name)
	if err != nil {
		return vfs.Attr{}, errno(err)
	}
	t := syscall.NsecToTimespec(max(0, i.ModTime().Unix())*1e9 + int64(i.ModTime().Nanosecond()))
	a := vfs.Attr{
		Dev: 3, Ino: ino(n.name), Mode: fileType(i.Mode()) | uint32(i.Mode().Perm()), Nlink: 1, Blksize: 4096,
		Size: i.Size(), Blocks: (i.Size() + 511) / 512, Atime: t, Mtime: t, Ctime: t, Btime: t,
	}
	if i.Mode().Perm() == 0 {
		a.Mode |= 0o444 // zip files and the like often say nothing
	}
	return a, nil
}

// Lookup finds a name.
func (d dir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	p := path.Join(d.name, name)
	if !fs.ValidPath(p) {
		return nil, syscall.ENOENT
	}
	return d.fs.node(p)
}

func (s symlink) Readlink(context.Context) (string, error) {
	t, err := fs.ReadLink(s.fs.fsys, s.name)
	return t, errno(err)
}

// Open opens a file for reading.
func (f file) Open(_ context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EROFS
	}
	h, err := f.fs.fsys.Open(f.name)
	if err != nil {
		return nil, errno(err)
	}
	o := &openFile{node: f, f: h}
	o.at, _ = h.(io.ReaderAt)
	o.seeker, _ = h.(io.Seeker)
	return o, nil
}

type openFile struct {
	node   file
	at     io.ReaderAt
	seeker io.Seeker

	mu  sync.Mutex
	f   fs.File
	pos int64
}

func (o *openFile) Node() vfs.Node { return o.node }

func (o *openFile) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errno(o.f.Close())
}

func (o *openFile) Read(_ context.Context, p []byte, off int64) (int, error) {
	if o.at != nil {
		return result(o.at.ReadAt(p, off))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.seek(off); err != nil {
		return result(0, err)
	}
	n, err := io.ReadFull(o.f, p)
	o.pos += int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return result(n, err)
}

// seek goes to off, by reading if need be.
func (o *openFile) seek(off int64) error {
	switch {
	case off == o.pos:
		return nil
	case o.seeker != nil:
		n, err := o.seeker.Seek(off, io.SeekStart)
		o.pos = n
		return err
	case off < o.pos:
		h, err := o.node.fs.fsys.Open(o.node.name)
		if err != nil {
			return err
		}
		o.f.Close()
		o.f, o.pos = h, 0
	}
	n, err := io.CopyN(io.Discard, o.f, off-o.pos)
	o.pos += n
	return err
}

func result(n int, err error) (int, error) {
	if n > 0 || err == io.EOF {
		return n, nil
	}
	return n, errno(err)
}

// Open opens a directory for reading.
func (d dir) Open(context.Context, int) (vfs.File, error) { return &openDir{dir: d}, nil }

type openDir struct {
	dir  dir
	mu   sync.Mutex
	list []fs.DirEntry
}

func (o *openDir) Node() vfs.Node { return o.dir }
func (o *openDir) Close() error   { return nil }

// ReadDir lists the names as they were when it was read from the start.
func (o *openDir) ReadDir(_ context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cookie < 3 || o.list == nil {
		list, err := fs.ReadDir(o.dir.fs.fsys, o.dir.name)
		if err != nil {
			return nil, errno(err)
		}
		o.list, cookie = list, max(cookie, 3)
	}
	var out []vfs.Dirent
	for i := cookie - 3; i < uint64(len(o.list)) && len(out) < limit; i++ {
		e := o.list[i]
		out = append(out, vfs.Dirent{Name: e.Name(), Ino: ino(path.Join(o.dir.name, e.Name())), Type: fileType(e.Type()), Next: i + 4})
	}
	return out, nil
}

// What would change something fails as on a read-only file system.

func (d dir) Make(context.Context, string, vfs.MakeOptions) (vfs.Node, error) {
	return nil, syscall.EROFS
}
func (d dir) Remove(context.Context, string, bool) error                  { return syscall.EROFS }
func (d dir) Link(context.Context, vfs.Node, string) error                { return syscall.EROFS }
func (n node) SetAttr(context.Context, vfs.SetAttr) error                 { return syscall.EROFS }
func (d dir) Rename(context.Context, string, vfs.Dir, string, uint) error { return syscall.EROFS }
