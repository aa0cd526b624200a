package fuse

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// mostMapped bounds the size of a file that is mapped, in bytes: it is read as a
// whole.
const mostMapped = 2 << 30

// Map returns a memory object with the file's contents. A shared map that can be
// written makes them live: see live. ENODEV for files that have no offsets, and
// for shared maps of those that are never kept (direct_io), unless the daemon
// allows it; ENOMEM for files larger than mostMapped.
func (f *file) Map(ctx context.Context, prot int, shared bool) (vfs.Mapping, error) {
	if err := f.n.fs.allowed(ctx); err != nil {
		return vfs.Mapping{}, err
	}
	if f.backing != nil {
		if m, ok := f.backing.(vfs.Mapper); ok {
			return m.Map(ctx, prot, shared)
		}
		return vfs.Mapping{}, syscall.ENODEV
	}
	r, ok := f.n.self.(*regular)
	if !ok || f.IsStream() || shared && f.out&openDirectIO != 0 && !f.n.fs.has(initDirectMmap) {
		return vfs.Mapping{}, syscall.ENODEV
	}
	d := &r.data
	if err := d.mapping.lock(ctx); err != nil {
		return vfs.Mapping{}, err
	}
	defer d.mapping.unlock()
	if shared && prot&unix.PROT_WRITE != 0 {
		return f.mapLive(ctx, r)
	}
	if d.live.on.Load() {
		if err := f.freshen(ctx, r); err != nil {
			return vfs.Mapping{}, err
		}
		return d.mapped(false)
	}
	d.mu.Lock()
	full := d.full && !f.direct()
	d.mu.Unlock()
	if full {
		// The daemon may have changed it by itself.
		if _, err := f.n.Stat(ctx); err != nil {
			return vfs.Mapping{}, err
		}
		d.mu.Lock()
		full = d.full
		d.mu.Unlock()
	}
	if !full {
		if err := f.fill(ctx, d); err != nil {
			return vfs.Mapping{}, err
		}
	}
	f.n.fs.keepMap(d)
	return d.mapped(false)
}

// mapped returns the memory object for a guest.
func (d *data) mapped(writable bool) (vfs.Mapping, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.ro
	if writable {
		m = d.mem
	}
	if m == nil {
		return vfs.Mapping{}, syscall.EAGAIN
	}
	fd, err := unix.FcntlInt(m.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	runtime.KeepAlive(m)
	if err != nil {
		return vfs.Mapping{}, err
	}
	return vfs.Mapping{FD: fd, Release: func() { unix.Close(fd) }}, nil
}

// mappedSize asks for the size, which must be one that can be mapped.
func (f *file) mappedSize(ctx context.Context) (int64, error) {
	a, err := f.n.getattr(ctx)
	if err != nil {
		return 0, err
	}
	if a.Size > mostMapped {
		return 0, syscall.ENOMEM
	}
	return a.Size, nil
}

// fill reads the file into its memory object. d.mapping is held.
func (f *file) fill(ctx context.Context, d *data) error {
	size, err := f.mappedSize(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	drops := d.drops
	err = d.makeMemory()
	mem := d.mem
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := mem.Truncate(size); err != nil {
		return syscall.ENOMEM
	}
	err = f.readAll(ctx, size, func(p []byte, off int64) error {
		if _, err := mem.WriteAt(p, off); err != nil {
			return syscall.ENOMEM
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = d.drops == drops && d.mem == mem
	return nil
}

// readAll reads the file from the daemon, up to size.
func (f *file) readAll(ctx context.Context, size int64, take func(p []byte, off int64) error) error {
	buf := make([]byte, min(pieceSize, size))
	for off := int64(0); off < size; {
		n, err := f.readDirect(ctx, buf[:min(pieceSize, size-off)], off)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := take(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// makeMemory makes the memory object if there is none. d.mu is held.
func (d *data) makeMemory() (err error) {
	if d.mem == nil {
		d.mem, d.ro, err = newMemory()
	}
	return err
}

// newMemory makes a memory object, and a descriptor of it that cannot write.
func newMemory() (mem, ro *os.File, err error) {
	fd, err := unix.MemfdCreate("fuse", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, syscall.ENOMEM
	}
	mem = os.NewFile(uintptr(fd), "memfd:fuse")
	ro, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		mem.Close()
		return nil, nil, syscall.ENOMEM
	}
	return mem, ro, nil
}
