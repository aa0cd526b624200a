package guard

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// GetLock asks for a lock in the way.
func (n lockNode) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	return n.g.getLock(ctx, n.n, l)
}

// SetLock sets or removes a lock. One that comes too late is taken back.
func (n lockNode) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	return n.g.setLock(ctx, n.n, l, wait)
}

// GetLock asks for a lock in the way.
func (d lockDir) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	return d.g.getLock(ctx, d.n, l)
}

// SetLock sets or removes a lock. One that comes too late is taken back.
func (d lockDir) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	return d.g.setLock(ctx, d.n, l, wait)
}

// GetLock asks for a lock in the way, by the file or by its node.
func (f *file) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	if k := f.locker(); k != nil {
		return f.g.getLock(ctx, k, l)
	}
	return l, syscall.ENOSYS
}

// SetLock sets or removes a lock, by the file or by its node. One that comes too
// late is taken back.
func (f *file) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	if k := f.locker(); k != nil {
		return f.g.setLock(ctx, k, l, wait)
	}
	return syscall.ENOSYS
}

func (f *file) locker() any {
	if _, ok := f.f.(vfs.Locker); ok {
		return f.f
	}
	if n := f.f.Node(); n != nil {
		if _, ok := n.(vfs.Locker); ok {
			return n
		}
	}
	return nil
}

func (g *Guard) getLock(ctx context.Context, n any, l vfs.Lock) (vfs.Lock, error) {
	return perform(ctx, g, nil, "getlock", "", func(ctx context.Context) (vfs.Lock, error) {
		return n.(vfs.Locker).GetLock(ctx, l)
	}, nil)
}

// lockOwner is whose locks are one thing: what one of its calls sets, another
// one of its calls changes.
type lockOwner struct {
	n     any // node or file
	owner uint64
	flock bool
}

// ownerLocks is what an owner did while calls of its were in the server, which
// may come back late.
type ownerLocks struct {
	calls  int
	since  []vfs.Lock // set or removed, by calls that came back
	undone int        // how often a late lock was taken back
}

type lockOp struct {
	n    any
	l    vfs.Lock
	wait bool
}

func (o *lockOp) key() lockOwner { return lockOwner{o.n, o.l.Owner, o.l.Flock} }

func (o *lockOp) do(ctx context.Context) error { return o.n.(vfs.Locker).SetLock(ctx, o.l, o.wait) }

func (o *lockOp) about() (string, string) { return "setlock", "" }

// late takes the lock back. The owner may have set locks meanwhile that this
// one lies over: those are set once more, if nobody was faster. Calls that are
// under way see by undone that theirs may have gone, too.
func (o *lockOp) late(g *Guard) {
	if o.l.Type == syscall.F_UNLCK {
		return
	}
	keeper := o.n.(vfs.Locker)
	undo := o.l
	undo.Type = syscall.F_UNLCK
	_ = keeper.SetLock(context.Background(), undo, false)
	g.mu.Lock()
	r := g.locks[o.key()]
	r.undone++
	since := append([]vfs.Lock(nil), r.since...)
	g.mu.Unlock()
	for _, l := range since {
		if l.Type != syscall.F_UNLCK && l.Start <= o.l.End && o.l.Start <= l.End {
			_ = keeper.SetLock(context.Background(), l, false)
		}
	}
}

// lockBegins notes that the owner has another call under way. It returns how
// often locks of the owner were taken back before.
func (g *Guard) lockBegins(o *lockOp) (undone int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.locks[o.key()]
	if r == nil {
		r = &ownerLocks{}
		g.locks[o.key()] = r
	}
	r.calls++
	return r.undone
}

// lockEnds is called when the server has answered. mu is held.
func (g *Guard) lockEnds(o *lockOp) *ownerLocks {
	r := g.locks[o.key()]
	if r.calls--; r.calls == 0 {
		delete(g.locks, o.key())
	}
	return r
}

func (g *Guard) setLock(ctx context.Context, n any, l vfs.Lock, wait bool) error {
	for {
		again, err := g.setLockOnce(ctx, &lockOp{n, l, wait})
		if !again {
			return err
		}
	}
}

func (g *Guard) setLockOnce(ctx context.Context, o *lockOp) (again bool, err error) {
	undone := g.lockBegins(o)
	s := g.begin(ctx)
	err = s.call(ctx, o, nil)
	if err == errAbandoned {
		return false, err // its end is noted when it comes
	}
	if err == nil {
		s.end()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.lockEnds(o)
	if err != nil || r.calls == 0 && r.undone == undone {
		return false, err
	}
	r.note(o.l)
	return r.undone != undone && o.l.Type != syscall.F_UNLCK, nil
}

// note remembers what the owner did last to each range: of two calls for the
// same one only the second counts, so that a lock set again and again needs no
// more memory.
func (r *ownerLocks) note(l vfs.Lock) {
	kept := r.since[:0]
	for _, old := range r.since {
		if old.Start < l.Start || old.End > l.End {
			kept = append(kept, old)
		}
	}
	r.since = append(kept, l)
}
