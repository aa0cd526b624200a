package netinfo

import (
	"context"
	"net/netip"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Static describes a network that does not change. To be embedded in a vfs.Network
// that is written in Go.
type Static struct {
	Links  []Link
	Addrs  []Addr
	Routes []Route
}

var _ vfs.NetDescriber = (*Static)(nil)

// Describe implements vfs.NetDescriber. Of routes to one address, that with the longest
// prefix counts, then that with the least metric.
func (s *Static) Describe(_ context.Context, q vfs.NetQuery) (b []byte, err error) {
	of := func(a netip.Addr) bool { return q.Family == unix.AF_UNSPEC || q.Family == family(a) }
	switch q.Type {
	case unix.RTM_GETLINK:
		for i := range s.Links {
			b = s.Links[i].Append(b)
		}
	case unix.RTM_GETADDR:
		for i := range s.Addrs {
			if of(s.Addrs[i].Local.Addr()) {
				b = s.Addrs[i].Append(b)
			}
		}
	case unix.RTM_GETROUTE:
		if q.To != nil {
			return s.route(q.To)
		}
		for i := range s.Routes {
			if of(s.Routes[i].To.Addr()) {
				b = s.Routes[i].Append(b)
			}
		}
	case unix.RTM_GETRULE:
		for _, f := range []uint8{unix.AF_INET, unix.AF_INET6} {
			if q.Family == unix.AF_UNSPEC || q.Family == f {
				b = appendRules(b, f)
			}
		}
	case unix.RTM_GETNEIGH:
	default:
		return nil, syscall.EOPNOTSUPP
	}
	return b, nil
}

const rtcfLocal = 1 << 31 // of <linux/in_route.h>

// appendRules writes the rules that Linux begins with: all look into the local table,
// the main one and, IPv4's, the default one.
func appendRules(b []byte, family uint8) []byte {
	const fraProtocol = 21
	tables := []uint8{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN, unix.RT_TABLE_DEFAULT}
	for i, table := range tables {
		if family == unix.AF_INET6 && table == unix.RT_TABLE_DEFAULT {
			break
		}
		body := []byte{family, 0, 0, 0, table, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}
		body = appendUint32(body, unix.FRA_TABLE, uint32(table))
		body = appendUint32(body, unix.FRA_SUPPRESS_PREFIXLEN, 1<<32-1)
		body = AppendAttr(body, fraProtocol, []byte{unix.RTPROT_KERNEL})
		if i > 0 {
			body = appendUint32(body, unix.FRA_PRIORITY, uint32(32765+i))
		}
		b = Message{Type: unix.RTM_NEWRULE, Body: body}.Append(b)
	}
	return b
}

func (s *Static) route(to []byte) ([]byte, error) {
	addr, ok := netip.AddrFromSlice(to)
	if !ok {
		return nil, syscall.EINVAL
	}
	var best *Route
	for i := range s.Routes {
		r := &s.Routes[i]
		if r.Type != unix.RTN_BROADCAST && r.To.Contains(addr) && (best == nil || r.To.Bits() > best.To.Bits() ||
			r.To.Bits() == best.To.Bits() && r.Metric < best.Metric) {
			best = r
		}
	}
	if best == nil {
		return nil, syscall.ENETUNREACH
	}
	r := *best
	r.To = netip.PrefixFrom(addr, addr.BitLen())
	switch {
	case addr.Is4():
		// As Linux: what was looked up is a copy, of the main table.
		r.Table, r.Protocol, r.Scope, r.Flags = unix.RT_TABLE_MAIN, unix.RTPROT_UNSPEC, unix.RT_SCOPE_UNIVERSE, unix.RTM_F_CLONED
		if r.Type == unix.RTN_LOCAL {
			r.Flags |= rtcfLocal
		}
	case r.Type == unix.RTN_LOCAL && !r.From.IsValid():
		r.From = addr
	}
	return r.Append(nil), nil
}

// Loopback is a network that has lo only, with 127.0.0.1/8 and ::1/128.
func Loopback() *Static {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	net4, bcast := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParseAddr("127.255.255.255")
	host := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	local := Route{Index: 1, Table: unix.RT_TABLE_LOCAL, Protocol: unix.RTPROT_KERNEL, Scope: unix.RT_SCOPE_HOST, Type: unix.RTN_LOCAL, From: v4}
	broadcast := local
	broadcast.Scope, broadcast.Type = unix.RT_SCOPE_LINK, unix.RTN_BROADCAST
	local6 := Route{Index: 1, Table: unix.RT_TABLE_LOCAL, Protocol: unix.RTPROT_KERNEL, Type: unix.RTN_LOCAL, To: host(v6)}
	with := func(r Route, to netip.Prefix) Route { r.To = to; return r }
	return &Static{
		Links: []Link{{
			Index: 1, Name: "lo", Type: unix.ARPHRD_LOOPBACK, Flags: unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING | unix.IFF_LOWER_UP,
			MTU: 65536, TxQueue: 1000, Addr: make([]byte, 6), Broadcast: make([]byte, 6), Qdisc: "noqueue",
		}},
		Addrs: []Addr{
			{Index: 1, Local: netip.PrefixFrom(v4, 8), Scope: unix.RT_SCOPE_HOST, Flags: unix.IFA_F_PERMANENT, Label: "lo"},
			{Index: 1, Local: netip.PrefixFrom(v6, 128), Scope: unix.RT_SCOPE_HOST, Flags: unix.IFA_F_PERMANENT},
		},
		Routes: []Route{with(local, net4), with(local, host(v4)), with(broadcast, host(bcast)), local6},
	}
}
