package overlay

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// loans are those of a lower file, which end when it is copied up.
type loans struct {
	mu sync.Mutex // a leaf
	of map[*loan]struct{}
}

type loan struct{ recall func() }

func (l *loans) add(o *loan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[*loan]struct{}{}
	}
	l.of[o] = struct{}{}
}

func (l *loans) remove(o *loan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, o)
}

func (l *loans) recall() {
	l.mu.Lock()
	all := l.of
	l.of = nil
	l.mu.Unlock()
	for o := range all {
		o.recall()
	}
}

// Lend lends what the file is now: the copy, or the lower file until there is one.
// EAGAIN when it is open for writing and not copied yet.
func (o *openFile) Lend(ctx context.Context, own bool, recall func()) (vfs.Loan, error) {
	t, err := o.current(ctx)
	if err != nil {
		return vfs.Loan{}, err
	}
	if !t.upper && o.flags&unix.O_ACCMODE != unix.O_RDONLY {
		return vfs.Loan{}, syscall.EAGAIN
	}
	l, ok := t.File.(vfs.Lender)
	if !ok {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	lent, err := l.Lend(ctx, own, recall)
	if err != nil || t.upper {
		return lent, err
	}
	mine := &loan{recall}
	o.r.loans.add(mine)
	give := lent.Return
	lent.Return = func() {
		o.r.loans.remove(mine)
		give()
	}
	if o.r.upper.Load() != nil { // it was copied meanwhile, perhaps before add
		lent.Return()
		return vfs.Loan{}, syscall.EAGAIN
	}
	return lent, nil
}
