package posix

import (
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// sysUmount is umount2(2).
func sysUmount(t *Task, a *Args) (uint64, error) {
	const known = unix.MNT_FORCE | unix.MNT_DETACH | unix.MNT_EXPIRE | unix.UMOUNT_NOFOLLOW
	flags := a.Int(1)
	if flags&^known != 0 {
		return 0, syscall.EINVAL
	}
	follow := 0
	if flags&unix.UMOUNT_NOFOLLOW != 0 {
		follow = unix.AT_SYMLINK_NOFOLLOW
	}
	l, err := t.lookupArg(unix.AT_FDCWD, a[0], follow)
	if err != nil {
		return 0, err
	}
	if !t.capable(unix.CAP_SYS_ADMIN) {
		return 0, syscall.EPERM
	}
	m := l.mount()
	switch {
	case l.d == nil || l.d != m.root:
		return 0, syscall.EINVAL // no mount's root
	case flags&unix.MNT_EXPIRE != 0 && flags&(unix.MNT_FORCE|unix.MNT_DETACH) != 0:
		return 0, syscall.EINVAL
	case m.fixed:
		return 0, syscall.EPERM
	case flags&unix.MNT_EXPIRE != 0 && !m.expiring.Swap(true):
		return 0, syscall.EAGAIN
	}
	return 0, t.k.unmount(m, flags)
}

// unmount takes a mount away. It is EBUSY while something of it is used, unless
// MNT_DETACH lets that go on without a place in the tree.
func (k *Kernel) unmount(m *mount, flags int) error {
	if u, ok := m.fs.(vfs.Unmounter); ok && flags&unix.MNT_FORCE != 0 {
		u.Unmount(true)
	}
	t := k.mounts
	t.mu.Lock()
	if m.detached.Load() {
		t.mu.Unlock()
		return syscall.EINVAL
	}
	gone := []*mount{m}
	for _, c := range t.list {
		if c.below(m) && c != m {
			gone = append(gone, c)
		}
	}
	if flags&unix.MNT_DETACH == 0 && (len(gone) > 1 || m.opens.Load() != 0 || k.inUse(m)) {
		t.mu.Unlock()
		return syscall.EBUSY
	}
	for _, c := range slices.Backward(gone) {
		t.detach(c)
	}
	t.mu.Unlock()
	for _, c := range slices.Backward(gone) {
		if c.opens.Load() == 0 {
			c.end()
		}
	}
	return nil
}

// below reports whether m is top or mounted below it.
func (m *mount) below(top *mount) bool {
	for ; m != nil; m = m.parent {
		if m == top {
			return true
		}
	}
	return false
}

// inUse reports whether somebody's working or root directory is in m.
func (k *Kernel) inUse(m *mount) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.tasks {
		if fs := t.fs; fs != nil && (fs.cwd.Load().mount == m || fs.root.Load().mount == m) {
			return true
		}
	}
	return false
}

// detach takes m out of the tree. t.mu is held.
func (t *mountTable) detach(m *mount) {
	m.detached.Store(true)
	t.list = slices.DeleteFunc(t.list, func(x *mount) bool { return x == m })
	t.unhang(m)
}

// unhang takes m from its place in the tree. t.mu is held.
func (t *mountTable) unhang(m *mount) {
	names := strings.Split(m.place()[1:], "/")
	// The way down, as add has gone it.
	o, d := t.root.mount.over, t.root
	type step struct {
		o *overlay
		d *dentry
	}
	way := []step{{o, d}}
	for i, name := range names {
		if o = o.child(name); o == nil {
			return
		}
		if d != nil {
			d = d.known(name)
		}
		way = append(way, step{o, d})
		if below := o.mount.Load(); below != nil && i < len(names)-1 {
			o, d = below.over, below.root
			way = append(way, step{o, d})
		}
	}
	if !o.mount.CompareAndSwap(m, m.covers) {
		for up := o.mount.Load(); up != nil; up = up.covers {
			if up.covers == m {
				up.covers = m.covers
			}
		}
		return
	}
	// Names that lead to no mount any more are the server's again.
	for i := len(way) - 1; i > 0; i-- {
		o := way[i].o
		if o.mount.Load() != nil || len(o.names()) > 0 {
			return
		}
		if up := way[i-1].o; up.drop(o) {
			if d := way[i].d; d != nil {
				d.over.CompareAndSwap(o, nil)
			}
		} else {
			return
		}
	}
}

// drop removes a child. mountTable.mu is held.
func (o *overlay) drop(c *overlay) bool {
	old := o.sub.Load()
	if old == nil {
		return false
	}
	m := map[string]*overlay{}
	for name, x := range *old {
		if x != c {
			m[name] = x
		}
	}
	if len(m) == len(*old) {
		return false
	}
	if len(m) == 0 {
		o.sub.Store(nil)
	} else {
		o.sub.Store(&m)
	}
	return true
}

// closed: an open file of m is closed.
func (m *mount) closed() {
	if m.opens.Add(-1) == 0 && m.detached.Load() {
		m.end()
	}
}

// end tells the server that its last mount is gone and nothing of it is open.
func (m *mount) end() {
	m.ended.Do(func() {
		t := m.table
		t.mu.Lock()
		t.uses[m.fs]--
		last := t.uses[m.fs] == 0
		if last {
			delete(t.uses, m.fs)
		}
		t.mu.Unlock()
		if u, ok := m.fs.(vfs.Unmounter); ok && last {
			u.Unmount(false)
		}
	})
}
