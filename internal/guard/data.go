package guard

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

type readOp struct {
	f    vfs.File
	p    []byte
	off  int64
	next bool // at the server's own offset
	n    int
}

func (o *readOp) do(ctx context.Context) (err error) {
	if o.next {
		o.n, err = o.f.(vfs.OffsetKeeper).ReadNext(ctx, o.p)
	} else {
		o.n, err = vfs.Read(ctx, o.f, o.p, o.off)
	}
	if o.n > 0 {
		return nil
	}
	return err
}

func (o *readOp) late(*Guard)             {}
func (o *readOp) about() (string, string) { return "read", "" }

func (f *file) read(ctx context.Context, p []byte, off int64, next bool) (int, error) {
	b, keep := buffer(len(p))
	s := f.g.begin(ctx)
	o := &s.read
	o.f, o.p, o.off, o.next, o.n = f.f, b, off, next, 0
	if err := s.call(ctx, o, f); err != nil {
		if err != errAbandoned {
			giveBack(keep)
		}
		return 0, err
	}
	n, err := f.g.count(o.n, len(p), nil)
	copy(p[:n], b)
	o.p = nil
	s.end()
	giveBack(keep)
	return n, err
}

type writeOp struct {
	f    vfs.File
	p    []byte
	off  int64
	kind writeKind
	n    int
	end  int64
}

type writeKind int

const (
	writeAt writeKind = iota
	writeNext
	writeEnd
)

func (o *writeOp) do(ctx context.Context) (err error) {
	switch o.kind {
	case writeAt:
		o.n, err = vfs.Write(ctx, o.f, o.p, o.off)
	case writeNext:
		o.n, err = o.f.(vfs.OffsetKeeper).WriteNext(ctx, o.p)
	default:
		o.n, o.end, err = appendTo(ctx, o.f, o.p)
	}
	if o.n > 0 {
		return nil
	}
	return err
}

func (o *writeOp) late(*Guard)             {}
func (o *writeOp) about() (string, string) { return "write", "" }

// appendTo writes at the end; a server that cannot is asked where that is.
func appendTo(ctx context.Context, f vfs.File, p []byte) (int, int64, error) {
	if a, ok := f.(vfs.Appender); ok {
		return a.Append(ctx, p)
	}
	a, err := f.Node().Stat(ctx)
	if err != nil {
		return 0, 0, err
	}
	n, err := vfs.Write(ctx, f, p, a.Size)
	return n, a.Size + int64(max(n, 0)), err
}

func (f *file) write(ctx context.Context, p []byte, off int64, kind writeKind) (n int, end int64, err error) {
	b, keep := buffer(len(p))
	copy(b, p) // not under the slot's lock
	s := f.g.begin(ctx)
	o := &s.write
	o.f, o.p, o.off, o.kind, o.n = f.f, b, off, kind, 0
	if err := s.call(ctx, o, f); err != nil {
		if err != errAbandoned {
			giveBack(keep)
		}
		return 0, 0, err
	}
	n, err = f.g.count(o.n, len(p), nil)
	end = o.end
	o.p = nil
	s.end()
	giveBack(keep)
	return n, end, err
}

// Read reads at off.
func (f dataFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	return f.read(ctx, p, off, false)
}

// Write writes at off.
func (f dataFile) Write(ctx context.Context, p []byte, off int64) (int, error) {
	n, _, err := f.write(ctx, p, off, writeAt)
	return n, err
}

// Append writes at the end.
func (f dataFile) Append(ctx context.Context, p []byte) (int, int64, error) {
	return f.write(ctx, p, 0, writeEnd)
}

// SeekData finds data or a hole. To a server that knows of none a file is all
// data.
func (f dataFile) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	s, ok := f.f.(vfs.Seeker)
	if !ok {
		return f.allData(ctx, off, hole)
	}
	return perform(ctx, f.g, f.file, "seek", "", func(ctx context.Context) (int64, error) {
		return s.SeekData(ctx, off, hole)
	}, nil)
}

