package posix

import (
	"strings"
	"syscall"
)

// move is mount(2)'s MS_MOVE: a mount, with those below it, gets another place.
func (t *Task) move(from, to *located) error {
	m := from.mount()
	if from.d == nil || from.d != m.root || m.parent == nil {
		return syscall.EINVAL
	}
	if m.fixed || m.detached.Load() {
		return syscall.EINVAL // locked, as what a user namespace was given
	}
	if (from.d.dir != nil) != (to.d != nil && to.d.dir != nil) {
		return syscall.EINVAL
	}
	if to.mount().below(m) {
		return syscall.ELOOP
	}
	at, err := t.mountPoint(to)
	if err != nil {
		return err
	}
	parent, name := to.parent, to.name
	if to.d != nil {
		p := to.d.place.Load()
		parent, name = p.parent, p.name
	}
	return t.k.mounts.move(m, at, parent, name)
}

// move hangs m at a place that is the name in parent.
func (t *mountTable) move(m *mount, at string, parent *dentry, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.detached.Load() {
		return syscall.EINVAL
	}
	for _, c := range t.list {
		if c.covers == m {
			return syscall.EINVAL // another lies on it, and would have no place
		}
	}
	was := m.place()
	t.unhang(m)
	m.covers = nil
	for _, c := range t.list {
		if c != m && c.below(m) {
			c.setPlace(at + strings.TrimPrefix(c.place(), was))
		}
	}
	m.setPlace(at)
	t.hang(m)
	m.root.place.Store(&place{parent: parent, name: strings.Clone(name)})
	return nil
}
