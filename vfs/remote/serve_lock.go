package remote

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// ownerTable is which locks a client may hold.
type ownerTable struct {
	seed   maphash.Seed
	mu     sync.Mutex // a leaf; guards the owners, too
	owners map[uint64]*owner
}

// id is the owner that a client's number stands for: for as long as the lane, and
// never that of another client, nor one that a POSIX server in this process counts.
func (t *ownerTable) id(number uint64) uint64 {
	return maphash.Comparable(t.seed, number) | 1<<63
}

type owner struct {
	id    uint64
	users int // requests under way
	locks map[lockKey]*ownerLocks
}

// lockKey is where the locks of an owner are one thing: what one call sets,
// another changes.
type lockKey struct {
	k     vfs.Locker
	flock bool
}

// ownerLocks is what an owner has done there.
type ownerLocks struct {
	users  int
	seq    int
	log    []loggedLock // in order; of two for one range the later
	undone int          // how often a late lock was taken back
}

type loggedLock struct {
	seq int
	l   vfs.Lock
}

// note remembers what was done last to each range.
func (o *ownerLocks) note(l vfs.Lock) {
	o.seq++
	kept := o.log[:0]
	for _, old := range o.log {
		if old.l.Start < l.Start || old.l.End > l.End {
			kept = append(kept, old)
		}
	}
	o.log = append(kept, loggedLock{o.seq, l})
}

// since returns what was done after seq.
func (o *ownerLocks) since(seq int) (list []vfs.Lock) {
	for _, x := range o.log {
		if x.seq > seq {
			list = append(list, x.l)
		}
	}
	return list
}

func (o *ownerLocks) held() bool {
	for _, x := range o.log {
		if x.l.Type != unix.F_UNLCK {
			return true
		}
	}
	return false
}

// begin notes a request of the owner that a client's number stands for.
func (t *ownerTable) begin(number uint64, key lockKey) (o *owner, seq, undone int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o = t.owners[number]; o == nil {
		o = &owner{id: t.id(number), locks: map[lockKey]*ownerLocks{}}
		if t.owners == nil {
			t.owners = map[uint64]*owner{}
		}
		t.owners[number] = o
	}
	o.users++
	x := o.locks[key]
	if x == nil {
		x = &ownerLocks{}
		o.locks[key] = x
	}
	x.users++
	return o, x.seq, x.undone
}

// end notes that it has ended, with l set or removed if that is not nil. It
// returns what came between, and how often locks were taken back so far.
func (t *ownerTable) end(number uint64, o *owner, key lockKey, seq int, l *vfs.Lock) (between []vfs.Lock, undone int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := o.locks[key]
	between, undone = x.since(seq), x.undone
	if l != nil {
		x.note(*l)
	}
	x.users--
	o.users--
	if x.users == 0 && !x.held() {
		delete(o.locks, key)
	}
	if o.users == 0 && len(o.locks) == 0 {
		delete(t.owners, number)
	}
	return between, undone
}

// undo takes a lock back that nobody knows of. The owner may have set locks
// meanwhile that this one lies over: those are set once more, if nobody was faster.
// Requests under way see by undone that theirs may have gone, too.
func (c *conn) undo(number uint64, key lockKey, l vfs.Lock, between []vfs.Lock) {
	ctx := context.Background() // nobody waits, and it must go
	alive := c.begin()          // then the client's end waits for this
	if alive {
		defer c.work.Done()
	}
	o, seq, _ := c.locks.begin(number, key)
	free := l
	free.Type = unix.F_UNLCK
	err := key.k.SetLock(ctx, free, false)
	c.locks.mu.Lock()
	x := o.locks[key]
	x.undone++
	again := append(between, x.since(seq)...)
	x.note(free)
	again = slices.DeleteFunc(again, func(l2 vfs.Lock) bool { return !alive || l2.Start > l.End || l.Start > l2.End })
	for _, l2 := range again {
		x.note(l2)
	}
	c.locks.mu.Unlock()
	for _, l2 := range again {
		if l2.Type != unix.F_UNLCK {
			_ = key.k.SetLock(ctx, l2, false)
		}
	}
	if err != nil && c.opts.Log != nil {
		c.opts.Log("a lock that nobody knows of could not be released: %v", err)
	}
	c.locks.end(number, o, key, seq, nil)
}

