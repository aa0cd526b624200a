package iofs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Open opens a file for reading.
func (f file) Open(ctx context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EROFS
	}
	if err := ended(ctx); err != nil {
		return nil, err
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

	mu  sync.Mutex // guards the rest, but for at
	f   fs.File
	pos int64
}

// Node returns what was opened.
func (o *openFile) Node() vfs.Node { return o.node }

// Close closes the fs.File.
func (o *openFile) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errno(o.f.Close())
}

// Read reads at off. With an io.ReaderAt, reads go on at the same time.
func (o *openFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	if err := ended(ctx); err != nil || len(p) == 0 {
		return 0, err
	}
	if o.at != nil {
		return o.readAt(p, off)
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

func (o *openFile) readAt(p []byte, off int64) (int, error) {
	n, err := o.at.ReadAt(p, off)
	if n > 0 || err == nil || err == io.EOF {
		return n, nil
	}
	// Some take an offset behind the end for a mistake.
	if i, e := o.f.Stat(); e == nil && off >= i.Size() {
		return 0, nil
	}
	return 0, errno(err)
}

// seek goes to off, by reading if need be. mu is held.
func (o *openFile) seek(off int64) error {
	switch {
	case off == o.pos:
		return nil
	case o.seeker != nil:
		n, err := o.seeker.Seek(off, io.SeekStart)
		if err == nil {
			o.pos = n
		}
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
	return 0, errno(err)
}

// Open opens a directory for reading.
func (d dir) Open(_ context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EISDIR
	}
	return &openDir{dir: d}, nil
}

type openDir struct {
	dir  dir
	mu   sync.Mutex // guards the rest
	read bool
	list []fs.DirEntry
}

// Node returns what was opened.
func (o *openDir) Node() vfs.Node { return o.dir }

// Close has nothing to do.
func (o *openDir) Close() error { return nil }

const firstCookie = 3

// ReadDir lists the names as they were when it was read from the start.
func (o *openDir) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if cookie < firstCookie || !o.read {
		list, err := fs.ReadDir(o.dir.fs.fsys, o.dir.name)
		if err != nil {
			return nil, errno(err)
		}
		o.list, o.read = list, true
	}
	i := max(cookie, firstCookie) - firstCookie
	if i >= uint64(len(o.list)) {
		return nil, nil
	}
	rest := o.list[i:]
	out := make([]vfs.Dirent, min(limit, len(rest)))
	for k := range out {
		e := rest[k]
		out[k] = vfs.Dirent{
			Name: e.Name(), Ino: ino(path.Join(o.dir.name, e.Name())), Type: fileType(e.Type()),
			Next: i + uint64(k) + firstCookie + 1,
		}
	}
	return out, nil
}
