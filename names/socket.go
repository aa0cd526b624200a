package names

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names/internal/socket"
	"golang.org/x/sys/unix"
)

// Socket is the protocol of services whose conversations are sockets of the host
// (AF_UNIX, SOCK_SEQPACKET). A box shows them in /srv like those of [Talk], and the
// guest's own process reads and writes the socket: nobody is between it and the
// server. What a message's acknowledgement gives is not there: nobody knows what a
// server that died had read, and it cannot recover.
var Socket = Protocol{socket.ProtocolName, socket.ProtocolVersion, socket.ProtocolOldest}

// Sockets makes an [Service.Accept] of serve, which gets each client's connection,
// on a goroutine of its own and its to close.
func Sockets(serve func(o Opening, c *net.UnixConn)) func(context.Context, Opening, *lane.Lane) error {
	return func(_ context.Context, o Opening, l *lane.Lane) error {
		s := &socketServer{lane: l, serve: func(c *net.UnixConn) { serve(o, c) }}
		return l.Handle(socket.Handler(s), lane.ServeOptions{Concurrency: 1})
	}
}

type socketServer struct {
	lane  *lane.Lane
	serve func(*net.UnixConn)
	used  atomic.Bool
}

// Connect implements socket.Server.
func (s *socketServer) Connect(_ context.Context, _, _ *socket.Nothing, r *lane.Request) error {
	if s.used.Swap(true) {
		return syscall.EISCONN
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("names: a socket for a client: %w", err)
	}
	mine := os.NewFile(uintptr(p[0]), "conversation")
	defer mine.Close() // FileConn has its own
	theirs, err := lane.NewFile(p[1])
	if err != nil {
		return err
	}
	c, err := net.FileConn(mine)
	if err != nil {
		theirs.Close()
		return fmt.Errorf("names: a socket for a client: %w", err)
	}
	r.Reply.Objects = append(r.Reply.Objects, theirs)
	go s.serve(c.(*net.UnixConn))
	return nil
}

// Connect asks at the lane of a service with the protocol [Socket] for its socket,
// and closes the lane. The descriptor is the caller's.
func Connect(ctx context.Context, l *lane.Lane) (int, error) {
	defer l.Close()
	var x lane.Extra
	if err := (socket.Client{Lane: l}).Connect(ctx, &socket.Nothing{}, &socket.Nothing{}, &x); err != nil {
		return -1, err
	}
	fd := -1
	for _, o := range x.Got {
		if f, ok := o.(*lane.File); ok && fd < 0 {
			fd, _ = unix.FcntlInt(uintptr(f.FD()), unix.F_DUPFD_CLOEXEC, 0)
		}
		o.Close()
	}
	if fd < 0 {
		return -1, fmt.Errorf("names: the service gave no socket: %w", syscall.EPROTO)
	}
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err == nil && typ != unix.SOCK_SEQPACKET {
		err = syscall.EPROTOTYPE
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("names: the service gave no socket of type SOCK_SEQPACKET: %w", err)
	}
	return fd, nil
}
