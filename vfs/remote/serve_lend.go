package remote

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// loanTable is the host files that a client uses directly.
type loanTable struct {
	mu    sync.Mutex // a leaf
	last  uint64
	loans map[uint64]func() // their Return
	ended bool
}

// add numbers a loan before there is one, so that it can be recalled at once.
func (t *loanTable) number() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return t.last
}

func (t *loanTable) add(id uint64, back func()) {
	t.mu.Lock()
	ended := t.ended
	if !ended {
		if t.loans == nil {
			t.loans = map[uint64]func(){}
		}
		t.loans[id] = back
	}
	t.mu.Unlock()
	if ended && back != nil {
		back()
	}
}

// end returns a loan, once; ids that are none any more are no fault.
func (t *loanTable) end(id uint64) (known bool) {
	t.mu.Lock()
	back := t.loans[id]
	delete(t.loans, id)
	known = id != 0 && id <= t.last
	t.mu.Unlock()
	if back != nil {
		back()
	}
	return known
}

// endAll returns what a client that has gone still had.
func (t *loanTable) endAll() {
	t.mu.Lock()
	all := t.loans
	t.loans, t.ended = nil, true
	t.mu.Unlock()
	for _, back := range all {
		if back != nil {
			back()
		}
	}
}

// Lend hands over a descriptor of the host file behind an open file.
func (c *conn) Lend(ctx context.Context, req *wire.LendRequest, rep *wire.LendReply, r *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	l, ok := f.file.(vfs.Lender)
	if !ok || c.opts.NoLend {
		return syscall.EOPNOTSUPP
	}
	if !c.files.mayLend(f) {
		return syscall.EAGAIN
	}
	id := c.loans.number()
	loan, err := l.Lend(ctx, req.Own, func() {
		c.note(func(ctx context.Context) error {
			return (&wire.Client{Lane: c.end}).Recall(ctx, &wire.RecallNote{Loan: id}, nil)
		})
	})
	if err != nil {
		return err
	}
	fd, err := unix.FcntlInt(uintptr(loan.FD), unix.F_DUPFD_CLOEXEC, 0)
	var o *lane.File
	if err == nil {
		o, err = lane.NewFile(fd)
	}
	if err != nil {
		if loan.Return != nil {
			loan.Return()
		}
		return err
	}
	c.loans.add(id, loan.Return)
	c.files.lent(f, id)
	r.OnUndelivered(func() { c.loans.end(id) })
	r.Reply.Objects = append(r.Reply.Objects, o)
	rep.Loan, rep.Offset = id, loan.Offset
	return nil
}

// Returned ends a loan that was recalled.
func (c *conn) Returned(_ context.Context, req *wire.ReturnedNote, _ *lane.Request) error {
	if !c.loans.end(req.Loan) {
		return c.broken("loan %d was never given", req.Loan)
	}
	return nil
}
