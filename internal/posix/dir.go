package posix

import (
	"errors"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func sysGetdents(t *Task, a *Args) (uint64, error)   { return t.getdents(a, abi.AppendDirent) }
func sysGetdents64(t *Task, a *Args) (uint64, error) { return t.getdents(a, abi.AppendDirent64) }

// Cookies in an offset: those of a server are from 3 to the largest int64, and
// those of names that only mounts show come after all of them.
const (
	cookieDot    = 1
	cookieDotDot = 2
	cookieMounts = 1 << 63
)

type appendDirent func(buf []byte, limit int, ino, next uint64, mode uint32, name string) ([]byte, bool)

// dirLister fills a buffer with entries.
type dirLister struct {
	t      *Task
	d      *Description
	dir    *dentry
	add    appendDirent
	buf    []byte
	limit  int
	cookie uint64
}

var errFull = errors.New("no room for another entry")

func (t *Task) getdents(a *Args, add appendDirent) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	r, ok := d.file.(vfs.DirReader)
	if !ok {
		return 0, syscall.ENOTDIR
	}
	if d.path.Deleted() {
		return 0, syscall.ENOENT
	}
	if err := d.offset.lock(t); err != nil {
		return 0, err
	}
	defer d.offset.unlock()
	limit := int(min(a.Uint(2), 64<<10))
	l := dirLister{t: t, d: d, dir: d.path.d, add: add, buf: t.buffer(limit)[:0], limit: limit, cookie: uint64(d.off)}
	err = l.list(r)
	switch {
	case err == errFull && len(l.buf) == 0:
		return 0, syscall.EINVAL
	case err != nil && len(l.buf) == 0:
		return 0, err
	}
	if err := t.copyOut(a[1], l.buf); err != nil {
		return 0, err
	}
	d.off = int64(l.cookie)
	t.accessed(d.path)
	return uint64(len(l.buf)), nil
}

// put adds an entry, after which reading goes on at next.
func (l *dirLister) put(name string, ino uint64, mode uint32, next uint64) error {
	var ok bool
	if l.buf, ok = l.add(l.buf, l.limit, ino, next, mode, name); !ok {
		return errFull
	}
	l.cookie = next
	return nil
}

func (l *dirLister) list(r vfs.DirReader) error {
	ctx := l.t.context()
	if l.cookie == 0 {
		if err := l.dots(l.dir, ".", cookieDot); err != nil {
			return err
		}
	}
	if l.cookie == cookieDot {
		up := l.dir
		if p := l.dir.place.Load().parent; p != nil && !l.dir.same(l.t.fs.root.Load()) {
			up = p
		}
		if err := l.dots(up, "..", cookieDotDot); err != nil {
			return err
		}
	}
	for l.cookie < cookieMounts {
		from := l.cookie
		if from == cookieDotDot {
			from = 0
		}
		list, err := r.ReadDir(ctx, from, max(1, (l.limit-len(l.buf))/24))
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for i := range list {
			e := &list[i]
			if err := l.put(e.Name, e.Ino, e.Type, e.Next); err != nil {
				return err
			}
		}
	}
	return l.mounts()
}

func (l *dirLister) dots(d *dentry, name string, next uint64) error {
	a, err := d.node.Stat(l.t.context())
	if err != nil {
		return err
	}
	return l.put(name, a.Ino, unix.S_IFDIR, next)
}

// mounts adds the names that the server does not have.
func (l *dirLister) mounts() error {
	o := l.dir.over.Load()
	if o == nil {
		return nil
	}
	for i, name := range o.names() {
		next := cookieMounts + uint64(i) + 1
		if next <= l.cookie {
			continue
		}
		if _, err := l.dir.dir.Lookup(l.t.context(), name); errnoOf(err) != syscall.ENOENT {
			continue
		}
		n := vfs.Node(o.child(name).node)
		if m := o.child(name).mount.Load(); m != nil {
			n = m.root.node
		}
		a, err := n.Stat(l.t.context())
		if err != nil {
			continue
		}
		if err := l.put(name, a.Ino, a.Type(), next); err != nil {
			return err
		}
	}
	return nil
}
