package host

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// place is a directory and the name in it that leads to a file.
type place struct {
	dir  *dir
	name string
}

// node is what all kinds of nodes have.
type node struct {
	fs     *FS
	key    key
	kind   uint32 // S_IFMT bits
	veiled bool   // a hidden directory
	self   vfs.Node

	place atomic.Pointer[place] // nil: the root, or a file without a name
	first place                 // what place points to at first

	open atomic.Pointer[handle]   // one of the open files', or nil
	gone atomic.Pointer[vfs.Attr] // the attributes after our own Remove

	mu     sync.Mutex // guards the rest, and changes of open
	files  *opened
	anchor *anchor // keeps a file that has not had a name
}

// The kinds of nodes.
type (
	regular struct {
		node
		owners map[uint64]*lockOwner // processes with locks; guarded by mu
	}
	symlink struct{ node }
	special struct{ node } // FIFO, socket or device
	// veil is a hidden directory.
	veil struct{ node }
	dir  struct {
		node
		slot *slot
		hide atomic.Pointer[hidden] // what is hidden below
	}
)

func newNode(fs *FS, p place, st *unix.Statx_t, veiled bool) *node {
	var n *node
	switch kind := uint32(st.Mode) & unix.S_IFMT; {
	case veiled:
		v := &veil{}
		n, v.self = &v.node, v
	case kind == unix.S_IFDIR:
		d := &dir{slot: &slot{index: -1}}
		n, d.self = &d.node, d
	case kind == unix.S_IFREG:
		r := &regular{}
		n, r.self = &r.node, r
	case kind == unix.S_IFLNK:
		l := &symlink{}
		n, l.self = &l.node, l
	default:
		s := &special{}
		n, s.self = &s.node, s
	}
	n.fs, n.key, n.kind, n.veiled = fs, keyOf(st), uint32(st.Mode)&unix.S_IFMT, veiled
	if p.dir != nil {
		n.first = place{p.dir, strings.Clone(p.name)} // not the path it was cut from
		n.place.Store(&n.first)
	}
	return n
}

// is reports whether st describes n's file. Birth times do not count: a host's
// overlay changes them when it copies a file up.
func (n *node) is(st *unix.Statx_t) bool {
	return n.key == keyOf(st) && n.kind == uint32(st.Mode)&unix.S_IFMT
}

// Stat returns the attributes that the host has now. After our own Remove of the
// last known name, and without an open file, it returns those of that moment.
func (n *node) Stat(ctx context.Context) (vfs.Attr, error) {
	var st unix.Statx_t
	if err := n.stat(&st); err != nil {
		if gone := n.gone.Load(); gone != nil {
			return *gone, nil
		}
		return vfs.Attr{}, err
	}
	if n.veiled {
		st.Nlink = 2 // of its subdirectories, nothing
	}
	return attrOf(&st), nil
}

func (n *node) stat(st *unix.Statx_t) error {
	if h := n.open.Load(); h != nil {
		if fd, ok := h.get(); ok {
			err := statx(fd, "", unix.AT_EMPTY_PATH, st)
			h.put()
			return err
		}
	}
	if n.kind == unix.S_IFDIR && !n.veiled {
		s := n.self.(*dir).slot
		if fd, ok := s.take(); ok {
			err := statx(fd, "", unix.AT_EMPTY_PATH, st)
			s.put()
			return err
		}
	}
	return n.at(func(dirfd int, name string) error {
		if err := statx(dirfd, name, unix.AT_SYMLINK_NOFOLLOW, st); err != nil {
			return err
		}
		return n.check(st)
	})
}

// check is ESTALE when st is another file's.
func (n *node) check(st *unix.Statx_t) error {
	if !n.is(st) {
		return syscall.ESTALE
	}
	return nil
}

