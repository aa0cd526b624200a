package host

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Lookup returns the node behind name: one host call when d is in use.
func (d *dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if err := single(name); err != nil {
		return nil, err
	}
	fd, err := d.acquire()
	if err != nil {
		return nil, err
	}
	var st unix.Statx_t
	n, err := d.lookup(fd, name, &st)
	d.slot.put()
	if err != nil {
		return nil, err
	}
	return n.self, nil
}

// lookup finds name by d's descriptor, and leaves its attributes in st.
func (d *dir) lookup(fd int, name string, st *unix.Statx_t) (*node, error) {
	for {
		moves := d.fs.moves.Load()
		if err := statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, st); err != nil {
			return nil, err
		}
		n, err := d.nodeOf(name, st)
		if err != nil {
			return nil, err
		}
		if p := n.place.Load(); p != nil && p.dir == d && p.name == name || n.foundAt(d, name, moves) {
			return n, nil
		}
	}
}

// nodeOf returns the node of what st describes, found as name in d; ENOENT for a
// hidden file.
func (d *dir) nodeOf(name string, st *unix.Statx_t) (*node, error) {
	var below *hidden
	veiled := false
	if d.fs.veils != nil {
		below = d.covers(name)
		if veiled = below != nil && below.leaf || d.fs.veils.has(st); veiled && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return nil, syscall.ENOENT
		}
	}
	n := d.fs.table.intern(d.fs, place{d, name}, st, veiled)
	if below != nil && !veiled {
		if sub, ok := n.self.(*dir); ok {
			sub.hide.CompareAndSwap(nil, below)
		}
	}
	return n, nil
}

// foundAt notes that n was found as name in d when moves renames had been done,
// and is false if there were more since, so that d and name may be old.
func (n *node) foundAt(d *dir, name string, moves uint64) bool {
	if n == &n.fs.root.node {
		return true // a bind mount of the root within itself
	}
	if old := n.place.Load(); n.kind == unix.S_IFDIR && old != nil {
		// A host's bind mounts show a directory in two places. Keep to the first,
		// lest two of them become each other's parents.
		var st unix.Statx_t
		if old.call(func(fd int, name string) error {
			return statx(fd, name, unix.AT_SYMLINK_NOFOLLOW, &st)
		}) == nil && n.is(&st) {
			return true
		}
	}
	n.fs.names.RLock()
	defer n.fs.names.RUnlock()
	if n.fs.moves.Load() != moves {
		return false
	}
	n.place.Store(&place{d, strings.Clone(name)})
	return true
}

// single is EINVAL for what is not the name of one component. POSIX never asks
// for such; confinement rests on it.
func single(name string) error {
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, '/') >= 0 || strings.IndexByte(name, 0) >= 0 {
		return syscall.EINVAL
	}
	return nil
}

// Readlink returns the text of the link.
func (l *symlink) Readlink(ctx context.Context) (string, error) {
	var text string
	err := l.at(func(dirfd int, name string) error {
		var short [256]byte
		for buf := short[:]; ; buf = make([]byte, 4*len(buf)) {
			n, err := unix.Readlinkat(dirfd, name, buf)
			switch {
			case err == unix.EINTR:
			case err == unix.EINVAL:
				return syscall.ESTALE // no link any more
			case err != nil:
				return err
			case n < len(buf):
				text = string(buf[:n])
				return nil
			}
		}
	})
	return text, err
}
