package remote

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// lastOwner numbers owners of locks beyond those that clients and a POSIX server
// in this process count: two clients' owners must not be taken for one.
var lastOwner atomic.Uint64

const firstOwner = 1 << 62

// ownerTable is which locks a client may hold.
type ownerTable struct {
	mu     sync.Mutex // a leaf
	owners map[uint64]*owner
}

// lockKinds are the kinds of locks that an owner may hold of a node.
type lockKinds uint8

const (
	rangeLocks lockKinds = 1 << iota
	flockLock
)

func kindOf(l *vfs.Lock) lockKinds {
	if l.Flock {
		return flockLock
	}
	return rangeLocks
}

type owner struct {
	id    uint64
	users int // requests under way
	nodes map[vfs.Node]lockKinds
}

// use returns the owner that a client's number stands for.
func (t *ownerTable) use(number uint64) *owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.owners[number]
	if o == nil {
		o = &owner{id: firstOwner + lastOwner.Add(1), nodes: map[vfs.Node]lockKinds{}}
		if t.owners == nil {
			t.owners = map[uint64]*owner{}
		}
		t.owners[number] = o
	}
	o.users++
	return o
}

// done ends a use, after which o may hold locks of n of the kinds locked, and none
// of the kinds unlocked.
func (t *ownerTable) done(number uint64, o *owner, n vfs.Node, locked, unlocked lockKinds) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if locked != 0 {
		o.nodes[n] |= locked
	}
	if unlocked != 0 && o.users == 1 {
		if o.nodes[n] &^= unlocked; o.nodes[n] == 0 {
			delete(o.nodes, n)
		}
	}
	if o.users--; o.users == 0 && len(o.nodes) == 0 {
		delete(t.owners, number)
	}
}

// end releases all locks of a client that has gone.
func (t *ownerTable) end(c *conn) {
	t.mu.Lock()
	all := t.owners
	t.owners = nil
	t.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrCallerDied)
	defer cancel()
	for _, o := range all {
		for n, kinds := range o.nodes {
			for _, flock := range []bool{false, true} {
				l := vfs.Lock{Type: unix.F_UNLCK, Flock: flock, Owner: o.id, End: math.MaxInt64}
				if kinds&kindOf(&l) == 0 {
					continue
				}
				if err := n.(vfs.Locker).SetLock(ctx, l, false); err != nil && c.opts.Log != nil {
					c.opts.Log("a lock of a client that has gone could not be released: %v", err)
				}
			}
		}
	}
}

func (c *conn) locker(req *wire.LockRequest) (vfs.Node, vfs.Locker, error) {
	n, err := c.node(req.Node)
	if err != nil {
		return nil, nil, err
	}
	l, ok := n.(vfs.Locker)
	if !ok {
		return nil, nil, c.broken("node %d has no locks", req.Node)
	}
	return n, l, nil
}

// GetLock tells of the lock in the way. An owner of another client has a number
// that means nothing to this one.
func (c *conn) GetLock(ctx context.Context, req *wire.LockRequest, rep *wire.LockReply, _ *lane.Request) error {
	n, k, err := c.locker(req)
	if err != nil {
		return err
	}
	o := c.locks.use(req.Owner)
	defer c.locks.done(req.Owner, o, n, 0, 0)
	l, err := k.GetLock(ctx, lockOf(req, o))
	*rep = wire.LockReply{Type: l.Type, Flock: l.Flock, Owner: l.Owner, PID: l.PID, Start: l.Start, End: l.End}
	return err
}

func lockOf(req *wire.LockRequest, o *owner) vfs.Lock {
	return vfs.Lock{Type: req.Type, Flock: req.Flock, Owner: o.id, PID: req.PID, Start: req.Start, End: req.End}
}

// SetLock sets or removes a lock. One whose request was abandoned is released:
// nobody knows of it.
func (c *conn) SetLock(ctx context.Context, req *wire.LockRequest, _ *wire.Empty, r *lane.Request) error {
	n, k, err := c.locker(req)
	if err != nil {
		return err
	}
	o := c.locks.use(req.Owner)
	l, number := lockOf(req, o), req.Owner
	err = k.SetLock(ctx, l, req.Wait)
	set := err == nil && l.Type != unix.F_UNLCK
	switch {
	case set:
		c.locks.done(number, o, n, kindOf(&l), 0)
	case err == nil && (l.Flock || l.Start <= 0 && l.End == math.MaxInt64):
		c.locks.done(number, o, n, 0, kindOf(&l))
	default:
		c.locks.done(number, o, n, 0, 0)
	}
	if set {
		r.OnUndelivered(func() {
			l.Type = unix.F_UNLCK
			undo, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrCallerDied)
			defer cancel()
			if err := k.SetLock(undo, l, false); err != nil && c.opts.Log != nil {
				c.opts.Log("a lock that nobody knows of could not be released: %v", err)
			}
		})
	}
	return err
}
