package fuse

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// data is what is kept of a file's contents: pieces that were read, and a memory
// object once it was mapped. Writes go through to the daemon, and to both.
type data struct {
	appending ctxLock // held while O_APPEND writes
	mapping   ctxLock // held while mem is filled

	mu     sync.Mutex // guards the rest
	pieces map[int64][]byte
	drops  uint64   // grows when what an answer under way brings is old
	mem    *os.File // to write to
	ro     *os.File // the same, as guests get it
	full   bool     // mem holds the whole file as it is
}

const (
	pieceSize = 128 << 10
	// mostMapped bounds the size of a file that is mapped, in bytes: it is read
	// as a whole.
	mostMapped = 2 << 30
	keptPieces = 256
	keptMaps   = 64
)

// pieceRef names a piece that is kept.
type pieceRef struct {
	d  *data
	at int64
}

// kept are the pieces and mapped files that were used last. FS.mu guards it.
type kept struct {
	pieces         [keptPieces]pieceRef
	maps           [keptMaps]*data
	piece, mapping int
}

// keepPiece enters a piece and drops the one that has to go.
func (fs *FS) keepPiece(d *data, at int64) {
	fs.mu.Lock()
	k := &fs.kept
	k.piece = (k.piece + 1) % keptPieces
	old := k.pieces[k.piece]
	k.pieces[k.piece] = pieceRef{d, at}
	fs.mu.Unlock()
	if old.d != nil && (old.d != d || old.at != at) {
		old.d.mu.Lock()
		delete(old.d.pieces, old.at)
		old.d.mu.Unlock()
	}
}

// keepMap does the same for a mapped file. What has it mapped keeps its pages.
func (fs *FS) keepMap(d *data) {
	fs.mu.Lock()
	k := &fs.kept
	k.mapping = (k.mapping + 1) % keptMaps
	old := k.maps[k.mapping]
	k.maps[k.mapping] = d
	fs.mu.Unlock()
	if old != nil && old != d {
		old.mu.Lock()
		mem, ro := old.mem, old.ro
		old.mem, old.ro, old.full = nil, nil, false
		old.mu.Unlock()
		closeBoth(mem, ro)
	}
}

func closeBoth(mem, ro *os.File) {
	if mem != nil {
		mem.Close()
		ro.Close()
	}
}

// dropData forgets n bytes from off on; all from there with n < 0.
func (n *node) dropData(off, count int64) {
	r, ok := n.self.(*regular)
	if !ok {
		return
	}
	d := &r.data
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drops++
	d.full = false
	for at := range d.pieces {
		if at+pieceSize > off && (count < 0 || at < off+count) {
			delete(d.pieces, at)
		}
	}
}

// wrote notes what the daemon has taken.
func (n *node) wrote(p []byte, off int64) {
	r, ok := n.self.(*regular)
	if !ok || len(p) == 0 {
		return
	}
	d := &r.data
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drops++
	for at := off - off%pieceSize; at < off+int64(len(p)); at += pieceSize {
		delete(d.pieces, at)
	}
	if d.mem != nil {
		if _, err := d.mem.WriteAt(p, off); err != nil {
			d.full = false
		}
	}
}

// truncated notes a new size.
func (n *node) truncated(size int64) {
	n.dropData(max(0, size-1), -1)
	if r, ok := n.self.(*regular); ok {
		d := &r.data
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.mem != nil && size <= mostMapped {
			_ = d.mem.Truncate(size) // it is filled anew in any case
		}
	}
}

// sizeFor returns the file's size, for a read up to end.
func (n *node) sizeFor(ctx context.Context, end int64) (int64, error) {
	if !n.fs.has(initAutoInval) {
		n.mu.Lock()
		size := n.attr.Size
		n.mu.Unlock()
		if end <= size {
			return size, nil
		}
	}
	a, err := n.Stat(ctx)
	return a.Size, err
}

