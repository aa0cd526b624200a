package tmp

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// regular is a regular file. mu guards data, too.
type regular struct {
	inode
	data  data
	seals uint32 // F_SEAL_ bits (memfd)
	opens int
	named bool // had a name once; under fs.names
}

// unused frees the contents of a file that has neither names nor open files.
// (Mappings keep the host's memory file by themselves. An O_PATH descriptor does
// not keep a removed file's contents.) fs.names is held, at least for reading.
func (r *regular) unused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nlink == 0 && r.opens == 0 && r.named {
		r.data.free()
	}
}

// Stat returns the attributes.
func (r *regular) Stat(context.Context) (vfs.Attr, error) {
	a := r.attr()
	r.mu.Lock()
	defer r.mu.Unlock()
	a.Size, a.Blocks = r.data.size, r.data.blocks()
	return a, nil
}

// SetAttr changes attributes and size.
func (r *regular) SetAttr(_ context.Context, s vfs.SetAttr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Valid&vfs.SetSize != 0 {
		if s.Size < r.data.size && r.seals&unix.F_SEAL_SHRINK != 0 || s.Size > r.data.size && r.seals&unix.F_SEAL_GROW != 0 {
			return syscall.EPERM
		}
		if err := r.data.truncate(s.Size); err != nil {
			return err
		}
		r.modified()
	}
	r.setAttr(&s)
	return nil
}

// Open opens the file.
func (r *regular) Open(context.Context, int) (vfs.File, error) {
	r.opened()
	return &file{r}, nil
}

func (r *regular) opened() {
	r.mu.Lock()
	r.opens++
	r.mu.Unlock()
}

type file struct{ r *regular }

func (f *file) Node() vfs.Node                   { return f.r }
func (f *file) Sync(context.Context, bool) error { return nil }

func (f *file) Close() error {
	f.r.fs.names.RLock()
	defer f.r.fs.names.RUnlock()
	f.r.mu.Lock()
	f.r.opens--
	f.r.mu.Unlock()
	f.r.unused()
	return nil
}

func (f *file) Read(_ context.Context, p []byte, off int64) (int, error) {
	r := f.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accessed()
	return r.data.readAt(p, off)
}

func (f *file) Write(_ context.Context, p []byte, off int64) (int, error) {
	r := f.r
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.write(p, off)
}

func (f *file) Append(_ context.Context, p []byte) (int, int64, error) {
	r := f.r
	r.mu.Lock()
	defer r.mu.Unlock()
	off := r.data.size
	n, err := r.write(p, off)
	return n, off + int64(n), err
}

// write writes within the seals. r.mu is held.
func (r *regular) write(p []byte, off int64) (int, error) {
	if r.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return 0, syscall.EPERM
	}
	if end := off + int64(len(p)); end > r.data.size && r.seals&unix.F_SEAL_GROW != 0 {
		if off >= r.data.size {
			return 0, syscall.EPERM
		}
		p = p[:r.data.size-off]
	}
	n, err := r.data.writeAt(p, off)
	if n > 0 {
		r.modified()
	}
	return n, err
}

func (f *file) SeekData(_ context.Context, off int64, hole bool) (int64, error) {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	return f.r.data.seek(off, hole)
}

// Allocate is fallocate(2); collapsing and inserting ranges is not offered, as
// on Linux's tmpfs.
func (f *file) Allocate(_ context.Context, mode uint32, off, length int64) error {
	r := f.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if mode&^(unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		return syscall.EOPNOTSUPP
	}
	end := off + length
	if off < 0 || length <= 0 || end < 0 {
		return syscall.EINVAL
	}
	if end > maxSize {
		return syscall.EFBIG
	}
	if mode&unix.FALLOC_FL_PUNCH_HOLE != 0 {
		if mode&unix.FALLOC_FL_KEEP_SIZE == 0 || mode&unix.FALLOC_FL_ZERO_RANGE != 0 {
			return syscall.EOPNOTSUPP
		}
		if r.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
			return syscall.EPERM
		}
		r.modified()
		return r.data.zero(off, end, true)
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && end > r.data.size && r.seals&unix.F_SEAL_GROW != 0 {
		return syscall.EPERM
	}
	if mode&unix.FALLOC_FL_ZERO_RANGE != 0 {
		if err := r.data.zero(off, end, false); err != nil {
			return err
		}
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 || r.data.isFD {
		if err := r.data.allocate(off, end); err != nil {
			return err
		}
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 && end > r.data.size {
		if err := r.data.truncate(end); err != nil {
			return err
		}
	}
	r.modified()
	return nil
}

// Map moves the bytes into a memory file and returns it: one that can be written
// only to who may.
func (f *file) Map(_ context.Context, prot int, shared bool) (vfs.Mapping, error) {
	r := f.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.data.toFD(); err != nil {
		return vfs.Mapping{}, err
	}
	var fd int
	var err error
	if shared && prot&unix.PROT_WRITE != 0 {
		if r.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
			return vfs.Mapping{}, syscall.EPERM
		}
		fd, err = unix.FcntlInt(uintptr(r.data.fd), unix.F_DUPFD_CLOEXEC, 0)
	} else {
		fd, err = r.data.reader()
	}
	if err != nil {
		return vfs.Mapping{}, err
	}
	return vfs.Mapping{FD: fd, Release: func() { unix.Close(fd) }}, nil
}