// release gives up all locks of a client that has gone.
func (t *ownerTable) release(c *conn) {
	t.mu.Lock()
	all := t.owners
	t.owners = nil
	t.mu.Unlock()
	ctx := context.Background() // it must go, however long that takes
	for _, o := range all {
		for key, x := range o.locks {
			if !x.held() {
				continue
			}
			l := vfs.Lock{Type: unix.F_UNLCK, Flock: key.flock, Owner: o.id, End: math.MaxInt64}
			err := key.k.SetLock(ctx, l, false)
			if err != nil && err != syscall.EBADF && c.opts.Log != nil { // those of a file end with it
				c.opts.Log("a lock of a client that has gone could not be released: %v", err)
			}
		}
	}
}

// locker returns what keeps the locks that a request is about: the open file, if
// it says one, or the node. done ends its use.
func (c *conn) locker(req *wire.LockRequest) (k vfs.Locker, done func(), err error) {
	if req.File != 0 {
		f, err := c.file(req.File)
		if err != nil {
			return nil, nil, err
		}
		k, ok := f.file.(vfs.Locker)
		if req.Shared {
			var s vfs.LockSharer
			if s, ok = f.file.(vfs.LockSharer); ok {
				k = s.SharedLocks()
			}
			ok = k != nil
		}
		if !ok {
			c.files.put(f)
			return nil, nil, c.broken("file %d has no locks", req.File)
		}
		return k, func() { c.files.put(f) }, nil
	}
	n, err := c.node(req.Node)
	if err != nil {
		return nil, nil, err
	}
	k, ok := n.(vfs.Locker)
	if !ok {
		return nil, nil, c.broken("node %d has no locks", req.Node)
	}
	return k, func() {}, nil
}

// GetLock tells of the lock in the way. An owner of another client has a number
// that means nothing to this one.
func (c *conn) GetLock(ctx context.Context, req *wire.LockRequest, rep *wire.LockReply, _ *lane.Request) error {
	k, done, err := c.locker(req)
	if err != nil {
		return err
	}
	defer done()
	key := lockKey{k, req.Flock}
	o, seq, _ := c.locks.begin(req.Owner, key)
	defer c.locks.end(req.Owner, o, key, seq, nil)
	l, err := k.GetLock(ctx, lockOf(req, o))
	*rep = wire.LockReply{Type: l.Type, Flock: l.Flock, Owner: l.Owner, PID: l.PID, Start: l.Start, End: l.End}
	return err
}

func lockOf(req *wire.LockRequest, o *owner) vfs.Lock {
	return vfs.Lock{Type: req.Type, Flock: req.Flock, Owner: o.id, PID: req.PID, Start: req.Start, End: req.End}
}

// SetLock sets or removes a lock. One whose request was abandoned is taken back.
func (c *conn) SetLock(ctx context.Context, req *wire.LockRequest, _ *wire.Empty, r *lane.Request) error {
	k, done, err := c.locker(req)
	if err != nil {
		return err
	}
	defer done()
	number, key := req.Owner, lockKey{k, req.Flock}
	for {
		o, seq, before := c.locks.begin(number, key)
		l := lockOf(req, o)
		err := k.SetLock(ctx, l, req.Wait)
		if err != nil {
			c.locks.end(number, o, key, seq, nil)
			return err
		}
		between, undone := c.locks.end(number, o, key, seq, &l)
		if l.Type == unix.F_UNLCK {
			return nil
		}
		if undone == before {
			r.OnUndelivered(func() { c.undo(number, key, l, between) })
			return nil
		}
	}
}
