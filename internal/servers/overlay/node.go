package overlay

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// node is what is kept of a lower file, or of any directory.
type node struct {
	fs    *FS
	lower vfs.Node // nil for a directory that is new
	self  vfs.Node // what contains this

	upper  atomic.Pointer[vfs.Node] // nil until copied up; never changes again
	origin *origin                  // set before upper, nil without lower

	place atomic.Pointer[place]
	first place // what place points to at first
}

// place is a directory and a name that lead to a file. Of a lower file with
// several names it is one, of a removed one an old one.
type place struct {
	dir  *dir
	name string
}

// origin is what a copy keeps showing of its original.
type origin struct {
	dev, ino uint64
	birth    syscall.Timespec
	nlink    uint32
	size     int64
}

func (n *node) init(fs *FS, lower, self vfs.Node) *node {
	n.fs, n.lower, n.self = fs, lower, self
	return n
}

// put sets the first place.
func (n *node) put(d *dir, name string) {
	n.first = place{d, strings.Clone(name)} // not the path it was cut from
	n.place.Store(&n.first)
}

// now returns the node that counts.
func (n *node) now() vfs.Node {
	if u := n.upper.Load(); u != nil {
		return *u
	}
	return n.lower
}

// show puts what an original has for ever into a copy's attributes.
func (o *origin) show(a *vfs.Attr) {
	a.Dev, a.Ino, a.Btime = o.dev, o.ino, o.birth
}

func originOf(a *vfs.Attr) *origin {
	return &origin{dev: a.Dev, ino: a.Ino, birth: a.Btime, nlink: a.Nlink, size: a.Size}
}

// found notes where a lower file was seen: there its copy will be. d.mu is held,
// at least for reading.
func (n *node) found(ctx context.Context, d *dir, name string) {
	p := n.place.Load()
	if n.upper.Load() != nil || p != nil && p.dir == d && p.name == name {
		return
	}
	if c, ok := n.self.(*dir); ok {
		// A directory is in one place, unless the host moved it, or shows it in two
		// (a bind mount): then it stays in the first, lest it be in itself.
		if p == nil || c == d || p.dir.leadsTo(ctx, p.name, n.lower) || d.below(c) {
			return
		}
	}
	n.place.CompareAndSwap(p, &place{d, strings.Clone(name)})
}

// leadsTo reports whether name in the lower directory of d is the lower node.
func (d *dir) leadsTo(ctx context.Context, name string, lower vfs.Node) bool {
	if d.low == nil {
		return false
	}
	n, err := d.low.Lookup(ctx, name)
	return err == nil && n == lower
}

// is reports whether err is the errno.
func is(err error, e syscall.Errno) bool {
	return err == e || err != nil && errors.Is(err, e)
}

// absent reports whether err says that there is no such file in the lower file
// system, or none any more.
func absent(err error) bool {
	return is(err, syscall.ENOENT) || is(err, syscall.ESTALE)
}
