package fuse

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Lend lends what the backing file's server does (passthrough), for reading: what
// is written must be noticed here, since it changes what is known of the file's size.
func (f *file) Lend(ctx context.Context, own bool, recall func()) (vfs.Loan, error) {
	l, ok := f.backing.(vfs.Lender)
	if !ok || f.flags&unix.O_ACCMODE != unix.O_RDONLY {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	return l.Lend(ctx, own, recall)
}
