package overlay

import (
	"context"
	"sync"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Open opens the directory for reading.
func (d *dir) Open(context.Context, int) (vfs.File, error) { return &openDir{d: d}, nil }

// openDir lists a merged directory as it was when it was read from the start:
// then the order of two file systems does not matter for cookies.
type openDir struct {
	d    *dir
	mu   sync.Mutex
	list []vfs.Dirent
	read bool
}

const firstCookie = 3

func (o *openDir) Node() vfs.Node                   { return o.d }
func (o *openDir) Close() error                     { return nil }
func (o *openDir) Sync(context.Context, bool) error { return nil }

// ReadDir lists entries; Next is the place in the list.
func (o *openDir) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cookie < firstCookie || !o.read {
		o.d.fs.names.RLock()
		list, err := o.d.list(ctx)
		o.d.fs.names.RUnlock()
		if err != nil {
			return nil, err
		}
		for i := range list {
			list[i].Next = uint64(i) + firstCookie + 1
		}
		o.list, o.read = list, true
		cookie = max(cookie, firstCookie)
	}
	i := cookie - firstCookie
	if i >= uint64(len(o.list)) {
		return nil, nil
	}
	rest := o.list[i:]
	return rest[:min(limit, len(rest))], nil
}

// list returns all entries. fs.names is held.
func (d *dir) list(ctx context.Context) ([]vfs.Dirent, error) {
	var all []vfs.Dirent
	if d.lower != nil {
		lower, err := readAll(ctx, d.lower)
		if err != nil {
			return nil, err
		}
		for _, e := range lower {
			if _, gone := d.white[e.Name]; gone {
				continue
			}
			all = append(all, e)
		}
	}
	if d.upper == nil {
		return all, nil
	}
	upper, err := readAll(ctx, d.upper)
	if err != nil || len(upper) == 0 {
		return all, err
	}
	at := make(map[string]int, len(all))
	for i, e := range all {
		at[e.Name] = i
	}
	for _, e := range upper {
		i, both := at[e.Name]
		if !both {
			all = append(all, e)
			continue
		}
		// The lower number stays, if the lower file is still behind the name.
		if e.Type == all[i].Type && d.sameFile(ctx, e.Name) {
			continue
		}
		all[i] = e
	}
	return all, nil
}

// sameFile reports whether an upper name is the copy of the lower one.
func (d *dir) sameFile(ctx context.Context, name string) bool {
	u, err := d.upper.Lookup(ctx, name)
	if err != nil {
		return false
	}
	l, err := d.lower.Lookup(ctx, name)
	if err != nil {
		return false
	}
	d.fs.tables.Lock()
	defer d.fs.tables.Unlock()
	w := d.fs.byUpper[u]
	return w != nil && w == d.fs.copied[l]
}

func readAll(ctx context.Context, n vfs.Dir) ([]vfs.Dirent, error) {
	f, err := vfs.Open(ctx, n, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, ok := f.(vfs.DirReader)
	if !ok {
		return nil, nil
	}
	var all []vfs.Dirent
	for cookie := uint64(0); ; {
		part, err := r.ReadDir(ctx, cookie, 1024)
		if err != nil || len(part) == 0 {
			return all, err
		}
		all = append(all, part...)
		cookie = part[len(part)-1].Next
	}
}