// checked returns fd, or closes it when it is not n's.
func (n *node) checked(fd int) (int, error) {
	var st unix.Statx_t
	err := statx(fd, "", unix.AT_EMPTY_PATH, &st)
	if err == nil {
		err = n.check(&st)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// at calls f with a directory's descriptor and a name that lead to n; f finds
// out whether they still do. When they do not, at sees to it that this is not
// for a rename of our own.
func (n *node) at(f func(dirfd int, name string) error) error {
	p := n.place.Load()
	for {
		err := p.call(f)
		if err != syscall.ENOENT && err != syscall.ESTALE {
			return err
		}
		q := n.settled()
		if p == q {
			return err
		}
		p = q
	}
}

// settled returns n's place when no rename is under way.
func (n *node) settled() *place {
	n.fs.names.RLock()
	defer n.fs.names.RUnlock()
	return n.place.Load()
}

func (p *place) call(f func(dirfd int, name string) error) error {
	if p == nil {
		return syscall.ESTALE
	}
	fd, err := p.dir.acquire()
	if err != nil {
		return err
	}
	err = f(fd, p.name)
	p.dir.slot.put()
	return err
}

// withFD calls f with a descriptor of n's file, which may be an O_PATH one.
func (n *node) withFD(f func(fd int) error) error {
	if h := n.open.Load(); h != nil {
		if fd, ok := h.get(); ok {
			defer h.put()
			return f(fd)
		}
	}
	if d, ok := n.self.(*dir); ok {
		fd, err := d.acquire()
		if err != nil {
			return err
		}
		defer d.slot.put()
		return f(fd)
	}
	var h handle
	err := n.at(func(dirfd int, name string) error {
		fd, err := n.fs.openPath(dirfd, name, 0)
		if err == nil {
			fd, err = n.checked(fd)
		}
		if err == nil {
			h.adopt(fd, 1)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer h.put()
	return f(h.fd)
}

// acquire returns the directory's descriptor, with the caller as a user: it
// ends with d.slot.put.
func (d *dir) acquire() (int, error) {
	if fd, ok := d.slot.take(); ok {
		return fd, nil
	}
	return d.reopen(0)
}

// maxDepth bounds how many directories in a row are opened for one, so that
// host renames which make two stale places point at each other end in ESTALE.
const maxDepth = 2048

func (d *dir) reopen(depth int) (int, error) {
	defer runtime.KeepAlive(d) // else its cleanup could come before slot enters the cache
	if depth > maxDepth {
		return -1, syscall.ESTALE
	}
	if h := d.open.Load(); h != nil {
		if fd, ok := h.get(); ok {
			fd, err := d.fill(fd, ".")
			h.put()
			return fd, err
		}
	}
	p := d.place.Load()
	for {
		fd, err := d.openAt(p, depth)
		if err == nil {
			return fd, nil
		}
		q := d.settled()
		if p == q {
			return -1, err
		}
		p = q
	}
}

func (d *dir) openAt(p *place, depth int) (int, error) {
	if p == nil {
		return -1, syscall.ESTALE // the root, after Close
	}
	up, ok := p.dir.slot.take()
	if !ok {
		var err error
		if up, err = p.dir.reopen(depth + 1); err != nil {
			return -1, err
		}
	}
	fd, err := d.fill(up, p.name)
	p.dir.slot.put()
	return fd, err
}

// fill opens d's slot by name in dirfd, with the caller and the cache as users.
func (d *dir) fill(dirfd int, name string) (int, error) {
	s := d.slot
	s.mu.Lock()
	if fd, ok := s.take(); ok {
		s.mu.Unlock()
		return fd, nil
	}
	fd, err := d.fs.openPath(dirfd, name, unix.O_DIRECTORY)
	if err == nil {
		fd, err = d.checked(fd)
	} else if err == syscall.ENOTDIR || err == syscall.ELOOP {
		err = syscall.ESTALE // another file by now
	}
	if err != nil {
		s.mu.Unlock()
		return -1, err
	}
	s.adopt(fd, 2)
	s.used.Store(true)
	s.mu.Unlock()
	d.fs.dirs.add(s)
	return fd, nil
}
