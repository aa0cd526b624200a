package inet

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// What the host lets the privileged do only, or should, is refused to guests whatever
// the rights of this process are, so that it is not more dangerous to run it as root.

// mayValue refuses values of options by which a guest would have more of the host than
// any program that runs there.
func mayValue(level, name int, value []byte) error {
	refused := false
	switch v := intOf(value); [2]int{level, name} {
	case [2]int{unix.SOL_SOCKET, unix.SO_MARK}, // chooses other routes, and passes filters
		[2]int{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE}, // any amount of memory
		[2]int{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE},
		[2]int{unix.SOL_IPV6, unix.IPV6_JOIN_ANYCAST}: // an address of the host's
		refused = true
	case [2]int{unix.SOL_SOCKET, unix.SO_PRIORITY}:
		refused = v < 0 || v > 6
	case [2]int{unix.SOL_SOCKET, unix.SO_BUSY_POLL}, // the host's processors
		[2]int{unix.SOL_IP, unix.IP_TRANSPARENT}, // others' addresses
		[2]int{unix.SOL_IPV6, unix.IPV6_TRANSPARENT}:
		refused = v != 0
	case [2]int{unix.SOL_SOCKET, unix.SO_DEBUG}:
		if v != 0 {
			return syscall.EACCES
		}
	case [2]int{unix.SOL_IP, unix.IP_OPTIONS}: // source routes
		refused = len(value) > 0
	case [2]int{unix.SOL_TCP, unix.TCP_CONGESTION}:
		return mayCongestion(value)
	}
	if refused {
		return syscall.EPERM
	}
	return nil
}

// intOf is an option's value as Linux reads it.
func intOf(value []byte) int {
	switch {
	case len(value) >= 4:
		return int(int32(binary.NativeEndian.Uint32(value)))
	case len(value) > 0:
		return int(value[0])
	}
	return 0
}

// mayCongestion allows the algorithms that all may use: for the privileged the host
// would load modules by any name.
func mayCongestion(value []byte) error {
	if len(value) == 0 {
		return syscall.EINVAL
	}
	name, _, _ := bytes.Cut(value, []byte{0})
	for _, file := range []string{"allowed", "available"} {
		b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_" + file + "_congestion_control")
		if err != nil {
			return syscall.EPERM
		}
		if slices.Contains(strings.Fields(string(b)), string(name)) {
			if file == "allowed" {
				return nil
			}
			return syscall.EPERM
		}
	}
	return syscall.ENOENT
}

// controls are the ancillary data that a guest may send.
var controls = map[[2]int]bool{
	{unix.SOL_SOCKET, unix.SO_TIMESTAMPING}:     true,
	{unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW}: true,
	{unix.SOL_IP, unix.IP_PKTINFO}:              true,
	{unix.SOL_IP, unix.IP_TTL}:                  true,
	{unix.SOL_IP, unix.IP_TOS}:                  true,
	{unix.SOL_IPV6, unix.IPV6_PKTINFO}:          true,
	{unix.SOL_IPV6, unix.IPV6_2292PKTINFO}:      true,
	{unix.SOL_IPV6, unix.IPV6_HOPLIMIT}:         true,
	{unix.SOL_IPV6, unix.IPV6_2292HOPLIMIT}:     true,
	{unix.SOL_IPV6, unix.IPV6_TCLASS}:           true,
	{unix.SOL_IPV6, unix.IPV6_DONTFRAG}:         true,
	{unix.SOL_UDP, unix.UDP_SEGMENT}:            true,
}

// mayControl returns the ancillary data of b that goes to the host: without what Linux
// passes over, such as descriptors.
func (s *Socket) mayControl(b []byte) ([]byte, error) {
	var kept []byte
	for {
		h, _, rest, more, valid := abi.NextCmsg(b)
		if !more {
			return kept, nil
		}
		if !valid {
			return nil, syscall.EINVAL
		}
		level, typ := int(h.Level), int(h.Type)
		one := b[:len(b)-len(rest)]
		b = rest
		allowed := controls[[2]int{level, typ}] && s.realm.may(level, typ)
		switch level {
		case unix.SOL_SOCKET:
			switch {
			case typ == unix.SCM_RIGHTS || typ == unix.SCM_CREDENTIALS:
				continue
			case typ == unix.SO_MARK:
				return nil, syscall.EPERM
			}
		case unix.SOL_IP, unix.SOL_IPV6, unix.SOL_UDP:
			if s.typ == unix.SOCK_STREAM {
				continue
			}
		default:
			continue
		}
		if !allowed {
			return nil, syscall.EINVAL
		}
		kept = append(kept, one...)
	}
}
