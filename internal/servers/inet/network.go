package inet

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Network makes sockets of the host. Its methods may be called concurrently.
type Network struct {
	realm   realm
	end     func() error
	waiting hostwait.Set
}

// Close frees what the network has of the host. Its sockets are closed before.
func (n *Network) Close() error {
	if n.end == nil {
		return nil
	}
	return n.end()
}

// realm says what the addresses of a network mean on the host: it makes the calls on a
// socket that have to do with them. ctx is the caller's. Its methods may be called
// concurrently.
type realm interface {
	// opened and closed hear of a socket's beginning, unless it was accepted, and of its
	// end, before the host closes it.
	opened(s *Socket) error
	closed(s *Socket)

	bind(ctx context.Context, s *Socket, addr []byte) error
	connect(ctx context.Context, s *Socket, addr []byte) error
	listen(ctx context.Context, s *Socket, backlog int) error
	accept(s *Socket) (*Socket, []byte, error)
	shutdown(s *Socket, how int) error
	name(s *Socket, peer bool) ([]byte, error)
	// send and receive are of messages, and of a stream's queue of errors; flags are
	// the host's.
	send(ctx context.Context, s *Socket, m *vfs.Packet, flags int) (int, error)
	receive(s *Socket, m *vfs.Packet, flags int) (int, error)
	// may says whether a guest may use an option, or ancillary data, of this network.
	// option and setOption are of those.
	may(level, name int) bool
	option(s *Socket, level, name int, value []byte) (int, error)
	setOption(s *Socket, level, name int, value []byte) error
}

var _ vfs.Network = (*Network)(nil)

// Socket makes a TCP, UDP, UDP-Lite or ICMP echo socket.
func (n *Network) Socket(_ context.Context, family, typ, protocol int) (vfs.Socket, error) {
	switch family {
	case unix.AF_INET, unix.AF_INET6:
	case unix.AF_PACKET:
		return nil, syscall.EPERM
	default:
		return nil, syscall.EAFNOSUPPORT
	}
	if err := mayHave(family, typ, protocol); err != nil {
		return nil, err
	}
	if err := reserve(); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		unreserve()
		return nil, err
	}
	s := newSocket(n, fd, family, typ, protocol)
	s.reserved = true
	if err := n.realm.opened(s); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// mayHave refuses what would let a program see or forge others' packets, whatever the
// rights of this process.
func mayHave(family, typ, protocol int) error {
	switch {
	case protocol < 0 || protocol > unix.IPPROTO_MPTCP:
		return syscall.EINVAL
	case typ == unix.SOCK_RAW:
		return syscall.EPERM
	case typ == unix.SOCK_STREAM && (protocol == 0 || protocol == unix.IPPROTO_TCP),
		typ == unix.SOCK_DGRAM && (protocol == 0 || protocol == unix.IPPROTO_UDP || protocol == unix.IPPROTO_UDPLITE),
		typ == unix.SOCK_DGRAM && family == unix.AF_INET && protocol == unix.IPPROTO_ICMP,
		typ == unix.SOCK_DGRAM && family == unix.AF_INET6 && protocol == unix.IPPROTO_ICMPV6:
		return nil
	case typ == unix.SOCK_STREAM, typ == unix.SOCK_DGRAM:
		return syscall.EPROTONOSUPPORT
	}
	return syscall.ESOCKTNOSUPPORT
}