func (f dataFile) allData(ctx context.Context, off int64, hole bool) (int64, error) {
	a, err := f.n.Stat(ctx)
	switch {
	case err != nil:
		return 0, err
	case !a.IsRegular():
		return 0, syscall.EINVAL
	case off < 0 || off >= a.Size:
		return 0, syscall.ENXIO
	case hole:
		return a.Size, nil
	}
	return off, nil
}

// Allocate changes the file's space.
func (f dataFile) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	a, ok := f.f.(vfs.Allocator)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	return command(ctx, f.g, f.file, "allocate", "", func(ctx context.Context) error {
		return a.Allocate(ctx, mode, off, length)
	})
}

// CopyRange copies to another file of the same server.
func (f dataFile) CopyRange(ctx context.Context, off int64, to vfs.File, toOff int64, n int64) (int64, error) {
	c, ok := f.f.(vfs.RangeCopier)
	if !ok {
		return 0, syscall.EOPNOTSUPP
	}
	real, ok := f.g.ownFile(to)
	if !ok {
		return 0, syscall.EXDEV
	}
	return perform(ctx, f.g, f.file, "copy", "", func(ctx context.Context) (int64, error) {
		done, err := c.CopyRange(ctx, off, real, toOff, n)
		if done > 0 {
			return done, nil
		}
		return 0, err
	}, nil)
}

// ReadNext reads at the server's offset.
func (f keepFile) ReadNext(ctx context.Context, p []byte) (int, error) {
	return f.read(ctx, p, 0, true)
}

// WriteNext writes at the server's offset.
func (f keepFile) WriteNext(ctx context.Context, p []byte) (int, error) {
	n, _, err := f.write(ctx, p, 0, writeNext)
	return n, err
}

// Lseek moves the server's offset.
func (f keepFile) Lseek(ctx context.Context, off int64, whence int) (int64, error) {
	return f.lseek(ctx, off, whence)
}

// ReadNext reads at the server's offset.
func (f keepPoll) ReadNext(ctx context.Context, p []byte) (int, error) {
	return f.read(ctx, p, 0, true)
}

// WriteNext writes at the server's offset.
func (f keepPoll) WriteNext(ctx context.Context, p []byte) (int, error) {
	n, _, err := f.write(ctx, p, 0, writeNext)
	return n, err
}

// Lseek moves the server's offset.
func (f keepPoll) Lseek(ctx context.Context, off int64, whence int) (int64, error) {
	return f.lseek(ctx, off, whence)
}

func (f *file) lseek(ctx context.Context, off int64, whence int) (int64, error) {
	return perform(ctx, f.g, f, "lseek", "", func(ctx context.Context) (int64, error) {
		return f.f.(vfs.OffsetKeeper).Lseek(ctx, off, whence)
	}, nil)
}

// Map asks for the file's memory object; one that comes too late is released.
func (f dataFile) Map(ctx context.Context, prot int, shared bool) (vfs.Mapping, error) {
	m, ok := f.f.(vfs.Mapper)
	if !ok {
		return vfs.Mapping{}, syscall.ENODEV
	}
	got, err := perform(ctx, f.g, f.file, "map", "", func(ctx context.Context) (vfs.Mapping, error) {
		return m.Map(ctx, prot, shared)
	}, func(m vfs.Mapping) {
		if m.Release != nil {
			m.Release()
		}
		if m.Stores != nil {
			m.Stores.Close()
		}
	})
	if got.Stores != nil {
		got.Stores = stores{f.file, got.Stores}
	}
	return got, err
}

// stores are those of a guarded server.
type stores struct {
	f *file
	s vfs.Stores
}

// WriteBack has the server take what was stored.
func (s stores) WriteBack(ctx context.Context, off, n int64) error {
	return command(ctx, s.f.g, s.f, "write back", "", func(ctx context.Context) error {
		return s.s.WriteBack(ctx, off, n)
	})
}

// Sync also has it keep that.
func (s stores) Sync(ctx context.Context, off, n int64) error {
	return command(ctx, s.f.g, s.f, "msync", "", func(ctx context.Context) error {
		return s.s.Sync(ctx, off, n)
	})
}

// Close ends the map. It waits for nothing.
func (s stores) Close() {
	_ = s.f.g.withoutContext("unmap", 0, func() error {
		s.s.Close()
		return nil
	})
}
