package guard

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Lend asks for the object behind the file; one that comes too late is returned.
func (f dataFile) Lend(ctx context.Context, own bool, recall func()) (vfs.Loan, error) {
	l, ok := f.f.(vfs.Lender)
	if !ok {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	got, err := perform(ctx, f.g, f.file, "lend", "", func(ctx context.Context) (vfs.Loan, error) {
		return l.Lend(ctx, own, recall)
	}, func(l vfs.Loan) {
		if l.Return != nil {
			l.Return()
		}
	})
	if back := got.Return; back != nil {
		got.Return = func() {
			_ = f.g.withoutContext("return", 0, func() error { back(); return nil })
		}
	}
	return got, err
}
