package remote

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// borrower is the host file behind an open file, if its server lends it. It is
// asked for with the first transfer.
type borrower struct {
	loan  atomic.Pointer[loan]
	mu    sync.Mutex // guards the rest
	asked *session   // where it was asked for
	over  bool       // closed
}

// loan is a host file that this process may use until it is recalled or the lane
// ends. Its last user closes it.
type loan struct {
	c     *session
	id    uint64
	o     *lane.File
	off   int64
	users atomic.Int32 // and one for the loan itself
	ended atomic.Bool

	recall func() // tells who was lent it on, if anybody was
}

// Lend asks the server for the object, to hand it on. With own false it is
// EOPNOTSUPP: it is used here already.
func (f *dataFile) Lend(ctx context.Context, own bool, recall func()) (vfs.Loan, error) {
	if f.bits&wire.FileLender == 0 || !own {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return vfs.Loan{}, err
	}
	c.loans.asking(1)
	defer c.loans.asking(-1)
	l, err := c.lend(ctx, id, true, f.IsStream())
	if err != nil {
		return vfs.Loan{}, err
	}
	l.recall = recall
	l.users.Add(1)
	if !c.loans.add(l) {
		l.end()
	}
	return vfs.Loan{FD: l.o.FD(), Offset: l.off, Return: sync.OnceFunc(func() {
		l.end()
		l.leave()
	})}, nil
}

// lend asks for a loan. It is the caller's to add, between calls of asking.
func (c *session) lend(ctx context.Context, id uint64, own, stream bool) (*loan, error) {
	var rep wire.LendReply
	var x lane.Extra
	if err := c.call.Lend(ctx, &wire.LendRequest{File: id, Own: own}, &rep, &x); err != nil {
		return nil, c.outcome(err)
	}
	o, _, err := c.object(x.Got, stream)
	if err != nil {
		return nil, err
	}
	if rep.Offset < 0 || rep.Loan == 0 {
		o.Close()
		return nil, c.broken("loan %d at %d", rep.Loan, rep.Offset)
	}
	l := &loan{c: c, id: rep.Loan, o: o, off: rep.Offset}
	l.users.Store(1)
	return l, nil
}

// enter adds a user, unless the loan has ended.
func (l *loan) enter() bool {
	for {
		n := l.users.Load()
		if n == 0 || l.c.lane.Err() != nil {
			return false
		}
		if l.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (l *loan) leave() {
	if l.users.Add(-1) == 0 {
		l.o.Close()
		l.c.loans.remove(l.id)
		l.c.settle.returned(l.id)
	}
}

// end lets nobody in any more.
func (l *loan) end() {
	if !l.ended.Swap(true) {
		if l.recall != nil {
			l.recall()
		}
		l.leave()
	}
}

// borrowed returns the loan of f's host file, entered, or nil.
func (f *dataFile) borrowed(ctx context.Context, c *session, id uint64) *loan {
	if f.bits&wire.FileLender == 0 {
		return nil
	}
	l := f.host.loan.Load()
	if l == nil || l.c != c {
		l = f.borrow(ctx, c, id)
	}
	if l == nil || !l.enter() {
		return nil
	}
	return l
}

// borrow asks for the host file, once on each lane. Whatever goes wrong, the server
// can still be asked for each transfer.
func (f *dataFile) borrow(ctx context.Context, c *session, id uint64) *loan {
	b := &f.host
	b.mu.Lock()
	if b.asked == c || b.over {
		b.mu.Unlock()
		return b.loan.Load()
	}
	b.asked = c
	old := b.loan.Swap(nil) // a dead server's
	b.mu.Unlock()
	if old != nil {
		old.end()
	}
	c.loans.asking(1)
	defer c.loans.asking(-1)
	l, err := c.lend(ctx, id, false, f.IsStream())
	if err != nil {
		return nil
	}
	b.mu.Lock()
	over := b.over || b.asked != c
	if !over {
		b.loan.Store(l)
	}
	b.mu.Unlock()
	if over || !c.loans.add(l) {
		l.end()
	}
	return l
}

// giveBack ends the loan of a file that is being closed.
func (b *borrower) giveBack() {
	b.mu.Lock()
	b.over = true
	l := b.loan.Swap(nil)
	b.mu.Unlock()
	if l != nil {
		l.end()
	}
}

// read and write are transfers that cross to nobody. ok is false when there is no
// loan: ask the server.
func (f *dataFile) readHost(ctx context.Context, c *session, id uint64, p []byte, off int64) (n int, ok bool, err error) {
	if off < 0 || off > math.MaxInt64>>1 || f.IsStream() {
		return 0, false, nil
	}
	l := f.borrowed(ctx, c, id)
	if l == nil {
		return 0, false, nil
	}
	n, err = cancel.Pread(ctx, l.o.FD(), p, l.off+off)
	l.leave()
	return max(n, 0), true, err
}

func (f *dataFile) writeHost(ctx context.Context, c *session, id uint64, p []byte, off int64) (n int, ok bool, err error) {
	if off < 0 || off > math.MaxInt64>>1 || f.IsStream() {
		return 0, false, nil
	}
	l := f.borrowed(ctx, c, id)
	if l == nil {
		return 0, false, nil
	}
	n, err = cancel.Pwrite(ctx, l.o.FD(), p, l.off+off)
	l.leave()
	return max(n, 0), true, err
}

// knownLoans finds a loan that is recalled.
type knownLoans struct {
	mu    sync.Mutex // a leaf
	loans map[uint64]*loan
	asked int             // calls under way that may bring one
	early map[uint64]bool // recalled before the reply with them was seen
}

// asking notes that a loan is asked for, or that the answer was dealt with.
func (t *knownLoans) asking(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked += n; t.asked == 0 {
		t.early = nil
	}
}

// add is false for a loan that has been recalled already.
func (t *knownLoans) add(l *loan) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.early[l.id] {
		delete(t.early, l.id)
		return false
	}
	if t.loans == nil {
		t.loans = map[uint64]*loan{}
	}
	t.loans[l.id] = l
	return true
}

// endAll ends all loans: their server is gone.
func (t *knownLoans) endAll() {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.loans))
	t.mu.Unlock()
	for _, l := range all {
		l.end()
	}
}

func (t *knownLoans) remove(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.loans, id)
}

// maxEarly bounds what a server can make us remember.
const maxEarly = 4096

// recall ends a loan. It is false for a server that recalls what it never lent, too
// often.
func (t *knownLoans) recall(id uint64) bool {
	t.mu.Lock()
	l := t.loans[id]
	if l == nil && t.asked > 0 { // else it has been given back meanwhile
		if len(t.early) >= maxEarly {
			t.mu.Unlock()
			return false
		}
		if t.early == nil {
			t.early = map[uint64]bool{}
		}
		t.early[id] = true
	}
	t.mu.Unlock()
	if l != nil {
		l.end()
	}
	return true
}