// readCached reads from what is kept, and asks for what is not.
func (f *file) readCached(ctx context.Context, p []byte, off int64) (int, error) {
	r, ok := f.n.self.(*regular)
	if !ok {
		return f.readDirect(ctx, p, off)
	}
	size, err := f.n.sizeFor(ctx, off+int64(len(p)))
	if err != nil || off >= size {
		return 0, err
	}
	p = p[:min(int64(len(p)), size-off)]
	done := 0
	for done < len(p) {
		at := off + int64(done)
		from := at - at%pieceSize
		b, drops := r.data.piece(from)
		if b == nil && at == from && len(p)-done >= pieceSize {
			// A large read goes where it is wanted.
			n, err := f.readDirect(ctx, p[done:done+pieceSize], at)
			done += n
			if err != nil && done == 0 {
				return 0, err
			}
			if err != nil || n < pieceSize {
				return done, nil
			}
			continue
		}
		if b == nil {
			want := min(pieceSize, (size-from+pageSize-1)&^(pageSize-1))
			b = make([]byte, want)
			n, err := f.readDirect(ctx, b, from)
			if err != nil {
				if done > 0 {
					return done, nil
				}
				return 0, err
			}
			b = b[:n]
			f.n.fs.keep(&r.data, from, b, drops)
		}
		n := 0
		if int64(len(b)) > at-from {
			n = copy(p[done:], b[at-from:])
		}
		done += n
		if n == 0 || len(b) < pieceSize {
			return done, nil
		}
	}
	return done, nil
}

// piece returns what is kept from at on, and the drops up to now.
func (d *data) piece(at int64) ([]byte, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pieces[at], d.drops
}

// keep keeps a piece, unless something was dropped since it was asked for.
func (fs *FS) keep(d *data, at int64, b []byte, drops uint64) {
	d.mu.Lock()
	fresh := d.drops == drops && len(b) > 0
	if fresh {
		if d.pieces == nil {
			d.pieces = map[int64][]byte{}
		}
		d.pieces[at] = b
	}
	d.mu.Unlock()
	if fresh {
		fs.keepPiece(d, at)
	}
}

// Map returns a memory object with the file's contents, for private maps and
// shared ones that nobody can write to: what was written to a map could not be
// told the daemon in time. ENODEV for others, and for files that have no
// offsets.
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
	if !ok || f.IsStream() || shared && prot&unix.PROT_WRITE != 0 {
		return vfs.Mapping{}, syscall.ENODEV
	}
	d := &r.data
	if err := d.mapping.lock(ctx); err != nil {
		return vfs.Mapping{}, err
	}
	defer d.mapping.unlock()
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
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ro == nil {
		return vfs.Mapping{}, syscall.EAGAIN
	}
	fd, err := unix.FcntlInt(d.ro.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	runtime.KeepAlive(d.ro)
	if err != nil {
		return vfs.Mapping{}, err
	}
	return vfs.Mapping{FD: fd, Release: func() { unix.Close(fd) }}, nil
}

// fill reads the file into its memory object. d.mapping is held.
func (f *file) fill(ctx context.Context, d *data) error {
	a, err := f.n.getattr(ctx)
	if err != nil {
		return err
	}
	if a.Size > mostMapped {
		return syscall.ENOMEM
	}
	d.mu.Lock()
	mem, drops := d.mem, d.drops
	d.mu.Unlock()
	if mem == nil {
		var ro *os.File
		if mem, ro, err = newMemory(); err != nil {
			return err
		}
		d.mu.Lock()
		d.mem, d.ro = mem, ro
		d.mu.Unlock()
	}
	if err := mem.Truncate(a.Size); err != nil {
		return syscall.ENOMEM
	}
	buf := make([]byte, pieceSize)
	for off := int64(0); off < a.Size; {
		n, err := f.readDirect(ctx, buf[:min(pieceSize, a.Size-off)], off)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if _, err := mem.WriteAt(buf[:n], off); err != nil {
			return syscall.ENOMEM
		}
		off += int64(n)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = d.drops == drops && d.mem == mem
	return nil
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
