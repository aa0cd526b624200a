package inet

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Check is asked before a guest's socket does op ("connect", "send", "bind" or
// "listen") at an address: mapped IPv4 addresses are IPv4 ones, and there are no
// scopes. network is "tcp", "udp", "udplite" or "icmp", which has no ports. An error
// refuses: with the syscall.Errno in it, else with EACCES, which is what connect(2)
// says of a local firewall.
//
// It is asked concurrently, on the goroutine of the guest's call, whose end ends ctx.
type Check func(ctx context.Context, op, network string, addr netip.AddrPort) error

// HostRules is the host's network as far as check lets guests have it.
func HostRules(check Check) *Network {
	return &Network{realm: &ruled{check: check, asked: map[*Socket]attempt{}}}
}

// ruled asks about the addresses that the host then gets, not about those that the
// guest wrote: what the host takes in two ways is written in one.
type ruled struct {
	hostRealm
	check Check

	mu sync.Mutex
	// Where sockets are connecting to: looking how that goes is no new connection.
	asked map[*Socket]attempt
}

// attempt is a connection that is being made, to one of the guest's addresses and the
// host's.
type attempt struct{ guest, host []byte }

func (s *Socket) network() string {
	switch {
	case s.typ == unix.SOCK_STREAM:
		return "tcp"
	case s.protocol == unix.IPPROTO_UDPLITE:
		return "udplite"
	case s.protocol == unix.IPPROTO_ICMP || s.protocol == unix.IPPROTO_ICMPV6:
		return "icmp"
	}
	return "udp"
}

// ask is check's answer as an errno.
func (r *ruled) ask(ctx context.Context, op string, s *Socket, to netip.AddrPort) error {
	network := s.network()
	if network == "icmp" {
		to = netip.AddrPortFrom(to.Addr(), 0)
	}
	err := r.check(ctx, op, network, to)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != 0 {
		return errno
	}
	return syscall.EACCES
}

// askOwn asks about an address of s itself. All of IPv6 is all of IPv4 as well: whether
// a socket is of IPv6 only may change before it is used.
func (r *ruled) askOwn(ctx context.Context, op string, s *Socket, own netip.AddrPort) error {
	if err := r.ask(ctx, op, s, own); err != nil || own.Addr() != netip.IPv6Unspecified() {
		return err
	}
	return r.ask(ctx, op, s, netip.AddrPortFrom(netip.IPv4Unspecified(), own.Port()))
}

func (r *ruled) bind(ctx context.Context, s *Socket, addr []byte) error {
	addr, err := r.own(ctx, s, addr)
	if err != nil {
		return err
	}
	return bind(s.fd, addr)
}

// own is the host's address for one that s is to be bound to.
func (r *ruled) own(ctx context.Context, s *Socket, addr []byte) ([]byte, error) {
	if abi.SockaddrFamily(addr) == unix.AF_UNSPEC && s.family == unix.AF_INET && len(addr) >= unix.SizeofSockaddrInet4 {
		// The host takes it for AF_INET when it names no address.
		if [4]byte(addr[4:]) != [4]byte{} {
			return nil, syscall.EAFNOSUPPORT
		}
		addr = asInet4(addr)
	}
	if f := abi.SockaddrFamily(addr); f >= 0 && f != s.family {
		return nil, syscall.EAFNOSUPPORT
	}
	own, err := abi.ParseSockaddr(addr)
	if err != nil {
		return nil, err
	}
	return addr, r.askOwn(ctx, "bind", s, own)
}

// asInet4 is a copy of addr that says that it is an AF_INET one.
func asInet4(addr []byte) []byte {
	addr = slices.Clone(addr[:unix.SizeofSockaddrInet4])
	addr[0], addr[1] = unix.AF_INET, 0
	return addr
}

func (r *ruled) connect(ctx context.Context, s *Socket, addr []byte) error {
	host, err := r.peer(ctx, s, addr)
	if err != nil {
		return err
	}
	err = connect(s.fd, host)
	r.connecting(s, addr, host, err)
	return err
}

// peer is the host's address for one that s is to be connected to.
func (r *ruled) peer(ctx context.Context, s *Socket, addr []byte) ([]byte, error) {
	r.mu.Lock()
	asked, ok := r.asked[s]
	r.mu.Unlock()
	if ok && slices.Equal(asked.guest, addr) {
		return asked.host, nil
	}
	if abi.SockaddrFamily(addr) == unix.AF_UNSPEC {
		return addr, nil // it ends a connection
	}
	return r.destination(ctx, "connect", s, addr)
}

