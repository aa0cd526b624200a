package inet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// Loopback is a network of its own that has 127.0.0.0/8 and ::1 only: what its sockets
// connect and send to are others of the same network.
//
// They are sockets of the host in a network 127.A.B.0/24 that no other Loopback has,
// IPv6 ones as well, with mapped addresses. The host's ports are others than the
// guest's, so a guest and the host's programs, also those that listen at all addresses,
// are not in each other's way: which port is whose, who may have it, and who hears what
// is sent there stands in a table. Only sockets of the table are ever connected or sent
// to; for all other ports there is one at which the host refuses. What comes from
// sockets that are not of the network is refused, too.
func Loopback() (*Network, error) {
	l := &loopback{
		Static:   netinfo.Loopback(),
		refusers: map[int]*refuser{},
		ports:    map[portKey]*port{},
		senders:  map[portKey]sender{},
		arrivals: map[uint16]map[netip.AddrPort]arrival{},
		knocking: map[uint16]*knocking{},
	}
	if err := l.claim(); err != nil {
		return nil, err
	}
	return &Network{realm: l, end: l.end}, nil
}

// loopback is the realm of a Loopback.
type loopback struct {
	hostRealm // for what has no addresses in it
	*netinfo.Static

	ip   [2]byte // the host's network is 127.ip.0/24
	lock int     // a socket of the host whose name says that it is taken

	// mu guards what follows, and all places. The host is asked for connections, and for
	// datagrams to be sent, with mu held, so that what it finds at a port is what the
	// table says. Nothing under it waits.
	mu       sync.RWMutex
	refusers map[int]*refuser
	ports    map[portKey]*port
	// senders are whose datagrams come from the host's ports; they stay when the socket
	// is gone, until another one has the port.
	senders map[portKey]sender
	// arrivals are connections that were made to the listener at a port of the host and
	// that it has not accepted, by where they come from on the host.
	arrivals map[uint16]map[netip.AddrPort]arrival
	knocking map[uint16]*knocking // by the port of the host
}

var _ vfs.NetDescriber = (*loopback)(nil)

// The last byte of the host's addresses.
const (
	atOne  = 1 // what sockets are bound to
	atSix  = 2 // whence sockets of both families send by IPv6, where it could not be told else
	atNone = 3 // where nobody listens
	atGate = 4 // of gateways to the outside, see dialed
)

// claim takes a network of the host's that no other box has.
func (l *loopback) claim() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: a socket to claim addresses with: %w", err)
	}
	const first, networks = 64, 64 * 256
	start := rand.IntN(networks)
	for i := range networks {
		n := (start + i) % networks
		l.ip = [2]byte{byte(first + n/256), byte(n)}
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@hati/loopback/127.%d.%d", l.ip[0], l.ip[1])})
		if err == nil {
			l.lock = fd
			return nil
		}
		if err != syscall.EADDRINUSE {
			break
		}
	}
	unix.Close(fd)
	return fmt.Errorf("loopback: no network of 127.64.0.0/10 could be claimed (more than %d boxes?): %w", networks, err)
}

func (l *loopback) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.refusers {
		unix.Close(r.fd)
	}
	clear(l.refusers)
	return unix.Close(l.lock)
}

// refuser is a socket of the host at which nobody can listen, for what goes where no
// socket of the guest is.
type refuser struct {
	fd   int
	port uint16
}

// refuser returns the one of a protocol. mu is held.
func (l *loopback) refuser(typ, protocol int) (uint16, error) {
	if r := l.refusers[protocol]; r != nil {
		return r.port, nil
	}
	fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return 0, err
	}
	q, err := somePort(func(q uint16) error { return bind(fd, l.host(unix.AF_INET, atNone, q)) })
	if err == nil && typ == unix.SOCK_DGRAM {
		// It then hears itself only, and for others nobody is there.
		err = connect(fd, l.host(unix.AF_INET, atNone, q))
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	l.refusers[protocol] = &refuser{fd, q}
	return q, nil
}

// host is an address of the host's, for a socket of family.
func (l *loopback) host(family int, last byte, port uint16) []byte {
	return abi.AppendSockaddr(nil, family, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, l.ip[0], l.ip[1], last}), port))
}

// place is a socket's in a loopback. Guarded by loopback.mu.
type place struct {
	s        *Socket
	protocol int

	// Options that are the guest's only: the host's socket has others.
	reuseAddr, reusePort, only6, noPort bool

	span // what it is bound to
	// port is the guest's, 0 for none; at port of the host it is bound to, 0 for none.
	// auto says that nobody asked for it.
	port, hostPort uint16
	auto           bool
	shown          uint16 // the last port that it had, which getsockname(2) tells
	listening      bool
	accepted       bool // hostPort is its listener's
	addressed      bool // the host's socket has its address but no port

	// Of a stream: whether it listens or has a connection, which may have ended by itself
	// since it was looked at; and whether the host has not undone its last connection,
	// even if that has ended: then connect(2) tells of that one.
	live, engaged bool

	local, peer netip.AddrPort // of a connected one
	connecting  bool
	from        netip.AddrPort // whence on the host a stream was connected
	target      uint16         // of the host, to which it is connected
	refused     netip.AddrPort // where the last datagram went that nobody was there for
}

func placeOf(s *Socket) *place { return s.place.(*place) }

// opened implements realm.
func (l *loopback) opened(s *Socket) error {
	p := &place{s: s, protocol: s.protocol}
	s.place = p
	switch {
	case p.protocol != 0:
	case s.typ == unix.SOCK_STREAM:
		p.protocol = unix.IPPROTO_TCP
	default:
		p.protocol = unix.IPPROTO_UDP
	}
	if s.family == unix.AF_INET6 && !p.echo() {
		// The host's socket is IPv4 in truth. How the guest's begins is a setting.
		only, err := unix.GetsockoptInt(s.fd, unix.SOL_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return err
		}
		p.only6 = only != 0
		if err := unix.SetsockoptInt(s.fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
	}
	if s.typ == unix.SOCK_DGRAM && !p.echo() {
		return l.filter(s.fd)
	}
	return nil
}

// echo reports whether it is an ICMP echo socket.
func (p *place) echo() bool {
	return p.protocol == unix.IPPROTO_ICMP || p.protocol == unix.IPPROTO_ICMPV6
}

// filter has the host drop what does not come from the network's addresses.
func (l *loopback) filter(fd int) error {
	const netOff, source = 0xfff00000, 12 // SKF_NET_OFF, in an IPv4 header
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: netOff + source},
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 8},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 127<<16 | uint32(l.ip[0])<<8 | uint32(l.ip[1]), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// closed implements realm.
func (l *loopback) closed(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := placeOf(s)
	l.keep(p)
	l.forget(p)
}
