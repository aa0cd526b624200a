package inet

import (
	"net/netip"
	"slices"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// What a dialed network has in common with its loopback.

// The guest's interface to the outside, as programs see it: what is bound to its
// address is bound to the loopback.
var (
	guestPrefix = netip.MustParsePrefix("10.0.2.15/24")
	guestAddr   = guestPrefix.Addr()
	routerAddr  = netip.MustParseAddr("10.0.2.2")
)

// withInterface is a loopback's description with the interface.
func withInterface(lo *netinfo.Static) *netinfo.Static {
	const index = 2
	broadcast := netip.MustParseAddr("10.0.2.255")
	route := netinfo.Route{Index: index, Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_KERNEL, Scope: unix.RT_SCOPE_LINK, Type: unix.RTN_UNICAST}
	direct, world, local := route, route, route
	direct.To, direct.From = guestPrefix.Masked(), guestAddr
	world.To, world.Gateway = netip.PrefixFrom(netip.IPv4Unspecified(), 0), routerAddr
	world.Protocol, world.Scope = unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE
	local.To, local.From = netip.PrefixFrom(guestAddr, 32), guestAddr
	local.Table, local.Scope, local.Type = unix.RT_TABLE_LOCAL, unix.RT_SCOPE_HOST, unix.RTN_LOCAL
	return &netinfo.Static{
		Links: append(slices.Clone(lo.Links), netinfo.Link{
			Index: index, Name: "eth0", Type: unix.ARPHRD_ETHER, MTU: 1500, TxQueue: 1000, Qdisc: "noqueue",
			Flags: unix.IFF_UP | unix.IFF_BROADCAST | unix.IFF_RUNNING | unix.IFF_LOWER_UP,
			Addr:  []byte{2, 0, 10, 0, 2, 15}, Broadcast: []byte{255, 255, 255, 255, 255, 255},
		}),
		Addrs: append(slices.Clone(lo.Addrs), netinfo.Addr{
			Index: index, Local: guestPrefix, Broadcast: broadcast, Scope: unix.RT_SCOPE_UNIVERSE, Flags: unix.IFA_F_PERMANENT, Label: "eth0",
		}),
		Routes: append([]netinfo.Route{world, direct, local}, lo.Routes...),
	}
}

// within returns addr as the loopback knows it.
func within(addr []byte) []byte {
	if a, err := abi.ParseSockaddr(addr); err == nil && a.Addr() == guestAddr {
		return withIP(addr, one)
	}
	return addr
}

// connectOut has a socket of datagrams be connected to a gateway, which the guest knows
// as to.
func (l *loopback) connectOut(s *Socket, gate []byte, to netip.AddrPort) error {
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := connect(s.fd, gate); err != nil {
		return err
	}
	l.leave(p)
	own := p.source(one)
	if !to.Addr().Is4() {
		own = p.source(one6)
	}
	if own.IsLoopback() && to.Addr().Is4() {
		own = guestAddr
	}
	p.local, p.peer, p.target = netip.AddrPortFrom(own, p.port), to, 0
	l.sends(p)
	l.redirect(portKey{p.protocol, p.port})
	return nil
}

// expect announces a connection to s from a gateway, by which somebody outside comes.
func (l *loopback) expect(s *Socket, gate, from netip.AddrPort) {
	p := placeOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	to := p.name()
	if to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(guestAddr, to.Port())
	}
	if l.arrivals[p.hostPort] == nil {
		l.arrivals[p.hostPort] = map[netip.AddrPort]arrival{}
	}
	l.arrivals[p.hostPort][gate] = arrival{from: from, to: to}
}
