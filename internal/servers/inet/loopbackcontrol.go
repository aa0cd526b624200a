package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// Where struct cmsghdr and what follows it have what.
const (
	sizePktinfo  = 12 // interface, source, destination
	sizePktinfo6 = 20 // address, interface
	// In struct sock_extended_err, and the address after it.
	offOrigin   = 4 // and type, and code
	offOffender = 16
)

// Why a datagram did not arrive.
const (
	icmp6Unreachable = 1
	icmp6NoPort      = 4
)

// eachControl calls f with the ancillary data in b, one after the other.
func eachControl(b []byte, f func(level, typ int, data []byte) error) error {
	for {
		h, data, rest, more, valid := abi.NextCmsg(b)
		if !more || !valid {
			return nil // or it was cut off
		}
		if err := f(int(h.Level), int(h.Type), data); err != nil {
			return err
		}
		b = rest
	}
}

func isPktinfo6(level, typ int) bool {
	return level == unix.SOL_IPV6 && (typ == unix.IPV6_PKTINFO || typ == unix.IPV6_2292PKTINFO)
}

// controlTo is what the host gets of ancillary data, for a message that is to come from
// its address that ends with last. Where guests may choose the source, it is one of the
// loopback's.
func (l *loopback) controlTo(p *place, control []byte, last byte) ([]byte, error) {
	if len(control) == 0 && last == atOne {
		return nil, nil
	}
	out := append(make([]byte, 0, unix.CmsgSpace(len(control))+unix.CmsgSpace(sizePktinfo6)), control...)
	source := l.host(unix.AF_INET6, last, 0)[8:24]
	said := false
	err := eachControl(out, func(level, typ int, data []byte) error {
		switch {
		case level == unix.SOL_IP && typ == unix.IP_PKTINFO && len(data) >= sizePktinfo:
			own := netip.AddrFrom4([4]byte(data[4:]))
			if !own.IsUnspecified() && (!own.IsLoopback() || own == broadcast) {
				return syscall.EINVAL
			}
			copy(data[4:8], source[12:])
			return takeInterface(data[:4])
		case isPktinfo6(level, typ) && len(data) >= sizePktinfo6:
			own := netip.AddrFrom16([16]byte(data)).Unmap()
			if !own.IsUnspecified() && !own.IsLoopback() {
				return syscall.EINVAL
			}
			copy(data, source)
			said = true
			return takeInterface(data[16:20])
		}
		return nil
	})
	if err == nil && last != atOne && !said {
		out = out[:(len(out)+7)&^7]
		out = appendControl(out, unix.SOL_IPV6, unix.IPV6_PKTINFO, append(source, 0, 0, 0, 0))
	}
	return out, err
}

// takeInterface takes an interface's number, which can be lo's only, out of a message.
func takeInterface(b []byte) error {
	if n := binary.NativeEndian.Uint32(b); n > 1 {
		return syscall.ENODEV
	}
	clear(b)
	return nil
}

// controlFrom makes the guest's addresses of the host's in the ancillary data of a
// message that came to own; an error came from peer. What only IPv4 packets have is not
// with those that are IPv6 to the guest.
func (l *loopback) controlFrom(p *place, control []byte, own netip.Addr, peer netip.AddrPort) []byte {
	left := control[:0]
	own16 := own.As16()
	_ = eachControl(control, func(level, typ int, data []byte) error {
		switch {
		case level == unix.SOL_IP && own.Is6():
			return nil
		case level == unix.SOL_IP && typ == unix.IP_PKTINFO && len(data) >= sizePktinfo:
			copy(data[4:], own16[12:])
			copy(data[8:], own16[12:])
		case isPktinfo6(level, typ) && len(data) >= sizePktinfo6:
			copy(data, own16[:])
		case level == unix.SOL_IP && typ == unix.IP_RECVORIGDSTADDR:
			copy(data, abi.AppendSockaddr(nil, unix.AF_INET, netip.AddrPortFrom(own, p.port)))
		case level == unix.SOL_IPV6 && typ == unix.IPV6_RECVORIGDSTADDR:
			copy(data, abi.AppendSockaddr(nil, unix.AF_INET6, netip.AddrPortFrom(own, p.port)))
		case (level == unix.SOL_IP && typ == unix.IP_RECVERR || level == unix.SOL_IPV6 && typ == unix.IPV6_RECVERR) && len(data) > offOffender+2:
			if data[offOrigin] == unix.SO_EE_ORIGIN_ICMP && own.Is6() {
				copy(data[offOrigin:], []byte{unix.SO_EE_ORIGIN_ICMP6, icmp6Unreachable, icmp6NoPort}) // all that lo tells
			}
			offender := data[offOffender:]
			if family := abi.SockaddrFamily(offender); family == unix.AF_INET || family == unix.AF_INET6 {
				copy(offender, abi.AppendSockaddr(nil, family, netip.AddrPortFrom(peer.Addr(), 0)))
			}
		}
		left = appendControl(left, level, typ, data)
		return nil
	})
	return left
}

// appendControl adds to ancillary data; data may lie behind b, in the same memory.
func appendControl(b []byte, level, typ int, data []byte) []byte {
	at := len(b)
	b = b[:min(cap(b), at+unix.CmsgSpace(len(data)))]
	copy(b[at+unix.SizeofCmsghdr:], data)
	binary.NativeEndian.PutUint64(b[at:], uint64(unix.SizeofCmsghdr+len(data)))
	binary.NativeEndian.PutUint32(b[at+8:], uint32(level))
	binary.NativeEndian.PutUint32(b[at+12:], uint32(typ))
	return b
}
