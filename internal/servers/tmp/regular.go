package tmp

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// regular is a regular file.
type regular struct {
	inode

	io       sync.RWMutex // guards the rest
	data     data
	seals    uint32 // F_SEAL_ bits; F_SEAL_SEAL for what memfd_create did not make
	opens    int
	linkable bool // made without a name, and has had none

	// What the memory file's times were when catchUp last looked; under mu.
	hostAtime, hostMtime syscall.Timespec
}

// unused frees the contents of a file that has neither names nor open files.
// Mappings keep the host's memory file by themselves.
func (r *regular) unused() {
	r.io.Lock()
	if r.nlink.Load() == 0 && r.opens == 0 {
		r.data.free()
	}
	r.io.Unlock()
}

// firstName counts the first name of a file made without one, and is false for
// any other, or if its contents are gone. fs.names is held.
func (r *regular) firstName() bool {
	r.io.Lock()
	defer r.io.Unlock()
	if !r.linkable || r.data.gone {
		return false
	}
	r.linkable = false
	r.nlink.Store(1)
	return true
}

// Stat returns the attributes.
func (r *regular) Stat(context.Context) (vfs.Attr, error) {
	r.io.RLock()
	r.catchUp()
	size, blocks := r.data.length(), r.data.blocks()
	r.io.RUnlock()
	a := r.attr()
	a.Size, a.Blocks = size, blocks
	return a, nil
}

// SetAttr changes attributes and size.
func (r *regular) SetAttr(_ context.Context, s vfs.SetAttr) error {
	r.io.Lock()
	defer r.io.Unlock()
	r.catchUp()
	if s.Valid&vfs.SetMode != 0 && r.seals&unix.F_SEAL_EXEC != 0 {
		r.mu.Lock()
		changes := (r.mode^s.Mode)&0o111 != 0
		r.mu.Unlock()
		if changes {
			return syscall.EPERM
		}
	}
	if s.Valid&vfs.SetSize != 0 {
		if s.Size < r.data.length() && r.seals&unix.F_SEAL_SHRINK != 0 || s.Size > r.data.length() && r.seals&unix.F_SEAL_GROW != 0 {
			return syscall.EPERM
		}
		if err := r.data.truncate(s.Size); err != nil {
			return err
		}
	}
	r.set(&s)
	return nil
}

// Open opens the file; ESTALE when its contents are gone.
func (r *regular) Open(_ context.Context, flags int) (vfs.File, error) {
	r.io.Lock()
	defer r.io.Unlock()
	if r.data.gone {
		return nil, syscall.ESTALE
	}
	r.opens++
	return &file{r: r, access: flags & unix.O_ACCMODE, noatime: flags&unix.O_NOATIME != 0}, nil
}

// file is an open regular file.
type file struct {
	r       *regular
	access  int // O_ACCMODE bits
	noatime bool
}

func (f *file) Node() vfs.Node                   { return f.r }
func (f *file) Sync(context.Context, bool) error { return nil }

func (f *file) Close() error {
	f.r.io.Lock()
	f.r.opens--
	if f.r.opens == 0 && f.r.nlink.Load() == 0 {
		f.r.data.free()
	}
	f.r.io.Unlock()
	return nil
}

func (f *file) Read(_ context.Context, p []byte, off int64) (int, error) {
	r := f.r
	r.io.RLock()
	n, err := r.data.readAt(p, off)
	r.io.RUnlock()
	if !f.noatime {
		r.accessed()
	}
	return n, err
}

func (f *file) Write(_ context.Context, p []byte, off int64) (int, error) {
	f.r.io.Lock()
	defer f.r.io.Unlock()
	return f.r.write(p, off)
}

func (f *file) Append(_ context.Context, p []byte) (int, int64, error) {
	f.r.io.Lock()
	defer f.r.io.Unlock()
	r := f.r
	if r.data.lent && len(p) > 0 { // others append, too
		n, end, err := r.data.object.append(p)
		if n > 0 {
			r.modified()
		}
		return n, end, err
	}
	off := r.data.length()
	n, err := r.write(p, off)
	return n, off + int64(n), err
}

// write writes within the seals. io is held.
func (r *regular) write(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 ||
		r.seals&unix.F_SEAL_GROW != 0 && int64(len(p)) > r.data.length()-off {
		return 0, syscall.EPERM
	}
	n, err := r.data.writeAt(p, off)
	if n > 0 {
		r.modified()
	}
	return n, err
}

// SeekData finds data or a hole.
func (f *file) SeekData(_ context.Context, off int64, hole bool) (int64, error) {
	f.r.io.Lock() // a memory file's own offset is used
	defer f.r.io.Unlock()
	return f.r.data.seek(off, hole)
}

// Map moves the bytes into a memory file and returns it: one that can be written
// only to who may.
func (f *file) Map(_ context.Context, prot int, shared bool) (vfs.Mapping, error) {
	r := f.r
	r.io.Lock()
	defer r.io.Unlock()
	writes := shared && prot&unix.PROT_WRITE != 0
	if writes && r.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return vfs.Mapping{}, syscall.EPERM
	}
	if err := r.data.toObject(); err != nil {
		return vfs.Mapping{}, err
	}
	fd, err := r.data.object.share(writes)
	if err != nil {
		return vfs.Mapping{}, err
	}
	return vfs.Mapping{FD: fd, Release: func() { unix.Close(fd) }}, nil
}
