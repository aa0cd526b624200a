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

func (g *Guard) getLock(ctx context.Context, n vfs.Node, l vfs.Lock) (vfs.Lock, error) {
	return perform(ctx, g, nil, "getlock", "", func(ctx context.Context) (vfs.Lock, error) {
		return n.(vfs.Locker).GetLock(ctx, l)
	}, nil)
}

// lockOwner is whose locks are one thing: what one of its calls sets, another
// one of its calls changes.
type lockOwner struct {
	n     vfs.Node
	owner uint64
	flock bool
}

// lateLock is what an owner asked for after a lock call of its was abandoned.
type lateLock struct {
	calls int        // abandoned ones
	since []vfs.Lock // set or removed meanwhile
}

type lockOp struct {
	n    vfs.Node
	l    vfs.Lock
	wait bool
}

func (o *lockOp) key() lockOwner { return lockOwner{o.n, o.l.Owner, o.l.Flock} }

func (o *lockOp) do(ctx context.Context) error { return o.n.(vfs.Locker).SetLock(ctx, o.l, o.wait) }

func (o *lockOp) about() (string, string) { return "setlock", "" }

// late takes the lock back. The owner may have set locks meanwhile that this
// one lies over: those are set once more, if nobody was faster.
func (o *lockOp) late(g *Guard) {
	g.mu.Lock()
	since := append([]vfs.Lock(nil), g.lateLocks[o.key()].since...)
	g.mu.Unlock()
	if o.l.Type != syscall.F_UNLCK {
		undo := o.l
		undo.Type = syscall.F_UNLCK
		_ = o.n.(vfs.Locker).SetLock(context.Background(), undo, false)
	}
	for _, l := range since {
		if l.Type != syscall.F_UNLCK && l.Start <= o.l.End && o.l.Start <= l.End {
			_ = o.n.(vfs.Locker).SetLock(context.Background(), l, false)
		}
	}
}

// lockSettled is called when an abandoned lock call has been answered. mu is
// held.
func (g *Guard) lockSettled(o *lockOp) {
	if r := g.lateLocks[o.key()]; r != nil {
		if r.calls--; r.calls == 0 {
			delete(g.lateLocks, o.key())
		}
	}
}

// lockLost is called when a lock call is abandoned. mu is held.
func (g *Guard) lockLost(o *lockOp) {
	r := g.lateLocks[o.key()]
	if r == nil {
		r = &lateLock{}
		g.lateLocks[o.key()] = r
	}
	r.calls++
}

func (g *Guard) setLock(ctx context.Context, n vfs.Node, l vfs.Lock, wait bool) error {
	o := &lockOp{n, l, wait}
	s := g.begin(ctx)
	if err := s.call(ctx, o, nil); err != nil {
		return err
	}
	s.end()
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.lateLocks[o.key()]; r != nil {
		r.note(l)
	}
	return nil
}

// note remembers what the owner did last to each range: of two calls for the
// same one only the second counts, so that a lock set again and again needs no
// more memory.
func (r *lateLock) note(l vfs.Lock) {
	kept := r.since[:0]
	for _, old := range r.since {
		if old.Start < l.Start || old.End > l.End {
			kept = append(kept, old)
		}
	}
	r.since = append(kept, l)
}
