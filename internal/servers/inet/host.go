package inet

import (
	"context"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Host is the host's own network.
func Host() *Network { return &Network{realm: hostRealm{}} }

// hostRealm leaves addresses as they are.
type hostRealm struct{}

func (hostRealm) opened(*Socket) error { return nil }

func (hostRealm) closed(*Socket) {}

func (hostRealm) bind(_ context.Context, s *Socket, addr []byte) error { return bind(s.fd, addr) }

func (hostRealm) connect(_ context.Context, s *Socket, addr []byte) error {
	return connect(s.fd, addr)
}

func (hostRealm) listen(_ context.Context, s *Socket, backlog int) error {
	return unix.Listen(s.fd, backlog)
}

func (hostRealm) accept(s *Socket) (*Socket, []byte, error) {
	fd, addr, err := accept(s.fd)
	if err != nil {
		return nil, nil, err
	}
	return s.accepted(fd), addr, nil
}

func (hostRealm) shutdown(s *Socket, how int) error { return unix.Shutdown(s.fd, how) }

func (hostRealm) name(s *Socket, peer bool) ([]byte, error) { return nameOf(s.fd, peer) }

func (hostRealm) send(_ context.Context, s *Socket, m *vfs.Packet, flags int) (int, error) {
	return sendmsg(s.fd, m.Data, m.Addr, m.Control, flags)
}

func (hostRealm) receive(s *Socket, m *vfs.Packet, flags int) (int, error) {
	return recvmsg(s.fd, m, flags)
}

func (hostRealm) may(int, int) bool { return true }

func (hostRealm) option(s *Socket, level, name int, value []byte) (int, error) {
	return getsockopt(s.fd, level, name, value)
}

func (hostRealm) setOption(s *Socket, level, name int, value []byte) error {
	return setsockopt(s.fd, level, name, value)
}
