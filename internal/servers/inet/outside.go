package inet

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// outside is what a socket has to do with the world outside its loopback.
type outside struct {
	s *Socket
	r *dialed

	mu     sync.Mutex
	closed bool

	// Of a stream.
	dial     *dialing
	listener *held
	unlisten context.CancelFunc // what arrives from the listener arrives no more
	listens  bool               // or is about to

	// Of datagrams.
	peers     map[netip.AddrPort]*peer
	connected *peer
	clock     uint64
	err       syscall.Errno // that the next call is told

	gates    sync.Mutex
	gateways map[netip.AddrPort]netip.AddrPort // whom the gateways lead to
}

// outsideOf returns s's.
func (r *dialed) outsideOf(s *Socket) *outside {
	if o := s.outside.Load(); o != nil {
		return o
	}
	s.outside.CompareAndSwap(nil, &outside{s: s, r: r})
	return s.outside.Load()
}

// leads returns where an address leads outside; false when it is the loopback's affair,
// or that of its errors.
func (s *Socket) leads(addr []byte) (netip.AddrPort, bool) {
	to, err := abi.ParseSockaddr(addr)
	ip := to.Addr()
	switch family := abi.SockaddrFamily(addr); {
	case err != nil, ip.IsLoopback(), ip.IsUnspecified():
		return to, false
	case family != s.family && (s.family == unix.AF_INET || s.typ == unix.SOCK_STREAM):
		return to, false
	case family == unix.AF_INET6 && s.family == unix.AF_INET6 && len(addr) < abi.SizeSockaddrInet6Min:
		return to, false
	}
	return to, true
}

// reachable says why an address outside cannot be reached, whatever the Dialer thinks.
func (r *dialed) reachable(s *Socket, to netip.AddrPort) error {
	network := s.network()
	if r.Dial == nil || to.Addr().IsMulticast() || network != "tcp" && network != "udp" || to.Addr().Is4() && s.only6() {
		return syscall.ENETUNREACH
	}
	return nil
}

// only6 reports whether a socket of AF_INET6 has no IPv4.
func (s *Socket) only6() bool {
	if s.family != unix.AF_INET6 {
		return false
	}
	var value [4]byte
	_, err := s.realm.option(s, unix.SOL_IPV6, unix.IPV6_V6ONLY, value[:])
	return err == nil && value != [4]byte{}
}

// sockaddr is an address as the socket has it; nil when its family has none such.
func (s *Socket) sockaddr(a netip.AddrPort) []byte {
	if !a.IsValid() || s.family == unix.AF_INET && !a.Addr().Unmap().Is4() {
		return nil
	}
	return abi.AppendSockaddr(nil, s.family, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
}

func (r *dialed) connect(ctx context.Context, s *Socket, addr []byte) error {
	if s.typ == unix.SOCK_STREAM {
		return r.connectStream(ctx, s, addr)
	}
	return r.connectDatagrams(ctx, s, addr)
}

func (r *dialed) bind(ctx context.Context, s *Socket, addr []byte) error {
	if s.dialling() {
		return syscall.EINVAL
	}
	return r.loopback.bind(ctx, s, within(addr))
}

func (r *dialed) option(s *Socket, level, name int, value []byte) (int, error) {
	if level == unix.SOL_SOCKET && name == unix.SO_ERROR {
		if err := s.takeError(); err != 0 {
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], uint32(err))
			return copy(value, b[:]), nil
		}
	}
	n, err := r.loopback.option(s, level, name, value)
	if level == unix.SOL_TCP && name == unix.TCP_INFO && n > 0 && err == nil && s.dialling() {
		value[0] = tcpSynSent
	}
	return n, err
}

func (r *dialed) name(s *Socket, peer bool) ([]byte, error) {
	o := s.outside.Load()
	if o == nil {
		return r.loopback.name(s, peer)
	}
	a, err := o.name(peer)
	if err != nil {
		return nil, err
	}
	if addr := s.sockaddr(a); addr != nil {
		return addr, nil
	}
	return r.loopback.name(s, peer)
}

// name is the guest's idea of an address; none when the loopback knows it.
func (o *outside) name(peer bool) (a netip.AddrPort, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch d := o.dial; {
	case d != nil && d.state == dialUnderWay && peer:
		return a, syscall.ENOTCONN
	case d != nil && d.state == dialMade:
		if a = d.own; peer {
			a = d.to
		}
	}
	if peer && a.IsValid() {
		_, err = nameOf(o.s.fd, true) // it may be over
	}
	return a, err
}

// local is the socket's own address on a connection to the outside: that of the
// Dialer's, if it has any for the guest's family.
func (o *outside) local(conn net.Conn) netip.AddrPort {
	if conn != nil {
		if a := addrPort(conn.LocalAddr); a.IsValid() && !a.Addr().IsUnspecified() && o.s.sockaddr(a) != nil {
			return a
		}
	}
	host, _ := o.s.hostName()
	return netip.AddrPortFrom(guestAddr, host.Port())
}

// hostName is the address that the host's socket has.
func (s *Socket) hostName() (netip.AddrPort, error) {
	name, err := nameOf(s.fd, false)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return abi.ParseSockaddr(name)
}

// Poll asks the host, unless a connection is being made that it knows nothing of.
func (s *Socket) Poll(mask vfs.Events) vfs.Events {
	if o := s.outside.Load(); o != nil {
		if got, ok := o.poll(mask); ok {
			return got
		}
	}
	return hostwait.Now(s.fd, mask)
}

func (o *outside) poll(mask vfs.Events) (vfs.Events, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch d := o.dial; {
	case d != nil && d.state == dialUnderWay:
		return 0, true
	case d != nil && d.state == dialFailed && d.err != 0:
		const all = vfs.EventsIn | vfs.EventsOut | vfs.EventRdHup
		return mask&all | vfs.EventErr | vfs.EventHup, true
	case o.err != 0:
		return hostwait.Now(o.s.fd, mask) | vfs.EventErr, true
	}
	return 0, false
}

// dialling reports whether the socket's connection is being made.
func (s *Socket) dialling() bool {
	o := s.outside.Load()
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dial != nil && o.dial.state == dialUnderWay
}

// takeError returns what the socket's next call is to be told, once.
func (s *Socket) takeError() (err syscall.Errno) {
	o := s.outside.Load()
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dial != nil {
		err, o.dial.err = o.dial.err, 0
	} else {
		err, o.err = o.err, 0
	}
	return err
}

// early is the error of sending and receiving on a connection that is not made, or
// that could not be.
func (s *Socket) early() error {
	if s.outside.Load() == nil {
		return nil
	}
	if s.dialling() {
		return syscall.EAGAIN
	}
	if err := s.takeError(); err != 0 {
		return err
	}
	return nil
}

func (r *dialed) closed(s *Socket) {
	if o := s.outside.Load(); o != nil {
		o.close()
	}
	r.loopback.closed(s)
}

// close ends what the guest does not wait for any more. What it has sent is still
// carried.
func (o *outside) close() {
	o.mu.Lock()
	o.closed = true
	o.endDial()
	l := o.listener
	if l != nil {
		o.unlisten()
	}
	for _, p := range o.peers {
		p.finish()
	}
	o.mu.Unlock()
	if l != nil {
		o.r.drop(l) // it may wait for acceptFrom, which wants mu
	}
}
