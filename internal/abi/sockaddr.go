package abi

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// SizeSockaddrInet6Min is all that Linux asks for of an IPv6 address (SIN6_LEN_RFC2133):
// without its scope.
const SizeSockaddrInet6Min = 24

// SockaddrFamily is the family of a struct sockaddr; -1 if it is too short to have one.
func SockaddrFamily(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	return int(le.Uint16(b))
}

// ParseSockaddr returns what a struct sockaddr_in or sockaddr_in6 says, mapped IPv4 as
// such and without a scope. Another family is EAFNOSUPPORT, one that is too short EINVAL.
func ParseSockaddr(b []byte) (netip.AddrPort, error) {
	var ip netip.Addr
	switch family := SockaddrFamily(b); {
	case family == unix.AF_INET && len(b) >= unix.SizeofSockaddrInet4:
		ip = netip.AddrFrom4([4]byte(b[4:]))
	case family == unix.AF_INET6 && len(b) >= SizeSockaddrInet6Min:
		ip = netip.AddrFrom16([16]byte(b[8:]))
	case family == unix.AF_INET, family == unix.AF_INET6, family == -1:
		return netip.AddrPort{}, syscall.EINVAL
	default:
		return netip.AddrPort{}, syscall.EAFNOSUPPORT
	}
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(b[2:])), nil
}

// AppendSockaddr appends an address as sockets of family (AF_INET or AF_INET6) have it:
// those of AF_INET6 see IPv4 ones mapped, those of AF_INET no IPv6 ones (0.0.0.0).
func AppendSockaddr(b []byte, family int, a netip.AddrPort) []byte {
	b = le.AppendUint16(b, uint16(family))
	b = binary.BigEndian.AppendUint16(b, a.Port())
	if family == unix.AF_INET {
		ip := [4]byte{}
		if a.Addr().Is4() {
			ip = a.Addr().As4()
		}
		return append(append(b, ip[:]...), make([]byte, 8)...)
	}
	ip := a.Addr().As16()
	b = append(b, 0, 0, 0, 0) // no flow
	return append(append(b, ip[:]...), 0, 0, 0, 0)
}
