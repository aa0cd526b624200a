package overlay

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// openFile is an open file that is, or was, a lower one. It reads the lower file
// until that is copied up, and the copy from then on. Opening for writing does
// not copy yet: many programs never write, or cut the file first.
type openFile struct {
	r     *regular
	flags int
	cur   atomic.Pointer[target]
	mu    sync.Mutex // held to change cur
	old   vfs.File   // the lower one, when cur is the upper one
}

// target is where an openFile goes to.
type target struct {
	vfs.File
	vfs.Reader
	vfs.Writer
	upper bool
}

func targetOf(f vfs.File, upper bool) *target {
	t := &target{File: f, upper: upper}
	t.Reader, _ = f.(vfs.Reader)
	t.Writer, _ = f.(vfs.Writer)
	return t
}

// nothing is the target of a file that was opened to be written only, as long as
// there is no copy.
var nothing = &target{}

// Open opens the file.
func (r *regular) Open(ctx context.Context, flags int) (vfs.File, error) {
	o := &openFile{r: r, flags: flags}
	r.low.Add(1) // so that a copy is kept for us
	t, err := r.target(ctx, flags)
	if err != nil || t.upper {
		r.released()
	}
	if err != nil {
		return nil, err
	}
	o.cur.Store(t)
	return o, nil
}

// target opens what counts now.
func (r *regular) target(ctx context.Context, flags int) (*target, error) {
	if u := r.upper.Load(); u != nil {
		f, err := vfs.Open(ctx, *u, flags)
		if err != nil {
			return nil, err
		}
		return targetOf(f, true), nil
	}
	if flags&unix.O_ACCMODE == unix.O_WRONLY {
		return nothing, nil
	}
	f, err := vfs.Open(ctx, r.lower, flags&^(unix.O_ACCMODE|unix.O_APPEND)|unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return targetOf(f, false), nil
}

// released counts an open file that reads the lower file no more.
func (r *regular) released() {
	if r.low.Add(-1) == 0 {
		r.weigh()
	}
}

// Node returns what was opened.
func (o *openFile) Node() vfs.Node { return o.r }

// Close closes both files.
func (o *openFile) Close() error {
	t := o.cur.Load()
	if !t.upper {
		o.r.released()
	}
	var err error
	if t.File != nil {
		err = t.File.Close()
	}
	if o.old != nil {
		o.old.Close()
	}
	return err
}

// current is what is to be read.
func (o *openFile) current(ctx context.Context) (*target, error) {
	t := o.cur.Load()
	if t.upper || o.r.upper.Load() == nil {
		return t, nil
	}
	return o.follow(ctx)
}

// follow goes over to the copy. The lower file stays open until Close: somebody
// may be reading it.
func (o *openFile) follow(ctx context.Context) (*target, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.cur.Load(); t.upper {
		return t, nil
	}
	t, err := o.r.target(ctx, o.flags)
	if err != nil {
		return nil, err
	}
	o.old = o.cur.Load().File
	o.cur.Store(t)
	o.r.released()
	return t, nil
}

// copied is what is to be written.
func (o *openFile) copied(ctx context.Context, contents bool) (*target, error) {
	if t := o.cur.Load(); t.upper {
		return t, nil
	}
	if err := o.r.copyUp(ctx, contents); err != nil {
		return nil, err
	}
	return o.follow(ctx)
}

// Read reads the copy, or the lower file.
func (o *openFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	t, err := o.current(ctx)
	if err != nil {
		return 0, err
	}
	if t.Reader == nil {
		return 0, syscall.EINVAL
	}
	return t.Read(ctx, p, off)
}

// Write writes the copy.
func (o *openFile) Write(ctx context.Context, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t, err := o.copied(ctx, true)
	if err != nil {
		return 0, err
	}
	if t.Writer == nil {
		return 0, syscall.EINVAL
	}
	return t.Write(ctx, p, off)
}

// Append appends to the copy.
func (o *openFile) Append(ctx context.Context, p []byte) (int, int64, error) {
	t, err := o.copied(ctx, true)
	if err != nil {
		return 0, 0, err
	}
	a, ok := t.File.(vfs.Appender)
	if !ok {
		return 0, 0, syscall.EOPNOTSUPP
	}
	return a.Append(ctx, p)
}

// SetAttr changes the copy.
func (o *openFile) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	t, err := o.copied(ctx, s.Valid&vfs.SetSize == 0 || s.Size != 0)
	if err != nil {
		return err
	}
	return vfs.SetAttributes(ctx, o.r.now(), t.File, s)
}

// SeekData finds data or a hole; a server that knows of none has data only.
func (o *openFile) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	t, err := o.current(ctx)
	if err != nil {
		return 0, err
	}
	if s, ok := t.File.(vfs.Seeker); ok {
		return s.SeekData(ctx, off, hole)
	}
	a, err := o.r.Stat(ctx)
	switch {
	case err != nil:
		return 0, err
	case off < 0 || off >= a.Size:
		return 0, syscall.ENXIO
	case hole:
		return a.Size, nil
	}
	return off, nil
}

// Sync flushes the copy, if there is one.
func (o *openFile) Sync(ctx context.Context, dataOnly bool) error {
	t, err := o.current(ctx)
	if err != nil || !t.upper {
		return err
	}
	if s, ok := t.File.(vfs.Syncer); ok {
		return s.Sync(ctx, dataOnly)
	}
	return nil
}

// Allocate changes the copy.
func (o *openFile) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	t, err := o.copied(ctx, true)
	if err != nil {
		return err
	}
	if a, ok := t.File.(vfs.Allocator); ok {
		return a.Allocate(ctx, mode, off, length)
	}
	return syscall.EOPNOTSUPP
}

// Map maps the file; who may write to it through the mapping copies it first, and
// so does one whose server cannot map.
func (o *openFile) Map(ctx context.Context, prot int, shared bool) (vfs.Mapping, error) {
	t, err := o.current(ctx)
	if err != nil {
		return vfs.Mapping{}, err
	}
	m, ok := t.File.(vfs.Mapper)
	if !ok || shared && prot&unix.PROT_WRITE != 0 {
		if t, err = o.copied(ctx, true); err != nil {
			return vfs.Mapping{}, err
		}
		if m, ok = t.File.(vfs.Mapper); !ok {
			return vfs.Mapping{}, syscall.ENODEV
		}
	}
	return m.Map(ctx, prot, shared)
}
