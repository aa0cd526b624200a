package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes of addresses: SIN6_LEN_RFC2133 is all that the host asks for of an IPv6 one.
const (
	sizeInet4    = 16
	sizeInet6    = 28
	sizeInet6Min = 24
)

func familyOf(addr []byte) int {
	if len(addr) < 2 {
		return -1
	}
	return int(binary.NativeEndian.Uint16(addr))
}

// parseAddr returns what an address of AF_INET or AF_INET6 says, mapped IPv4 as such
// and without a scope.
func parseAddr(addr []byte) (netip.AddrPort, error) {
	var ip netip.Addr
	switch family := familyOf(addr); {
	case family == unix.AF_INET && len(addr) >= sizeInet4:
		ip = netip.AddrFrom4([4]byte(addr[4:]))
	case family == unix.AF_INET6 && len(addr) >= sizeInet6Min:
		ip = netip.AddrFrom16([16]byte(addr[8:]))
	case family == unix.AF_INET, family == unix.AF_INET6, family == -1:
		return netip.AddrPort{}, syscall.EINVAL
	default:
		return netip.AddrPort{}, syscall.EAFNOSUPPORT
	}
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(addr[2:])), nil
}

// withIP returns an address like addr, with another IP. An IPv4 one in an AF_INET6
// address is mapped.
func withIP(addr []byte, ip netip.Addr) []byte {
	var out []byte
	if familyOf(addr) == unix.AF_INET {
		out = make([]byte, sizeInet4)
		b := ip.As4()
		copy(out, addr)
		copy(out[4:], b[:])
		return out
	}
	out = make([]byte, sizeInet6)
	b := ip.As16()
	copy(out, addr)
	copy(out[8:], b[:])
	return out
}
