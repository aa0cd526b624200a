package host

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// dirFile is an open directory, with a read-ahead of entries.
type dirFile struct {
	opened
	mu   sync.Mutex
	at   uint64  // the cookie that leads to the next entry
	buf  *[]byte // from dentBufs while rest is not empty
	rest []byte  // entries read and not yet given out
}

// The size of glibc's readdir buffers.
var dentBufs = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// Linux's cookies are what the file system likes: counts, or hashes of up to 63
// bits. They are passed through, but for 1 and 2, which a file system without
// "." and ".." of its own may use: those go where none has its own.
const (
	cookieOne = math.MaxInt64 - 2
	cookieTwo = math.MaxInt64 - 1
)

func cookieOf(off uint64) uint64 {
	switch off {
	case 1:
		return cookieOne
	case 2:
		return cookieTwo
	}
	return off
}

func offsetOf(cookie uint64) int64 {
	switch cookie {
	case cookieOne:
		return 1
	case cookieTwo:
		return 2
	}
	return int64(cookie)
}

// ReadDir returns entries after cookie, as the host has them now, except that up
// to 32 KiB are read ahead when each call continues the last.
func (f *dirFile) ReadDir(ctx context.Context, cookie uint64, max int) ([]vfs.Dirent, error) {
	fd, ok := f.get()
	if !ok {
		return nil, syscall.EBADF
	}
	defer f.put()
	f.mu.Lock()
	defer f.mu.Unlock()
	if cookie != f.at || cookie == 0 {
		f.drop()
		if _, err := unix.Seek(fd, offsetOf(cookie), unix.SEEK_SET); err != nil {
			return nil, err
		}
		f.at = cookie
	}
	d := f.node.self.(*dir)
	var out []vfs.Dirent
	for len(out) < max {
		if len(f.rest) == 0 {
			if len(out) > 0 && f.buf != nil && max-len(out) < 16 {
				break // rather a short answer than another call for little
			}
			if n, err := f.fill(ctx, fd); n == 0 {
				if len(out) > 0 {
					err = nil // the next call meets it again
				}
				return out, err
			}
		}
		e, err := f.next()
		if err != nil {
			return out, err
		}
		if e.Name != "" && !d.omits(&e) {
			if out == nil {
				out = make([]vfs.Dirent, 0, min(max, len(f.rest)/24+1))
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// fill reads entries ahead.
func (f *dirFile) fill(ctx context.Context, fd int) (int, error) {
	if f.buf == nil {
		f.buf = dentBufs.Get().(*[]byte)
	}
	n, err := hostDents(ctx, fd, *f.buf)
	if n == 0 {
		f.drop()
		if err == syscall.ENOENT {
			err = nil // the directory is removed
		}
		return 0, err
	}
	f.rest = (*f.buf)[:n]
	return n, nil
}

// next takes one entry off rest; its name is empty for "." and "..".
func (f *dirFile) next() (vfs.Dirent, error) {
	const header = 19 // d_ino, d_off, d_reclen, d_type
	b := f.rest
	if len(b) < header {
		return vfs.Dirent{}, syscall.EIO
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size < header || size > len(b) {
		return vfs.Dirent{}, syscall.EIO
	}
	name := b[header:size]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	e := vfs.Dirent{
		Ino:  binary.NativeEndian.Uint64(b),
		Type: uint32(b[18]) << 12,
		Next: cookieOf(binary.NativeEndian.Uint64(b[8:])),
	}
	if string(name) != "." && string(name) != ".." {
		e.Name = string(name)
	}
	f.rest, f.at = b[size:], e.Next
	return e, nil
}

// omits reports whether e is a hidden file, which Lookup does not find.
func (d *dir) omits(e *vfs.Dirent) bool {
	if d.fs.veils == nil || e.Type == unix.S_IFDIR {
		return false
	}
	_, known := d.fs.veils.ids[key{d.key.dev, e.Ino}]
	if h := d.covers(e.Name); !known && (h == nil || !h.leaf) {
		return false
	}
	_, err := d.Lookup(context.Background(), e.Name)
	return err == syscall.ENOENT
}

func (f *dirFile) drop() {
	f.rest = nil
	if f.buf != nil {
		dentBufs.Put(f.buf)
		f.buf = nil
	}
}

// Sync flushes the directory (fsync of a directory makes its names durable).
func (f *dirFile) Sync(ctx context.Context, dataOnly bool) error {
	fd, ok := f.get()
	if !ok {
		return syscall.EBADF
	}
	defer f.put()
	return hostSync(ctx, fd, dataOnly)
}

// Close gives the descriptor back.
func (f *dirFile) Close() error {
	f.mu.Lock()
	f.drop()
	f.mu.Unlock()
	return f.detach()
}
