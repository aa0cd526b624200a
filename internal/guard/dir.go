package guard

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

type lookupOp struct {
	d    vfs.Dir
	name string
	n    vfs.Node
}

func (o *lookupOp) do(ctx context.Context) (err error) {
	o.n, err = o.d.Lookup(ctx, o.name)
	return err
}

func (o *lookupOp) late(*Guard)             {}
func (o *lookupOp) about() (string, string) { return "lookup", o.name }

// Lookup looks the name up.
func (d dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	s := d.g.begin(ctx)
	o := &s.lookup
	o.d, o.name = d.n.(vfs.Dir), name
	if err := s.call(ctx, o, nil); err != nil {
		return nil, err
	}
	n := o.n
	o.n = nil
	s.end()
	return d.g.node(n, nil)
}

// Make makes a file.
func (d dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	return d.g.node(perform(ctx, d.g, nil, "make", name, func(ctx context.Context) (vfs.Node, error) {
		return vfs.Make(ctx, d.n, name, o)
	}, nil))
}

// made is a file that was made and opened.
type made struct {
	n vfs.Node
	f vfs.File
}

// MakeOpen makes a file and opens it, in two steps where the server has no
// better.
func (d dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	m, err := perform(ctx, d.g, nil, "create", name, func(ctx context.Context) (m made, err error) {
		if mo, ok := d.n.(vfs.MakeOpener); ok {
			m.n, m.f, err = mo.MakeOpen(ctx, name, o, flags)
		} else if m.n, err = vfs.Make(ctx, d.n, name, o); err == nil {
			m.f, err = vfs.Open(ctx, m.n, flags)
		}
		return m, err
	}, func(m made) { dispose(m.f) })
	if err != nil {
		return nil, nil, err
	}
	n, err := d.g.node(m.n, nil)
	if err != nil {
		return nil, nil, err
	}
	f, err := d.g.file(m.f)
	return n, f, err
}

// Tmpfile makes a file without a name.
func (d dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	return d.g.node(perform(ctx, d.g, nil, "tmpfile", "", func(ctx context.Context) (vfs.Node, error) {
		return vfs.Tmpfile(ctx, d.n, o)
	}, nil))
}

// Remove removes a name.
func (d dir) Remove(ctx context.Context, name string, isDir bool) error {
	return command(ctx, d.g, nil, "remove", name, func(ctx context.Context) error {
		return vfs.Remove(ctx, d.n, name, isDir)
	})
}

// Rename moves a name.
func (d dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	real, ok := d.g.own(to)
	if !ok {
		return syscall.EXDEV
	}
	return command(ctx, d.g, nil, "rename", name, func(ctx context.Context) error {
		return vfs.Rename(ctx, d.n, name, real, toName, flags)
	})
}

// Link gives a file another name.
func (d dir) Link(ctx context.Context, target vfs.Node, name string) error {
	real, ok := d.g.own(target)
	if !ok {
		return syscall.EXDEV
	}
	return command(ctx, d.g, nil, "link", name, func(ctx context.Context) error {
		return vfs.Link(ctx, d.n, real, name)
	})
}
