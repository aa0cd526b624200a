package proc

import (
	"context"
	"strconv"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Open opens a file. What it says is made at the first read, and again whenever
// it is read from its beginning, as programs that keep one open expect.
func (f file) Open(_ context.Context, flags int) (vfs.File, error) {
	return &openFile{file: f}, nil
}

type openFile struct {
	file
	mu   sync.Mutex
	text []byte
}

func (o *openFile) Node() vfs.Node { return o.file }
func (o *openFile) Close() error   { return nil }

func (o *openFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if off == 0 || o.text == nil {
		b, err := o.fs.view.Read(ctx, o.pid, o.thread(), o.path)
		if err != nil {
			return 0, err
		}
		o.text = b
	}
	if off < 0 || off >= int64(len(o.text)) {
		return 0, nil
	}
	return copy(p, o.text[off:]), nil
}

func (o *openFile) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	if err := o.fs.view.Write(ctx, o.pid, o.thread(), o.path, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetAttr lets programs that open with O_TRUNC have their way; nothing else can
// be changed.
func (f file) SetAttr(_ context.Context, s vfs.SetAttr) error {
	if s.Valid&(vfs.SetMode|vfs.SetUID|vfs.SetGID) == 0 && s.Valid&vfs.SetSize != 0 {
		return nil
	}
	return syscall.EPERM
}

// Open opens a directory.
func (d dir) Open(context.Context, int) (vfs.File, error) { return openDir{d}, nil }

type openDir struct{ dir }

func (o openDir) Node() vfs.Node { return o.dir }
func (o openDir) Close() error   { return nil }

// Cookies are 3 plus the place in the table for fixed names, and behind that the
// number itself, so they stay right while processes and descriptors come and go.
const numberCookie = 1 << 20

// ReadDir lists fixed names first, then numbers.
func (o openDir) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	cookie = max(cookie, 3)
	d := o.dir
	fixed := d.fixed()
	var out []vfs.Dirent
	for i := int(min(cookie-3, uint64(len(fixed)))); i < len(fixed) && cookie < numberCookie && len(out) < limit; i++ {
		e := fixed[i]
		out = append(out, vfs.Dirent{Name: e.name, Ino: d.child(e.name).ino(), Type: e.kind, Next: uint64(i) + 4})
	}
	if len(out) == limit {
		return out, nil
	}
	numbers, kind, err := d.numbers(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		if uint64(n)+numberCookie < cookie || len(out) == limit {
			continue
		}
		name := strconv.Itoa(n)
		out = append(out, vfs.Dirent{Name: name, Ino: d.child(name).ino(), Type: kind, Next: uint64(n) + 1 + numberCookie})
	}
	return out, nil
}

func (d dir) fixed() []entry {
	if d.pid == 0 {
		list := systemEntries[d.path]
		if d.path == "" {
			list = append(list[:len(list):len(list)], links("self", "thread-self")...)
		}
		return list
	}
	list := processEntries[d.path]
	if d.path == "" && d.tid != 0 {
		return list[:len(list)-1] // no task
	}
	return list
}

// numbers returns the names that are numbers, sorted.
func (d dir) numbers(ctx context.Context) (ns []int, kind uint32, err error) {
	switch {
	case d.pid == 0 && d.path == "":
		return d.fs.view.PIDs(), unix.S_IFDIR, nil
	case d.pid != 0 && d.path == "task":
		return d.fs.view.Threads(d.pid), unix.S_IFDIR, nil
	case d.path == "fd" || d.path == "fdinfo":
		fds, err := d.fs.view.FDs(ctx, d.pid, d.thread())
		if err != nil {
			return nil, 0, err
		}
		kind = unix.S_IFLNK
		if d.path == "fdinfo" {
			kind = unix.S_IFREG
		}
		for _, fd := range fds {
			ns = append(ns, fd.Number)
		}
	}
	return ns, kind, nil
}
