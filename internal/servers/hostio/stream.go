package hostio

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// pipeBuf is what a pipe that polls writable takes without waiting. A terminal
// promises nothing, but has room for ttyBuf unless whoever shows it is stuck.
const (
	pipeBuf = 4096
	ttyBuf  = 64
)

// Stream is a pipe, a socket or a device of the host. Its Read and Write never
// wait, whatever the host description's flags.
type Stream struct {
	*hostwait.Watcher
	queue vfs.Queue
	fd    int
	n     *node
	flags int
	mine  bool // the description is hati's own and O_NONBLOCK

	// On a shared description the kernel is asked not to wait, by flag; what
	// does not know that flag is polled first. Then somebody else who takes the
	// input in between makes the read wait for the next, or for the end of ctx.
	noFlag atomic.Bool
}

func newStream(n *node, fd, flags int, mine bool) *Stream {
	s := &Stream{fd: fd, n: n, flags: flags, mine: mine}
	s.Watcher = hostwait.New(&s.queue, fd)
	return s
}

// Poll asks the host.
func (s *Stream) Poll(mask vfs.Events) vfs.Events { return hostwait.Now(s.fd, mask) }

// Node returns the host file.
func (s *Stream) Node() vfs.Node { return s.n }

// Flags is the host description's access mode and O_APPEND.
func (s *Stream) Flags() int { return s.flags }

// IsStream is true: there are no offsets.
func (s *Stream) IsStream() bool { return true }

// Close ends the file. As [vfs.File] says, it comes once and after all else.
func (s *Stream) Close() error {
	s.Watcher.Close()
	return s.n.close(s.fd)
}

// Read reads what there is, or fails with EAGAIN.
func (s *Stream) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	switch {
	case s.flags&unix.O_ACCMODE == unix.O_WRONLY:
		return 0, syscall.EBADF
	case s.mine:
		return hostwait.Retry(func() (int, error) { return unix.Read(s.fd, p) })
	case s.n.class == socket:
		return hostwait.Retry(func() (int, error) { return recvNow(s.fd, p) })
	}
	if !s.noFlag.Load() {
		n, err := hostwait.Retry(func() (int, error) { return preadNow(s.fd, p) })
		if !unsupported(err) {
			return n, err
		}
		s.noFlag.Store(true)
	}
	if hostwait.Now(s.fd, vfs.EventIn) == 0 {
		return 0, syscall.EAGAIN
	}
	return counted(cancel.Read(ctx, s.fd, p))
}

// Write writes what there is room for, or fails with EAGAIN.
func (s *Stream) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	switch {
	case s.flags&unix.O_ACCMODE == unix.O_RDONLY:
		return 0, syscall.EBADF
	case s.mine:
		return hostwait.Retry(func() (int, error) { return unix.Write(s.fd, p) })
	case s.n.class == socket:
		return hostwait.Retry(func() (int, error) {
			return unix.SendmsgN(s.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		})
	}
	if !s.noFlag.Load() {
		n, err := hostwait.Retry(func() (int, error) { return pwriteNow(s.fd, p) })
		if !unsupported(err) {
			return n, err
		}
		s.noFlag.Store(true)
	}
	if hostwait.Now(s.fd, vfs.EventOut) == 0 {
		return 0, syscall.EAGAIN
	}
	most := pipeBuf
	if s.n.class == console {
		most = ttyBuf
	}
	return counted(cancel.Write(ctx, s.fd, p[:min(len(p), most)]))
}

func unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)
}

// Ioctl knows FIONREAD.
func (s *Stream) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if cmd != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	return 0, ioctlOut(s.fd, cmd, arg, 4)
}
