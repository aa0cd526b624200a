package posix

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// procNet are the tables below /proc/net: of the box's own sockets, and of what the
// network says that it is made of.
func (k *Kernel) procNet(ctx context.Context, name string) ([]byte, error) {
	switch name {
	case "unix":
		return k.procNetUnix(), nil
	case "dev":
		return k.procNetDev(ctx)
	case "if_inet6":
		return k.procNetInet6(ctx)
	case "route":
		return k.procNetRoute(ctx)
	case "ipv6_route":
		return k.procNetRoute6(ctx)
	case "arp":
		return k.procNetARP(ctx)
	case "packet":
		return []byte("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"), nil
	case "netlink":
		return []byte("sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"), nil
	case "snmp":
		return k.procNetSNMP(ctx), nil
	case "sockstat", "sockstat6":
		return k.procNetSockstat(name == "sockstat6"), nil
	}
	if t, ok := socketTables[name]; ok {
		return k.procNetSockets(ctx, t), nil
	}
	return nil, nil // counters, which nobody keeps here
}

func (k *Kernel) procNetDev(ctx context.Context) ([]byte, error) {
	b := []byte("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	links, err := k.links(ctx)
	for _, l := range links {
		s := l.Stats
		b = fmt.Appendf(b, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n", l.Name,
			s.RxBytes, s.RxPackets, s.RxErrors, s.RxDropped+s.RxMissed, s.RxFIFO,
			s.RxLength+s.RxOver+s.RxCRC+s.RxFrame, s.RxCompressed, s.Multicast,
			s.TxBytes, s.TxPackets, s.TxErrors, s.TxDropped, s.TxFIFO, s.Collisions,
			s.TxCarrier+s.TxAborted+s.TxWindow+s.TxHeartbeat, s.TxCompressed)
	}
	return b, err
}

func (k *Kernel) procNetInet6(ctx context.Context) ([]byte, error) {
	names, err := k.linkNames(ctx)
	if err != nil {
		return nil, err
	}
	all, err := k.addrs(ctx)
	var b []byte
	for _, a := range all {
		addr := a.Local.Addr()
		if !addr.Is6() {
			continue
		}
		scope := 0 // IPV6_ADDR_ bits
		switch {
		case addr.IsLoopback():
			scope = 0x10
		case addr.IsLinkLocalUnicast():
			scope = 0x20
		}
		b = fmt.Appendf(b, "%x %02x %02x %02x %02x %8s\n", addr.AsSlice(), a.Index, a.Local.Bits(), scope, uint8(a.Flags), names[a.Index])
	}
	return b, err
}

// Flags of routes in /proc/net, of <linux/route.h> and <linux/ipv6_route.h>.
const (
	rtfUp      = 0x1
	rtfGateway = 0x2
	rtfHost    = 0x4
	rtfReject  = 0x200
	rtfAnycast = 0x100000
	rtfNoHop   = 0x200000
	rtfLocal   = 0x80000000
)

func routeFlags(r *netinfo.Route) uint32 {
	flags := uint32(rtfUp)
	if r.Gateway.IsValid() {
		flags |= rtfGateway
	}
	switch r.Type {
	case unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_BLACKHOLE:
		flags |= rtfReject
	}
	return flags
}

// word is an IPv4 address as the kernel prints it: a number in the processor's order.
func word(a netip.Addr) []byte {
	if !a.Is4() {
		return make([]byte, 4)
	}
	return reversed(a.AsSlice())
}

// reversed turns every four bytes around, as a processor with the lowest byte first
// reads them.
func reversed(b []byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i+4 <= len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	return b
}

func (k *Kernel) procNetRoute(ctx context.Context) ([]byte, error) {
	b := fmt.Appendf(nil, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT")
	names, err := k.linkNames(ctx)
	if err != nil {
		return nil, err
	}
	routes, err := k.routes(ctx)
	for i := range routes {
		r := &routes[i]
		if !r.To.Addr().Is4() || r.Table != unix.RT_TABLE_MAIN || r.Type == unix.RTN_BROADCAST || r.Type == unix.RTN_MULTICAST {
			continue
		}
		flags := routeFlags(r)
		if r.To.Bits() == 32 {
			flags |= rtfHost
		}
		name := names[r.Index]
		if name == "" {
			name = "*"
		}
		mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), r.To.Bits()).Masked().Addr()
		line := fmt.Sprintf("%s\t%08X\t%08X\t%04X\t%d\t%d\t%d\t%08X\t%d\t%d\t%d", name, word(r.To.Addr()), word(r.Gateway), flags,
			0, 0, r.Metric, word(mask), 0, 0, 0)
		b = fmt.Appendf(b, "%-127s\n", line)
	}
	return b, err
}

func (k *Kernel) procNetRoute6(ctx context.Context) ([]byte, error) {
	names, err := k.linkNames(ctx)
	if err != nil {
		return nil, err
	}
	routes, err := k.routes(ctx)
	var b []byte
	none := netip.IPv6Unspecified().AsSlice()
	for i := range routes {
		r := &routes[i]
		if !r.To.Addr().Is6() {
			continue
		}
		flags := routeFlags(r)
		switch r.Type {
		case unix.RTN_LOCAL:
			flags |= rtfLocal | rtfNoHop
		case unix.RTN_ANYCAST:
			flags |= rtfAnycast
		}
		gateway := none
		if r.Gateway.Is6() {
			gateway = r.Gateway.AsSlice()
		}
		b = fmt.Appendf(b, "%x %02x %x %02x %x %08x %08x %08x %08x %8s\n", r.To.Addr().AsSlice(), r.To.Bits(), none, 0, gateway,
			r.Metric, 1, 0, flags, names[r.Index])
	}
	return b, err
}
