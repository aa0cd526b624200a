package posix

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const maxLinks = 40

// walker finds the way along a path. It is used from one goroutine.
type walker struct {
	t     *Task
	ctx   context.Context
	creds *Creds
	root  *dentry // where "/" leads and ".." ends
	at    *dentry // where rest begins
	rest  string
	links int
	// resolve has openat2(2)'s RESOLVE_ bits.
	resolve uint64
}

// located is what a walk has found.
type located struct {
	node   vfs.Node
	d      *dentry // of a directory, and of what was not reached by a name
	parent *dentry // else where its name is
	name   string
	v      uint64 // parent's version before the look-up
}

// mount returns the mount by which it was found.
func (l *located) mount() *mount {
	if l.d != nil {
		return l.d.mount
	}
	return l.parent.mount
}

// path returns the place, for something that stays: an open file.
func (l *located) path(t *mountTable) Path {
	if l.d == nil {
		l.d = l.parent.opened(t, l.name, l.node, l.v)
	}
	return Path{l.d}
}

// walk begins a walk along a path that a system call has got.
func (t *Task) walk(dirfd int, path string, resolve uint64) (walker, error) {
	w := walker{t: t, ctx: t.context(), creds: t.creds.Load(), root: t.fs.root.Load(), rest: path, resolve: resolve}
	if path == "" {
		return w, syscall.ENOENT
	}
	scoped := resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0
	if path[0] == '/' && !scoped {
		w.at = w.root
		return w, nil
	}
	if path[0] == '/' && resolve&unix.RESOLVE_BENEATH != 0 {
		return w, syscall.EXDEV
	}
	if dirfd == unix.AT_FDCWD {
		w.at = t.fs.cwd.Load()
	} else {
		d, err := t.fds.getAny(dirfd)
		if err != nil {
			return w, err
		}
		w.at = d.path.d
		d.release()
		if w.at.dir == nil {
			return w, syscall.ENOTDIR
		}
	}
	if scoped {
		w.root = w.at
	}
	return w, nil
}

// toLast goes to the directory in which the last name is, w.at then, and
// returns the name, which may be "." or ".."; "" is w.at itself. slash tells
// that the path ends in one.
func (w *walker) toLast() (name string, slash bool, err error) {
	for {
		rest := w.rest
		for rest != "" && rest[0] == '/' {
			rest, slash = rest[1:], true
		}
		if rest == "" {
			w.rest = ""
			return "", slash, nil
		}
		if err := search(w.ctx, w.creds, w.at); err != nil {
			return "", false, err
		}
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			i = len(rest)
		}
		name, rest, slash = rest[:i], rest[i:], false
		if len(name) > abi.NameMax {
			return "", false, syscall.ENAMETOOLONG
		}
		for rest != "" && rest[0] == '/' {
			rest, slash = rest[1:], true
		}
		w.rest = rest
		if rest == "" {
			return name, slash, nil
		}
		switch name {
		case ".":
			continue
		case "..":
			if err := w.up(); err != nil {
				return "", false, err
			}
			continue
		}
		n, d, err := w.step(name)
		if err != nil {
			return "", false, err
		}
		if d != nil && d.dir != nil {
			w.at = d
			continue
		}
		link, ok := n.(vfs.Readlinker)
		if !ok {
			return "", false, syscall.ENOTDIR
		}
		if err := w.follow(link, true); err != nil {
			return "", false, err
		}
	}
}

// lookup finds what the path leads to. A symbolic link at its end is followed
// if follow is set or a slash comes after it.
func (w *walker) lookup(follow bool) (located, error) {
	for {
		name, slash, err := w.toLast()
		if err != nil {
			return located{}, err
		}
		l, err := w.last(name)
		if err != nil {
			return located{}, err
		}
		if link, ok := l.node.(vfs.Readlinker); ok && (follow || slash) && name != "" {
			if err := w.follow(link, slash); err != nil {
				return located{}, err
			}
			continue
		}
		if slash && (l.d == nil || l.d.dir == nil) {
			return located{}, syscall.ENOTDIR
		}
		return l, nil
	}
}

// last finds the last name of a path, as toLast returned it.
func (w *walker) last(name string) (located, error) {
	switch name {
	case "", ".":
		return located{node: w.at.node, d: w.at}, nil
	case "..":
		if err := w.up(); err != nil {
			return located{}, err
		}
		return located{node: w.at.node, d: w.at}, nil
	}
	v := w.at.version.Load()
	n, d, err := w.step(name)
	return located{node: n, d: d, parent: w.at, name: name, v: v}, err
}

