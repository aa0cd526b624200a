package overlay

import (
	"context"
	"math"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const firstCookie = 3

// openDir lists a directory. One that is in one file system only is listed by
// that one, with its cookies. A merged one is listed as it was when it was read
// from the start: then the order of two file systems does not matter.
type openDir struct {
	d     *dir
	mu    sync.Mutex
	begun bool
	lower bool          // source is the lower directory
	from  vfs.File      // the one file system's, or nil
	read  vfs.DirReader // from's
	list  []vfs.Dirent  // the merged directory
}

// Open opens the directory for reading.
func (d *dir) Open(_ context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EISDIR
	}
	return &openDir{d: d}, nil
}

func (o *openDir) Node() vfs.Node                   { return o.d }
func (o *openDir) Sync(context.Context, bool) error { return nil }

// Close lets go what was being read.
func (o *openDir) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.drop()
}

func (o *openDir) drop() error {
	f := o.from
	o.from, o.read, o.list, o.begun = nil, nil, nil, false
	if f == nil {
		return nil
	}
	return f.Close()
}

// ReadDir lists entries.
func (o *openDir) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cookie < firstCookie || !o.begun {
		if err := o.begin(ctx); err != nil {
			return nil, err
		}
	}
	if o.d.dead.Load() {
		return nil, nil
	}
	if o.read != nil {
		return o.pass(ctx, cookie, limit)
	}
	i := max(cookie, firstCookie) - firstCookie
	if i >= uint64(len(o.list)) {
		return nil, nil
	}
	rest := o.list[i:]
	return rest[:min(limit, len(rest))], nil
}

// begin finds out what there is to read.
func (o *openDir) begin(ctx context.Context) error {
	o.drop()
	d := o.d
	d.mu.RLock()
	defer d.mu.RUnlock()
	var err error
	switch {
	case d.up == nil:
		o.lower = true
		o.from, o.read, err = openList(ctx, d.low)
	case d.low == nil:
		o.lower = false
		o.from, o.read, err = openList(ctx, d.up)
	default:
		o.list, err = d.merge(ctx)
	}
	o.begun = err == nil
	return err
}

// pass reads on in the one file system.
func (o *openDir) pass(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	for {
		list, err := o.read.ReadDir(ctx, cookie, limit)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		cookie = list[len(list)-1].Next
		o.d.mu.RLock()
		if o.lower {
			list = o.d.remaining(list)
		} else {
			o.d.renumber(ctx, list)
		}
		o.d.mu.RUnlock()
		if len(list) > 0 {
			return list, nil
		}
	}
}

// remaining takes out the lower names that are gone. mu is held.
func (d *dir) remaining(list []vfs.Dirent) []vfs.Dirent {
	if len(d.white) == 0 {
		return list
	}
	all := list[:0:0]
	for _, e := range list {
		if _, gone := d.white[e.Name]; !gone {
			all = append(all, e)
		}
	}
	return all
}

// renumber gives upper entries that are copies their originals' numbers. mu is
// held.
func (d *dir) renumber(ctx context.Context, list []vfs.Dirent) {
	for i := range list {
		n, err := d.up.Lookup(ctx, list[i].Name)
		if err != nil {
			continue
		}
		if w, ok := d.fs.uppers.Load(n); ok && w.(*node).origin != nil {
			list[i].Ino = w.(*node).origin.ino
		}
	}
}

// merge returns all entries. mu is held.
func (d *dir) merge(ctx context.Context) ([]vfs.Dirent, error) {
	var all, upper []vfs.Dirent
	if err := each(ctx, d.up, math.MaxInt, func(e vfs.Dirent) error {
		upper = append(upper, e)
		return nil
	}); err != nil {
		return nil, err
	}
	d.renumber(ctx, upper)
	over := make(map[string]struct{}, len(upper))
	for _, e := range upper {
		over[e.Name] = struct{}{}
	}
	if err := each(ctx, d.low, math.MaxInt, func(e vfs.Dirent) error {
		_, gone := d.white[e.Name]
		if _, hidden := over[e.Name]; !gone && !hidden {
			all = append(all, e)
		}
		return nil
	}); err != nil && !absent(err) {
		return nil, err
	}
	all = append(all, upper...)
	for i := range all {
		all[i].Next = uint64(i) + firstCookie + 1
	}
	return all, nil
}

func openList(ctx context.Context, n vfs.Dir) (vfs.File, vfs.DirReader, error) {
	f, err := vfs.Open(ctx, n, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, nil, err
	}
	r, ok := f.(vfs.DirReader)
	if !ok {
		f.Close()
		return nil, nil, syscall.ENOTDIR
	}
	return f, r, nil
}

// each calls f for the entries of n, until it fails. About as many as want are
// needed.
func each(ctx context.Context, n vfs.Dir, want int, f func(vfs.Dirent) error) error {
	file, r, err := openList(ctx, n)
	if err != nil {
		return err
	}
	defer file.Close()
	for cookie := uint64(0); ; {
		list, err := r.ReadDir(ctx, cookie, min(want, 1024))
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if err := f(e); err != nil {
				return err
			}
		}
		cookie = list[len(list)-1].Next
	}
}
