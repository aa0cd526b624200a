package inet

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Socket is a socket of the host.
type Socket struct {
	hostwait.Member
	net         *Network
	fd          int
	realm       realm
	family, typ int
	protocol    int
	node        anon.Node
	place       any                     // the realm's
	lingers     atomic.Bool             // SO_LINGER was set, perhaps
	reserved    bool                    // it counts, see reserve
	outside     atomic.Pointer[outside] // of a dialed network
}

var (
	_ vfs.Socket   = (*Socket)(nil)
	_ vfs.Streamer = (*Socket)(nil)
	_ vfs.Ioctler  = (*Socket)(nil)
	_ vfs.Lender   = (*Socket)(nil)
)

// newSocket takes over fd, which is non-blocking.
func newSocket(n *Network, fd, family, typ, protocol int) *Socket {
	s := &Socket{net: n, fd: fd, realm: n.realm, family: family, typ: typ, protocol: protocol}
	s.Init(&n.waiting, fd)
	s.node.Init(anon.DevSocket, syscall.S_IFSOCK|0o777, uint32(unix.Geteuid()), uint32(unix.Getegid()))
	return s
}

// Node is the socket's inode.
func (s *Socket) Node() vfs.Node { return &s.node }

// IsStream is true: there are no offsets.
func (s *Socket) IsStream() bool { return true }

// Close ends the socket. Nobody waits, whatever SO_LINGER says, but to reset the
// connection: the host sends what was written all the same.
func (s *Socket) Close() error {
	s.Member.Close()
	s.realm.closed(s)
	if s.lingers.Load() {
		if l, err := unix.GetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER); err == nil && l.Onoff != 0 && l.Linger != 0 {
			_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
		}
	}
	return s.end()
}

// end is Close but for what the realm keeps.
func (s *Socket) end() error {
	s.Member.Close()
	if s.reserved {
		defer unreserve()
	}
	return unix.Close(s.fd)
}

// accepted returns the socket of a connection that s accepted.
func (s *Socket) accepted(fd int) *Socket {
	c := newSocket(s.net, fd, s.family, s.typ, s.protocol)
	c.lingers.Store(s.lingers.Load())
	return c
}

// Bind gives the socket an address of its own.
func (s *Socket) Bind(ctx context.Context, addr []byte) error { return s.realm.bind(ctx, s, addr) }

// Connect begins to connect, or tells how that goes.
func (s *Socket) Connect(ctx context.Context, addr []byte) error {
	return s.realm.connect(ctx, s, addr)
}

// Listen has the socket accept connections.
func (s *Socket) Listen(ctx context.Context, backlog int) error {
	return s.realm.listen(ctx, s, backlog)
}

// Accept takes a connection that waits.
func (s *Socket) Accept(context.Context) (vfs.Socket, []byte, error) {
	if err := reserve(); err != nil {
		return nil, nil, err
	}
	c, addr, err := s.realm.accept(s)
	if err != nil {
		unreserve()
		return nil, nil, err
	}
	c.reserved = true
	return c, addr, nil
}

// Addr returns the socket's address, or its peer's.
func (s *Socket) Addr(_ context.Context, peer bool) ([]byte, error) { return s.realm.name(s, peer) }

// Shutdown ends directions.
func (s *Socket) Shutdown(_ context.Context, how int) error {
	if s.abort() {
		return nil
	}
	return s.realm.shutdown(s, how)
}

// Send sends without waiting.
func (s *Socket) Send(ctx context.Context, m *vfs.Packet) (int, error) {
	// Never by way of TCP's fast open, which connects.
	flags := m.Flags&^(unix.MSG_FASTOPEN|unix.MSG_ZEROCOPY) | unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if m.Flags&unix.MSG_FASTOPEN != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	if len(m.Control) > 0 {
		var err error
		if m.Control, err = s.mayControl(m.Control); err != nil {
			return 0, err
		}
	}
	if err := s.early(); err != nil {
		return 0, err
	}
	if s.typ == unix.SOCK_STREAM {
		return sendmsg(s.fd, m.Data, m.Addr, m.Control, flags)
	}
	return s.realm.send(ctx, s, m, flags)
}

// Receive receives without waiting.
func (s *Socket) Receive(_ context.Context, m *vfs.Packet) (int, error) {
	flags := m.Flags&^unix.MSG_CMSG_CLOEXEC | unix.MSG_DONTWAIT
	if flags&unix.MSG_ERRQUEUE == 0 {
		if err := s.early(); err != nil {
			return 0, err
		}
	}
	if s.typ == unix.SOCK_STREAM && flags&unix.MSG_ERRQUEUE == 0 {
		return recvmsg(s.fd, m, flags)
	}
	return s.realm.receive(s, m, flags)
}

// Lend gives the host's socket, for what needs no address: all that is done with it
// here, but Connect, says by itself not to wait.
func (s *Socket) Lend(context.Context, bool, func()) (vfs.Loan, error) {
	if s.dialling() {
		return vfs.Loan{}, syscall.EAGAIN
	}
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return vfs.Loan{}, err
	}
	return vfs.Loan{FD: fd, Return: sync.OnceFunc(func() {
		_ = unix.SetNonblock(fd, true)
		unix.Close(fd)
	})}, nil
}
