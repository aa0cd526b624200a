package srv

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostio"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// socketFile is an open service whose conversation is a socket of the host.
type socketFile struct {
	*hostio.Stream
	node *node
	fd   int // the descriptor of Stream's is another one
}

var _ vfs.Lender = (*socketFile)(nil)

// openSocket opens a service that speaks [names.Socket].
func (n *node) openSocket(ctx context.Context, q names.Request) (vfs.File, error) {
	q.Protocol = names.Socket
	o, err := n.fs.services.Open(ctx, n.name, q)
	if err != nil {
		return nil, err
	}
	fd, err := names.Connect(ctx, o.Lane)
	if err != nil {
		return nil, err
	}
	files, err := hostio.Open(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	s, ok := files[0].(*hostio.Stream)
	if !ok {
		files[0].Close()
		unix.Close(fd)
		return nil, syscall.EPROTO
	}
	return &socketFile{Stream: s, node: n, fd: fd}, nil
}

// Node returns the service.
func (f *socketFile) Node() vfs.Node { return f.node }

// Message implements vfs.Messenger.
func (f *socketFile) Message() bool { return true }

// Close ends the conversation.
func (f *socketFile) Close() error {
	unix.Close(f.fd)
	return f.Stream.Close()
}

// Lend gives the socket, for good: all that is done with it here says by itself
// whether to wait.
func (f *socketFile) Lend(context.Context, bool, func()) (vfs.Loan, error) {
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return vfs.Loan{}, err
	}
	return vfs.LoanOf(fd), nil
}
