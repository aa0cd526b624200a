package inet

import (
	"net/netip"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// ICMP echo sockets have no ports but a number, which is the host's. All addresses of
// the loopback answer, as the host's own do: nobody else hears of it.

// echoAddr is the host's address for one of the guest's.
func (l *loopback) echoAddr(p *place, a netip.AddrPort) []byte {
	if p.s.family == unix.AF_INET && !a.Addr().IsUnspecified() {
		return l.host(unix.AF_INET, atOne, a.Port())
	}
	return abi.AppendSockaddr(nil, p.s.family, a)
}

func (l *loopback) connectEcho(p *place, addr []byte) error {
	d, err := p.destination(addr)
	if err != nil {
		return err
	}
	if err := connect(p.s.fd, l.echoAddr(p, d)); err != nil {
		return err
	}
	p.peer = d
	return nil
}

func (l *loopback) sendEcho(p *place, m *vfs.Packet, flags int) (int, error) {
	to := m.Addr
	if len(to) > 0 {
		d, err := p.destination(to)
		if err != nil {
			return 0, err
		}
		to = l.echoAddr(p, d)
	}
	return sendmsg(p.s.fd, m.Data, to, nil, flags)
}

// echoName is the guest's address for one that the host's socket has.
func (p *place) echoName(host []byte) []byte {
	a, err := abi.ParseSockaddr(host)
	if err != nil || !a.Addr().Is4() || a.Addr().IsUnspecified() {
		return host
	}
	return abi.AppendSockaddr(nil, p.s.family, netip.AddrPortFrom(one, a.Port()))
}
