package inet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// may implements realm. It refuses what has addresses of the host in it or could lead
// to others.
func (l *loopback) may(level, name int) bool {
	switch level {
	case unix.SOL_SOCKET:
		return name != unix.SO_MARK && name != unix.SO_DONTROUTE
	case unix.SOL_IP:
		switch name {
		case unix.IP_OPTIONS, unix.IP_RETOPTS, unix.IP_PKTOPTIONS, unix.IP_TRANSPARENT, unix.IP_MSFILTER, unix.MCAST_MSFILTER:
			return false
		}
	case unix.SOL_IPV6:
		return name != unix.IPV6_TRANSPARENT && name != unix.MCAST_MSFILTER
	case unix.SOL_TCP:
		return name != unix.TCP_SAVE_SYN && name != unix.TCP_SAVED_SYN
	}
	return true
}

// flag is where an option is kept that the host's socket has otherwise; nil for others.
func (p *place) flag(level, name int) *bool {
	switch {
	case level == unix.SOL_SOCKET && name == unix.SO_REUSEADDR:
		return &p.reuseAddr
	case level == unix.SOL_SOCKET && name == unix.SO_REUSEPORT:
		return &p.reusePort
	case level == unix.SOL_IPV6 && name == unix.IPV6_V6ONLY && p.s.family == unix.AF_INET6:
		return &p.only6
	case level == unix.SOL_IP && name == unix.IP_BIND_ADDRESS_NO_PORT:
		return &p.noPort
	}
	return nil
}

// option implements realm.
func (l *loopback) option(s *Socket, level, name int, value []byte) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	flag := placeOf(s).flag(level, name)
	if flag == nil {
		return getsockopt(s.fd, level, name, value)
	}
	var b [4]byte
	if *flag {
		b[0] = 1
	}
	return copy(value, b[:]), nil
}

// setOption implements realm.
func (l *loopback) setOption(s *Socket, level, name int, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := placeOf(s)
	if flag := p.flag(level, name); flag != nil {
		return l.setFlag(p, flag, value)
	}
	if done, err := l.setPlace(p, level, name, value); done {
		return err
	}
	return setsockopt(s.fd, level, name, value)
}

func (l *loopback) setFlag(p *place, flag *bool, value []byte) error {
	switch {
	case len(value) == 0, len(value) < 4 && flag != &p.noPort:
		return syscall.EINVAL
	case flag == &p.only6 && (l.numbered(p) || p.peer.IsValid() && !p.engaged):
		return syscall.EINVAL
	}
	*flag = bytes.ContainsFunc(value[:min(len(value), 4)], func(r rune) bool { return r != 0 })
	if p.hostPort != 0 {
		return p.reuse()
	}
	return nil
}

// setPlace sets the options that say where packets go, which can be to lo only; it
// reports whether it is one that the host must not hear of.
func (l *loopback) setPlace(p *place, level, name int, value []byte) (done bool, err error) {
	var n uint32
	if len(value) >= 4 {
		n = binary.NativeEndian.Uint32(value)
	}
	switch level {
	case unix.SOL_SOCKET:
		switch name {
		case unix.SO_BINDTODEVICE:
			device, _, _ := bytes.Cut(value, []byte{0})
			return len(device) > 0 && string(device) != "lo", syscall.ENODEV
		case unix.SO_BINDTOIFINDEX:
			return n > 1, syscall.ENODEV
		}
	case unix.SOL_IP:
		return multicast(name, n)
	case unix.SOL_IPV6:
		switch name {
		case unix.IPV6_PKTINFO:
			if len(value) < sizePktinfo6 {
				return true, syscall.EINVAL
			}
			own := netip.AddrFrom16([16]byte(value))
			if i := binary.NativeEndian.Uint32(value[16:]); own != any6 && own != one6 || i > 1 {
				return true, syscall.EINVAL
			}
			return true, nil // it is the source anyhow
		case unix.IPV6_RECVERR:
			// The host's errors are IPv4's.
			_ = setsockopt(p.s.fd, unix.SOL_IP, unix.IP_RECVERR, value)
			return false, nil
		}
		return multicast6(name, n)
	}
	return false, nil
}

// multicast refuses groups: lo has none.
func multicast(name int, n uint32) (bool, error) {
	switch name {
	case unix.IP_ADD_MEMBERSHIP, unix.IP_ADD_SOURCE_MEMBERSHIP, unix.MCAST_JOIN_GROUP, unix.MCAST_JOIN_SOURCE_GROUP:
		return true, syscall.ENODEV
	case unix.IP_DROP_MEMBERSHIP, unix.IP_DROP_SOURCE_MEMBERSHIP, unix.IP_BLOCK_SOURCE, unix.IP_UNBLOCK_SOURCE,
		unix.MCAST_LEAVE_GROUP, unix.MCAST_LEAVE_SOURCE_GROUP, unix.MCAST_BLOCK_SOURCE, unix.MCAST_UNBLOCK_SOURCE:
		return true, syscall.EADDRNOTAVAIL
	case unix.IP_MULTICAST_IF:
		return true, syscall.EADDRNOTAVAIL
	case unix.IP_UNICAST_IF:
		var lo [4]byte
		binary.BigEndian.PutUint32(lo[:], 1)
		return n != 0 && n != binary.NativeEndian.Uint32(lo[:]), syscall.EADDRNOTAVAIL
	}
	return false, nil
}

func multicast6(name int, n uint32) (bool, error) {
	switch name {
	case unix.IPV6_JOIN_GROUP, unix.IPV6_JOIN_ANYCAST, unix.MCAST_JOIN_GROUP, unix.MCAST_JOIN_SOURCE_GROUP:
		return true, syscall.ENODEV
	case unix.IPV6_LEAVE_GROUP, unix.IPV6_LEAVE_ANYCAST, unix.MCAST_LEAVE_GROUP, unix.MCAST_LEAVE_SOURCE_GROUP,
		unix.MCAST_BLOCK_SOURCE, unix.MCAST_UNBLOCK_SOURCE:
		return true, syscall.EADDRNOTAVAIL
	case unix.IPV6_MULTICAST_IF:
		return n > 1, syscall.ENODEV
	case unix.IPV6_UNICAST_IF:
		return multicast(unix.IP_UNICAST_IF, n)
	}
	return false, nil
}