// connecting hears how the host's connect to an address went.
func (r *ruled) connecting(s *Socket, guest, host []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch err {
	case syscall.EINPROGRESS:
		r.asked[s] = attempt{slices.Clone(guest), slices.Clone(host)}
	case syscall.EALREADY:
	default:
		delete(r.asked, s)
	}
}

func (r *ruled) send(ctx context.Context, s *Socket, m *vfs.Packet, flags int) (int, error) {
	to := m.Addr
	if len(to) > 0 {
		var err error
		if to, err = r.sendTo(ctx, s, to); err != nil {
			return 0, err
		}
	}
	return sendmsg(s.fd, m.Data, to, m.Control, flags)
}

// sendTo is the host's address for one that s is to send to.
func (r *ruled) sendTo(ctx context.Context, s *Socket, addr []byte) ([]byte, error) {
	if abi.SockaddrFamily(addr) == unix.AF_UNSPEC {
		if s.family == unix.AF_INET6 {
			return nil, nil // to where it is connected, which was asked about
		}
		// The host takes it for AF_INET.
		if len(addr) < unix.SizeofSockaddrInet4 {
			return nil, syscall.EINVAL
		}
		addr = asInet4(addr)
	}
	return r.destination(ctx, "send", s, addr)
}

func (r *ruled) destination(ctx context.Context, op string, s *Socket, addr []byte) ([]byte, error) {
	if abi.SockaddrFamily(addr) == unix.AF_INET6 && s.family == unix.AF_INET {
		return nil, syscall.EAFNOSUPPORT
	}
	addr, err := r.elsewhere(s, addr)
	if err != nil {
		return nil, err
	}
	to, err := abi.ParseSockaddr(addr)
	if err != nil {
		return nil, err
	}
	return addr, r.ask(ctx, op, s, to)
}

// elsewhere returns addr, or what the host makes of a destination without an address:
// the socket's own address, or the loopback's.
func (r *ruled) elsewhere(s *Socket, addr []byte) ([]byte, error) {
	to, err := abi.ParseSockaddr(addr)
	if err != nil || !to.Addr().IsUnspecified() {
		return addr, err
	}
	var own netip.Addr
	if name, err := nameOf(s.fd, false); err == nil {
		if a, err := abi.ParseSockaddr(name); err == nil {
			own = a.Addr()
		}
	}
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch {
	case to.Addr().Is4() && own.Is4() && !own.IsUnspecified():
		ip = own
	case to.Addr().Is6() && !(own.Is4() && s.family == unix.AF_INET6):
		ip = netip.IPv6Loopback()
	}
	return withIP(addr, ip), nil
}

func (r *ruled) listen(ctx context.Context, s *Socket, backlog int) error {
	name, err := nameOf(s.fd, false)
	if err != nil {
		return err
	}
	own, err := abi.ParseSockaddr(name)
	if err != nil {
		return err
	}
	if err := r.askOwn(ctx, "listen", s, own); err != nil {
		return err
	}
	return unix.Listen(s.fd, backlog)
}

// may refuses what sends packets another way than to their destination, or has the
// host take in those of groups, about which nobody would be asked.
func (r *ruled) may(level, name int) bool {
	switch level {
	case unix.SOL_SOCKET:
		return name != unix.SO_BINDTODEVICE && name != unix.SO_BINDTOIFINDEX && name != unix.SO_MARK && name != unix.SO_DONTROUTE
	case unix.SOL_IP:
		switch name {
		case unix.IP_OPTIONS, unix.IP_RETOPTS, unix.IP_UNICAST_IF, unix.IP_TRANSPARENT, unix.IP_FREEBIND,
			unix.IP_ADD_MEMBERSHIP, unix.IP_ADD_SOURCE_MEMBERSHIP, unix.MCAST_JOIN_GROUP, unix.MCAST_JOIN_SOURCE_GROUP:
			return false
		}
	case unix.SOL_IPV6:
		switch name {
		case unix.IPV6_UNICAST_IF, unix.IPV6_TRANSPARENT, unix.IPV6_FREEBIND, unix.IPV6_JOIN_GROUP, unix.IPV6_JOIN_ANYCAST,
			unix.MCAST_JOIN_GROUP, unix.MCAST_JOIN_SOURCE_GROUP:
			return false
		}
	}
	return true
}

func (r *ruled) closed(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.asked, s)
}
