package overlay

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/hati-os/hati/vfs"
)

// file is a file of the lower file system that is no directory, until and after
// it is copied up.
type file struct {
	node
	low    atomic.Int32             // open files that still read the lower one
	anchor atomic.Pointer[vfs.File] // keeps the copy for those
	mu     sync.Mutex               // held over the copying
	loans  loans                    // of the lower file

	delta  atomic.Int32 // names given, less those taken away; with fs.tables
	hidden string       // the copy's name in fs.links, or ""; with fs.tables
}

// The kinds of files.
type (
	regular struct{ file }
	link    struct{ file }
	special struct{ file } // FIFO, socket or device: POSIX opens it by itself
)

// fileOf returns the file that n is, nil for none.
func fileOf(n vfs.Node) *file {
	switch n := n.(type) {
	case *regular:
		return &n.file
	case *link:
		return &n.file
	case *special:
		return &n.file
	}
	return nil
}

// Stat returns the attributes.
func (f *file) Stat(ctx context.Context) (vfs.Attr, error) {
	u := f.upper.Load()
	if u == nil {
		a, err := f.lower.Stat(ctx)
		a.Nlink = f.count(a.Nlink)
		return a, err
	}
	a, err := (*u).Stat(ctx)
	f.origin.show(&a)
	a.Nlink = f.count(f.origin.nlink)
	return a, err
}

// count is the number of names, of a lower file that has n.
func (f *file) count(n uint32) uint32 { return uint32(max(0, int64(n)+int64(f.delta.Load()))) }

// names is the number of names; 0 when it cannot be found out.
func (f *file) names(ctx context.Context) uint32 {
	a, err := f.Stat(ctx)
	if err != nil {
		return 0
	}
	return a.Nlink
}

// unlinked counts a name that is gone. Of a file that has others below, the
// wrapper stays.
func (f *file) unlinked(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	below := uint32(0)
	if f.upper.Load() == nil {
		if a, err := f.lower.Stat(ctx); err == nil {
			below = a.Nlink
		}
	}
	hidden := ""
	f.fs.tables.Lock()
	f.delta.Add(-1)
	switch u := f.upper.Load(); {
	case u == nil && f.count(below) > 0:
		f.fs.kept[&f.node] = struct{}{}
	case u == nil:
		delete(f.fs.kept, &f.node)
	case f.count(f.origin.nlink) == 0:
		f.fs.uppers.CompareAndDelete(*u, &f.node)
		hidden, f.hidden = f.hidden, ""
	}
	f.fs.tables.Unlock()
	if hidden != "" {
		_ = vfs.Remove(ctx, f.fs.links, hidden, false)
	}
}

// SetAttr copies the file up first.
func (f *file) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	if err := f.copyUp(ctx, s.Valid&vfs.SetSize == 0 || s.Size != 0); err != nil {
		return err
	}
	return vfs.SetAttributes(ctx, f.now(), nil, s)
}

// Getxattr returns an extended attribute.
func (f *file) Getxattr(ctx context.Context, name string) ([]byte, error) {
	return vfs.Getxattr(ctx, f.now(), name)
}

// Listxattr lists the extended attributes.
func (f *file) Listxattr(ctx context.Context) ([]string, error) { return vfs.Listxattr(ctx, f.now()) }

// Setxattr copies the file up first.
func (f *file) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	if err := f.copyUp(ctx, true); err != nil {
		return err
	}
	return vfs.Setxattr(ctx, f.now(), name, value, flags)
}

// Removexattr copies the file up first, if there is something to remove.
func (f *file) Removexattr(ctx context.Context, name string) error {
	if _, err := f.Getxattr(ctx, name); err != nil {
		return err
	}
	if err := f.copyUp(ctx, true); err != nil {
		return err
	}
	return vfs.Removexattr(ctx, f.now(), name)
}

// Readlink returns the text.
func (l *link) Readlink(ctx context.Context) (string, error) { return vfs.Readlink(ctx, l.now()) }
