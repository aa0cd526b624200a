package overlay

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// move is a rename: from d, called name, to t, called toName.
type move struct {
	d, t         *dir
	name, toName string
	exchange     bool
	noReplace    bool

	from, over vfs.Node // over may be nil
}

// Rename moves a name. A lower file is copied up for it; of a lower directory
// only the directory itself is: the overlay knows that what is in it stays
// where it was.
func (d *dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := to.(*dir)
	if !ok || t.fs != d.fs {
		return syscall.EXDEV
	}
	const both = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
	if flags&^both != 0 || flags == both {
		return syscall.EINVAL
	}
	m := &move{d: d, t: t, name: name, toName: toName,
		exchange: flags == unix.RENAME_EXCHANGE, noReplace: flags == unix.RENAME_NOREPLACE}
	for {
		// What takes long is done without a lock: if the names lead elsewhere
		// afterwards, again.
		if same, err := m.prepare(ctx); same || err != nil {
			return err
		}
		if done, err := m.do(ctx); done || err != nil {
			return err
		}
	}
}

// prepare finds the nodes, and brings them up.
func (m *move) prepare(ctx context.Context) (same bool, err error) {
	if m.from, err = m.d.Lookup(ctx, m.name); err != nil {
		return false, err
	}
	if m.over, err = m.t.Lookup(ctx, m.toName); err != nil && !is(err, syscall.ENOENT) {
		return false, err
	}
	if same, err := m.check(); same || err != nil {
		return same, err
	}
	if err := m.d.raise(ctx); err != nil {
		return false, err
	}
	if err := m.t.raise(ctx); err != nil {
		return false, err
	}
	if err := bringUp(ctx, m.from); err != nil || !m.exchange {
		return false, err
	}
	return false, bringUp(ctx, m.over)
}

// check finds what forbids the move, but for contents of a directory; same says
// that both names are the same file's.
func (m *move) check() (same bool, err error) {
	over, overDir := m.over.(*dir)
	from, fromDir := m.from.(*dir)
	switch {
	case m.t.dead.Load():
		return false, syscall.ENOENT
	case m.over != nil && m.noReplace:
		return false, syscall.EEXIST
	case m.over == nil && m.exchange:
		return false, syscall.ENOENT
	case m.over == m.from:
		return true, nil
	case fromDir && m.t.below(from):
		return false, syscall.EINVAL
	case m.exchange && overDir && m.d.below(over):
		return false, syscall.EINVAL
	case m.over == nil || m.exchange:
		return false, nil
	case overDir && m.d.below(over):
		return false, syscall.ENOTEMPTY
	case fromDir && !overDir:
		return false, syscall.ENOTDIR
	case !fromDir && overDir:
		return false, syscall.EISDIR
	}
	return false, nil
}

// bringUp makes the upper file, wherever it will be called so.
func bringUp(ctx context.Context, n vfs.Node) error {
	if c, ok := n.(*dir); ok {
		return c.raise(ctx)
	}
	if f := fileOf(n); f != nil {
		return f.copyUp(ctx, true)
	}
	return nil
}

// do moves, unless the names have come to lead elsewhere.
func (m *move) do(ctx context.Context) (done bool, err error) {
	m.d.fs.renames.Lock()
	defer m.d.fs.renames.Unlock()
	unlock := lockBoth(m.d, m.t)
	defer unlock()
	if n, err := m.d.lookup(ctx, m.name); err != nil || n != m.from {
		return false, err
	}
	if n, err := m.t.lookup(ctx, m.toName); n != m.over || err != nil && !is(err, syscall.ENOENT) {
		return false, err
	}
	if same, err := m.check(); same || err != nil {
		return same, err
	}
	if c, ok := m.over.(*dir); ok && !m.exchange {
		c.mu.Lock()
		defer c.mu.Unlock()
		if err := c.vacated(ctx); err != nil {
			return false, err
		}
	}
	if err := m.d.named(ctx, m.name, m.from); err != nil {
		return false, err
	}
	flags := uint(0)
	if m.exchange {
		if err := m.t.named(ctx, m.toName, m.over); err != nil {
			return false, err
		}
		flags = unix.RENAME_EXCHANGE
	}
	if err := vfs.Rename(ctx, m.d.up, m.name, m.t.up, m.toName, flags); err != nil {
		return false, err
	}
	m.settle(ctx)
	return true, nil
}

// settle tells everybody of the move.
func (m *move) settle(ctx context.Context) {
	if m.exchange {
		m.t.lose(m.over)
		m.d.gain(m.over, m.name)
	} else {
		m.d.hide(ctx, m.name)
		if m.over != nil {
			m.t.lost(ctx, m.over)
		}
	}
	m.d.lose(m.from)
	m.t.gain(m.from, m.toName)
}

// lose and gain count a directory that moves.
func (d *dir) lose(n vfs.Node) {
	if _, ok := n.(*dir); ok {
		d.subs.Add(-1)
	}
}

func (d *dir) gain(n vfs.Node, name string) {
	name = strings.Clone(name)
	if c, ok := n.(*dir); ok {
		d.subs.Add(1)
		c.place.Store(&place{d, name})
	} else if f := fileOf(n); f != nil {
		f.place.Store(&place{d, name})
	}
}

// named makes sure that the upper directory has name: a copy of a file with
// several names has only those that were used since. mu is held.
func (d *dir) named(ctx context.Context, name string, n vfs.Node) error {
	f := fileOf(n)
	if f == nil {
		return nil
	}
	if _, err := d.up.Lookup(ctx, name); !is(err, syscall.ENOENT) {
		return err
	}
	return d.unseen(ctx, func() error { return vfs.Link(ctx, d.up, f.now(), name) })
}

// lockBoth locks two directories: a parent before what is below it, others by
// age. fs.renames is held, so that nobody's parent changes.
func lockBoth(a, b *dir) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if a.below(b) || !b.below(a) && a.number > b.number {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}
