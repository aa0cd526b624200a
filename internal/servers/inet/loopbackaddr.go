package inet

import (
	"net/netip"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

var (
	one  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	one6 = netip.IPv6Loopback()
	any4 = netip.IPv4Unspecified()
	any6 = netip.IPv6Unspecified()
)

// span is what addresses a socket is bound to: one, all of a family, or with :: all of
// both, unless it has IPv6 only. The zero span is none. A mapped address is an IPv4 one.
type span struct {
	addr netip.Addr
	only bool
}

// part is what of a family's addresses it is: one, all (the unspecified one), or none.
func (a span) part(v4 bool) (netip.Addr, bool) {
	switch {
	case a.addr.Is4() == v4 && a.addr.IsValid():
		return a.addr, true
	case v4 && a.addr == any6 && !a.only:
		return any4, true
	}
	return netip.Addr{}, false
}

// dual reports whether it is both families.
func (a span) dual() bool { return a.addr == any6 && !a.only }

func (a span) covers(d netip.Addr) bool {
	x, ok := a.part(d.Is4())
	return ok && (x == d || x.IsUnspecified())
}

func (a span) overlaps(b span) bool {
	for _, v4 := range []bool{true, false} {
		x, ok := a.part(v4)
		y, ok2 := b.part(v4)
		if ok && ok2 && (x == y || x.IsUnspecified() || y.IsUnspecified()) {
			return true
		}
	}
	return false
}

// wildcard is what of an unbound socket's is bound to.
func (p *place) wildcard() span {
	if p.s.family == unix.AF_INET {
		return span{addr: any4}
	}
	return span{addr: any6, only: p.only6}
}

// own is the span that an address given to bind(2) means.
func (p *place) own(addr []byte) (span, uint16, error) {
	if p.s.family == unix.AF_INET && abi.SockaddrFamily(addr) == unix.AF_UNSPEC && len(addr) >= unix.SizeofSockaddrInet4 && [4]byte(addr[4:]) == [4]byte{} {
		addr = asInet4(addr)
	}
	if err := p.sized(addr); err != nil {
		return span{}, 0, err
	}
	if abi.SockaddrFamily(addr) != p.s.family {
		return span{}, 0, syscall.EAFNOSUPPORT
	}
	a, err := abi.ParseSockaddr(addr)
	if err != nil {
		return span{}, 0, err
	}
	ip := a.Addr()
	switch {
	case p.s.family == unix.AF_INET6 && ip.Is4() && p.only6:
		err = syscall.EINVAL
	case ip.IsMulticast() && ip.Is6() && p.s.typ == unix.SOCK_STREAM:
		err = syscall.EINVAL
	case ip.IsUnspecified(), ip == one6, ip.Is4() && ip.IsLoopback() && ip != broadcast:
	default:
		err = syscall.EADDRNOTAVAIL
	}
	return span{addr: ip, only: p.only6 && ip == any6}, a.Port(), err
}

// broadcast is lo's.
var broadcast = netip.AddrFrom4([4]byte{127, 255, 255, 255})

// sized refuses addresses that are too short for the socket's family.
func (p *place) sized(addr []byte) error {
	if p.s.family == unix.AF_INET6 && len(addr) < abi.SizeSockaddrInet6Min || len(addr) < unix.SizeofSockaddrInet4 {
		return syscall.EINVAL
	}
	return nil
}

// destination is where an address given to connect(2) or sendto(2) leads: one of the
// loopback's own.
func (p *place) destination(addr []byte) (netip.AddrPort, error) {
	var none netip.AddrPort
	family := abi.SockaddrFamily(addr)
	dgram := p.s.typ == unix.SOCK_DGRAM
	if !(dgram && family == unix.AF_INET) { // which an AF_INET6 one takes, too
		if err := p.sized(addr); err != nil {
			return none, err
		}
	}
	if family != p.s.family && !(dgram && family == unix.AF_INET) {
		return none, syscall.EAFNOSUPPORT
	}
	a, err := abi.ParseSockaddr(addr)
	if err != nil {
		return none, err
	}
	ip := a.Addr()
	if ip.IsUnspecified() {
		ip = p.nowhere(ip)
	}
	_, bound := p.at().part(ip.Is4())
	switch {
	case ip.Is4() && p.s.family == unix.AF_INET6 && p.only6:
		if family == unix.AF_INET {
			return none, syscall.EAFNOSUPPORT
		}
		return none, syscall.ENETUNREACH
	case ip == broadcast && dgram:
		return none, syscall.EACCES
	case ip.Is6() && ip.IsLinkLocalUnicast():
		return none, syscall.EINVAL // there is no link
	case ip == broadcast, !ip.IsLoopback():
		return none, syscall.ENETUNREACH
	case !bound && p.at().addr.IsValid() && ip.Is6():
		return none, syscall.EAFNOSUPPORT // from an IPv4 address
	}
	return netip.AddrPortFrom(ip, a.Port()), nil
}

// recipient is destination for sendto(2), which has other errors for what is no address
// of the socket's.
func (p *place) recipient(addr []byte) (netip.AddrPort, error) {
	if p.s.family == unix.AF_INET6 && len(addr) >= 2 {
		switch abi.SockaddrFamily(addr) {
		case unix.AF_INET6:
		case unix.AF_INET:
			if p.only6 {
				return netip.AddrPort{}, syscall.ENETUNREACH
			}
		default:
			return netip.AddrPort{}, syscall.EINVAL
		}
	}
	return p.destination(addr)
}

// nowhere is where a destination without an address leads: to the socket's own, or to
// the loopback's.
func (p *place) nowhere(ip netip.Addr) netip.Addr {
	own := p.at().addr
	switch {
	case ip.Is4() && own.Is4() && !own.IsUnspecified():
		return own
	case ip.Is4(), own.Is4():
		return one
	}
	return one6
}

// source is whence the socket sends to d.
func (p *place) source(d netip.Addr) netip.Addr {
	if own, ok := p.at().part(d.Is4()); ok && !own.IsUnspecified() {
		return own
	}
	if d.Is4() {
		return one
	}
	return one6
}

// at is the addresses at which the socket can be reached: once connected, one.
func (p *place) at() span {
	if p.local.IsValid() {
		return span{addr: p.local.Addr()}
	}
	return p.span
}

// name is what getsockname(2) says.
func (p *place) name() netip.AddrPort {
	switch {
	case p.local.IsValid():
		return p.local
	case p.addr.IsValid():
		return netip.AddrPortFrom(p.addr, p.shown)
	}
	return netip.AddrPortFrom(p.wildcard().addr, p.shown)
}
