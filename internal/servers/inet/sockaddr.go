package inet

import (
	"net/netip"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// withIP returns an address like addr, with another IP. An IPv4 one in an AF_INET6
// address is mapped.
func withIP(addr []byte, ip netip.Addr) []byte {
	var out []byte
	if abi.SockaddrFamily(addr) == unix.AF_INET {
		out = make([]byte, unix.SizeofSockaddrInet4)
		b := ip.As4()
		copy(out, addr)
		copy(out[4:], b[:])
		return out
	}
	out = make([]byte, unix.SizeofSockaddrInet6)
	b := ip.As16()
	copy(out, addr)
	copy(out[8:], b[:])
	return out
}