// step looks name up in w.at: mounts first, then the server. The dentry is nil
// for what is not a directory.
func (w *walker) step(name string) (vfs.Node, *dentry, error) {
	d := w.at
	var o *overlay
	if over := d.over.Load(); over != nil {
		if o = over.child(name); o != nil {
			if m := o.mount.Load(); m != nil {
				if w.resolve&unix.RESOLVE_NO_XDEV != 0 {
					return nil, nil, syscall.EXDEV
				}
				m.root.attach(d, name)
				return m.root.node, m.root, nil
			}
		}
	}
	for {
		v := d.version.Load()
		n, err := d.dir.Lookup(w.ctx, name)
		if err != nil {
			if o == nil || errnoOf(err) != syscall.ENOENT {
				return nil, nil, err
			}
			n = o.node
		}
		if _, ok := n.(vfs.Dir); !ok {
			return n, nil, nil
		}
		if c := d.child(w.t.k.mounts, name, n, v); c != nil {
			return n, c, nil
		}
	}
}

// up goes to the parent directory.
func (w *walker) up() error {
	if w.at.same(w.root) {
		if w.resolve&unix.RESOLVE_BENEATH != 0 {
			return syscall.EXDEV
		}
		return nil
	}
	p := w.at.place.Load().parent
	if p == nil {
		return nil
	}
	if p.mount != w.at.mount && w.resolve&unix.RESOLVE_NO_XDEV != 0 {
		return syscall.EXDEV
	}
	w.at = p
	return nil
}

// follow puts a symbolic link in w.at in front of the rest of the path. slash
// says that one comes between them.
func (w *walker) follow(link vfs.Readlinker, slash bool) error {
	if w.links++; w.links > maxLinks || w.resolve&unix.RESOLVE_NO_SYMLINKS != 0 || w.at.mount.has(unix.MS_NOSYMFOLLOW) {
		return syscall.ELOOP
	}
	if j, ok := link.(vfs.Jumper); ok {
		return w.jump(j, slash)
	}
	target, err := link.Readlink(w.ctx)
	if err != nil {
		return err
	}
	if target == "" {
		return syscall.ENOENT
	}
	if target[0] == '/' {
		if w.resolve&unix.RESOLVE_BENEATH != 0 {
			return syscall.EXDEV
		}
		if w.at.mount != w.root.mount && w.resolve&unix.RESOLVE_NO_XDEV != 0 {
			return syscall.EXDEV
		}
		w.at = w.root
	}
	if slash {
		target += "/"
	}
	w.rest = target + w.rest
	return nil
}

// jump follows a magic link.
func (w *walker) jump(j vfs.Jumper, slash bool) error {
	if w.resolve&unix.RESOLVE_NO_MAGICLINKS != 0 {
		return syscall.ELOOP
	}
	to, err := j.Jump(w.ctx)
	if err != nil {
		return err
	}
	var p Path
	switch to := to.(type) {
	case Path:
		p = to
	case *Description:
		p = to.path
	}
	if p.d == nil {
		return syscall.ENOENT
	}
	if w.resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0 ||
		w.resolve&unix.RESOLVE_NO_XDEV != 0 && p.d.mount != w.at.mount {
		return syscall.EXDEV
	}
	w.at = p.d
	if slash && (w.rest == "" || w.rest[0] != '/') {
		w.rest = "/" + w.rest
	}
	return nil
}

// lookupAt finds a file as the calls with AT_ flags do: AT_SYMLINK_NOFOLLOW and
// AT_EMPTY_PATH count.
func (t *Task) lookupAt(dirfd int, path string, flags int) (located, error) {
	if path == "" && flags&unix.AT_EMPTY_PATH != 0 {
		return t.lookupFD(dirfd)
	}
	w, err := t.walk(dirfd, path, 0)
	if err != nil {
		return located{}, err
	}
	return w.lookup(flags&unix.AT_SYMLINK_NOFOLLOW == 0)
}

// lookupFD is what an empty path means.
func (t *Task) lookupFD(dirfd int) (located, error) {
	at := t.fs.cwd.Load()
	if dirfd != unix.AT_FDCWD {
		d, err := t.fds.getAny(dirfd)
		if err != nil {
			return located{}, err
		}
		at = d.path.d
		d.release()
	}
	return located{node: at.node, d: at}, nil
}

// lookupArg is lookupAt of a path in the guest's memory.
func (t *Task) lookupArg(dirfd int, addr uint64, flags int) (located, error) {
	path, err := t.copyInPath(addr)
	if err != nil {
		return located{}, err
	}
	return t.lookupAt(dirfd, path, flags)
}
