package guard

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// The stand-ins for nodes are values, equal when the server's nodes are. They
// have all abilities whose absence is just an errno; for the others there are
// types.
type (
	node struct {
		g *Guard
		n vfs.Node
	}
	opener   struct{ node }
	dir      struct{ opener }
	link     struct{ node }
	lockNode struct{ opener }
	lockDir  struct{ dir }
)

// standIn is what all of them are.
type standIn interface{ real() (*Guard, vfs.Node) }

func (n node) real() (*Guard, vfs.Node) { return n.g, n.n }

// Stuck reports whether the server has not answered calls that their callers
// have left.
func (n node) Stuck() bool { return n.g.lost.Load() > 0 }

// node returns the stand-in for a node that the server returned.
func (g *Guard) node(n vfs.Node, err error) (vfs.Node, error) {
	if err != nil {
		return nil, err
	}
	if n == nil {
		g.logf("no node", errNonsense)
		return nil, errNonsense
	}
	_, locks := n.(vfs.Locker)
	s := node{g, n}
	switch n.(type) {
	case vfs.Dir:
		if locks {
			return lockDir{dir{opener{s}}}, nil
		}
		return dir{opener{s}}, nil
	case vfs.Readlinker:
		return link{s}, nil
	}
	switch _, opens := n.(vfs.Opener); {
	case locks:
		return lockNode{opener{s}}, nil
	case opens:
		return opener{s}, nil
	}
	return s, nil
}

// own returns the server's node behind a stand-in of the same guard.
func (g *Guard) own(n vfs.Node) (vfs.Node, bool) {
	if s, ok := n.(standIn); ok {
		if of, r := s.real(); of == g {
			return r, true
		}
	}
	return nil, false
}

type statOp struct {
	n    vfs.Node
	attr vfs.Attr
}

func (o *statOp) do(ctx context.Context) (err error) {
	o.attr, err = o.n.Stat(ctx)
	return err
}

func (o *statOp) late(*Guard)             {}
func (o *statOp) about() (string, string) { return "stat", "" }

// Stat asks the server.
func (n node) Stat(ctx context.Context) (vfs.Attr, error) {
	s := n.g.begin(ctx)
	o := &s.stat
	o.n = n.n
	if err := s.call(ctx, o, nil); err != nil {
		return vfs.Attr{}, err
	}
	a := o.attr
	s.end()
	return a, nil
}

type openOp struct {
	n     vfs.Node
	flags int
	f     vfs.File
}

func (o *openOp) do(ctx context.Context) (err error) {
	o.f, err = vfs.Open(ctx, o.n, o.flags)
	return err
}

func (o *openOp) late(*Guard)             { dispose(o.f) }
func (o *openOp) about() (string, string) { return "open", "" }

// Open opens the file. One that comes too late is closed.
func (n opener) Open(ctx context.Context, flags int) (vfs.File, error) {
	if _, ok := n.n.(vfs.Opener); !ok {
		return nil, syscall.ENXIO
	}
	s := n.g.begin(ctx)
	o := &s.open
	o.n, o.flags = n.n, flags
	if err := s.call(ctx, o, nil); err != nil {
		return nil, err
	}
	f := o.f
	o.f = nil
	s.end()
	return n.g.file(f)
}

// SetAttr changes the attributes.
func (n node) SetAttr(ctx context.Context, a vfs.SetAttr) error {
	return command(ctx, n.g, nil, "setattr", "", func(ctx context.Context) error {
		return vfs.SetAttributes(ctx, n.n, nil, a)
	})
}

// Getxattr reads an extended attribute.
func (n node) Getxattr(ctx context.Context, name string) ([]byte, error) {
	return perform(ctx, n.g, nil, "getxattr", name, func(ctx context.Context) ([]byte, error) {
		return vfs.Getxattr(ctx, n.n, name)
	}, nil)
}

// Setxattr sets an extended attribute.
func (n node) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	value = append([]byte(nil), value...)
	return command(ctx, n.g, nil, "setxattr", name, func(ctx context.Context) error {
		return vfs.Setxattr(ctx, n.n, name, value, flags)
	})
}

// Listxattr lists the extended attributes.
func (n node) Listxattr(ctx context.Context) ([]string, error) {
	return perform(ctx, n.g, nil, "listxattr", "", func(ctx context.Context) ([]string, error) {
		return vfs.Listxattr(ctx, n.n)
	}, nil)
}

// Removexattr removes an extended attribute.
func (n node) Removexattr(ctx context.Context, name string) error {
	return command(ctx, n.g, nil, "removexattr", name, func(ctx context.Context) error {
		return vfs.Removexattr(ctx, n.n, name)
	})
}

// Access asks the server, if it wants to be asked.
func (n node) Access(ctx context.Context, mask uint32) error {
	a, ok := n.n.(vfs.Accesser)
	if !ok {
		return nil
	}
	return command(ctx, n.g, nil, "access", "", func(ctx context.Context) error { return a.Access(ctx, mask) })
}

// Readlink reads the link.
func (l link) Readlink(ctx context.Context) (string, error) {
	return perform(ctx, l.g, nil, "readlink", "", l.n.(vfs.Readlinker).Readlink, nil)
}

func dispose(f vfs.File) {
	if f != nil {
		_ = f.Close()
	}
}
