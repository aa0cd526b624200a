package remote

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// borrower is the host file behind an open file, if its server lends it. It is
// asked for with the first transfer.
type borrower struct {
	loan  atomic.Pointer[loan]
	mu    sync.Mutex // guards the rest
	asked bool
	over  bool // closed
}

// loan is a host file that this process may use until it is recalled or the lane
// ends. Its last user closes it.
type loan struct {
	c     *Client
	id    uint64
	o     *lane.File
	off   int64
	users atomic.Int32 // and one for the loan itself
	ended atomic.Bool
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
		l.leave()
	}
}

// borrowed returns the loan of f's host file, entered, or nil.
func (f *dataFile) borrowed(ctx context.Context) *loan {
	if f.bits&wire.FileLender == 0 {
		return nil
	}
	l := f.host.loan.Load()
	if l == nil {
		l = f.borrow(ctx)
	}
	if l == nil || !l.enter() {
		return nil
	}
	return l
}

// borrow asks for the host file, once. Whatever goes wrong, the server can still
// be asked for each transfer.
func (f *dataFile) borrow(ctx context.Context) *loan {
	b := &f.host
	b.mu.Lock()
	if b.asked || b.over {
		b.mu.Unlock()
		return b.loan.Load()
	}
	b.asked = true
	b.mu.Unlock()
	f.c.loans.asking(1)
	defer f.c.loans.asking(-1)
	var rep wire.LendReply
	var x lane.Extra
	if f.c.call.Lend(ctx, &wire.LendRequest{File: f.id}, &rep, &x) != nil {
		return nil
	}
	o, _, err := f.object(x.Got)
	if err != nil {
		return nil
	}
	if rep.Offset < 0 || rep.Loan == 0 {
		o.Close()
		_ = f.c.broken("loan %d at %d", rep.Loan, rep.Offset)
		return nil
	}
	l := &loan{c: f.c, id: rep.Loan, o: o, off: rep.Offset}
	l.users.Store(1)
	b.mu.Lock()
	over := b.over
	if !over {
		b.loan.Store(l)
	}
	b.mu.Unlock()
	if over || !f.c.loans.add(l) {
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
func (f *dataFile) readHost(ctx context.Context, p []byte, off int64) (n int, ok bool, err error) {
	if off < 0 || off > math.MaxInt64>>1 {
		return 0, false, nil
	}
	l := f.borrowed(ctx)
	if l == nil {
		return 0, false, nil
	}
	n, err = cancel.Pread(ctx, l.o.FD(), p, l.off+off)
	l.leave()
	return max(n, 0), true, err
}

func (f *dataFile) writeHost(ctx context.Context, p []byte, off int64) (n int, ok bool, err error) {
	if off < 0 || off > math.MaxInt64>>1 {
		return 0, false, nil
	}
	l := f.borrowed(ctx)
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
