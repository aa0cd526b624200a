package host

import (
	"context"
	"sync"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Lend gives the file, for good: reads and writes here are nothing but the host's.
// For the user's own it is opened once more.
func (f *file) Lend(ctx context.Context, own bool, _ func()) (vfs.Loan, error) {
	fd, err := f.use()
	if err != nil {
		return vfs.Loan{}, err
	}
	if !own {
		return vfs.Loan{FD: fd, Return: sync.OnceFunc(func() { f.put() })}, nil
	}
	defer f.put()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return vfs.Loan{}, err
	}
	if fd, err = f.node.fs.reopen(ctx, fd, flags); err != nil {
		return vfs.Loan{}, err
	}
	return vfs.LoanOf(fd), nil
}
