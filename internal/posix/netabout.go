package posix

import (
	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// netAbout is what an operator is told of a socket: with whom it has to do. It is noted
// as calls go by, so that no server need be asked.
type netAbout struct {
	how  string // "to", "from", "listens on", "at"
	addr []byte
}

func (s *netSocket) note(how string, addr []byte) {
	s.about.Store(&netAbout{how, addr})
}

// String is for operators: "TCP to 127.0.0.1:80".
func (s *netSocket) String() string {
	text := ""
	switch {
	case s.family != unix.AF_INET && s.family != unix.AF_INET6:
	case s.typ == unix.SOCK_STREAM:
		text = "TCP"
	case s.protocol == unix.IPPROTO_ICMP || s.protocol == unix.IPPROTO_ICMPV6:
		text = "ICMP"
	case s.typ == unix.SOCK_DGRAM:
		text = "UDP"
	}
	if a := s.about.Load(); a != nil {
		if addr, err := abi.ParseSockaddr(a.addr); err == nil {
			text += " " + a.how + " " + addr.String()
		}
	}
	return text
}
