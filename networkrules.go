package hati

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/inet"
)

// NetworkRules say what of the host's network programs may use.
type NetworkRules struct {
	// Allow is where programs may connect and send to, and listen at; nil is
	// everywhere. What is in Deny is refused nevertheless. To listen at all addresses
	// of the host, 0.0.0.0 or :: must be in Allow.
	Allow, Deny []AddrRange
	// Check, when not nil, is asked about what those let pass. An error refuses: with
	// the syscall.Errno in it, else with EACCES ("Permission denied"), which is what
	// connect(2) says of a local firewall.
	//
	// op is "connect", "send" (a datagram, to an address of its own), "bind" or
	// "listen"; network is "tcp", "udp", "udplite" or "icmp", which has no ports. IPv4
	// addresses written as IPv6 ones arrive as IPv4, no address has a zone, and for
	// 0.0.0.0 or :: as a destination comes what Linux makes of it. It is called
	// concurrently, and the program waits for it; ctx ends when that gives up, and has
	// its identity ([vfs.CallerOf]).
	//
	// It is this process that is asked: such a network is not served by another one,
	// and an isolated process that has it keeps its sockets ([Isolate]).
	Check func(ctx context.Context, op, network string, addr netip.AddrPort) error `json:"-"`
}

// HostNetworkRules is [HostNetwork] within rules. Each destination is asked about when
// a program connects or sends to it; what arrives is not, so that who may be sent
// datagrams to can be answered by others. Programs cannot join multicast groups,
// choose the interface or set IP options there: ENOPROTOOPT.
func HostNetworkRules(r NetworkRules) Network {
	n := NetworkServer(inet.HostRules(r.check))
	n.kind = networkHost
	if r.Check == nil {
		n.spec = &serverSpec{Kind: "net", Args: []string{"host"}, Rules: &r}
	}
	return n
}

func (r *NetworkRules) check(ctx context.Context, op, network string, addr netip.AddrPort) error {
	// Any port is what every client has.
	client := op == "bind" && addr.Port() == 0
	if inRanges(r.Deny, addr) || r.Allow != nil && !client && !inRanges(r.Allow, addr) {
		return syscall.EACCES
	}
	if r.Check != nil {
		return r.Check(ctx, op, network, addr)
	}
	return nil
}

// AddrRange is a range of addresses and ports.
type AddrRange struct {
	// Prefix has the addresses. IPv4 and IPv6 are apart: none of ::/0 is IPv4, but
	// ::ffff:10.0.0.0/104 is 10.0.0.0/8.
	Prefix netip.Prefix
	// First and Last are the ports; Last 0 is First alone, and both 0 are all, and what
	// has no ports.
	First, Last uint16
}

// Contains reports whether an address is in the range.
func (r AddrRange) Contains(a netip.AddrPort) bool {
	p := r.Prefix
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Contains(a.Addr().Unmap().WithZone("")) && (r.allPorts() || r.First <= a.Port() && a.Port() <= r.last())
}

func (r AddrRange) allPorts() bool { return r.First == 0 && r.Last == 0 }

func (r AddrRange) last() uint16 {
	if r.Last == 0 {
		return r.First
	}
	return r.Last
}

func (r AddrRange) String() string {
	s := r.Prefix.String()
	if r.allPorts() {
		return s
	}
	if r.Prefix.Addr().Is6() {
		s = "[" + s + "]"
	}
	s += ":" + strconv.Itoa(int(r.First))
	if r.last() != r.First {
		s += "-" + strconv.Itoa(int(r.last()))
	}
	return s
}

func inRanges(ranges []AddrRange, a netip.AddrPort) bool {
	for _, r := range ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// ParseAddrRanges understands an address (10.0.0.1, ::1), a network (10.0.0.0/8), *
// for all of both families, or a name, with a port or ports if not all are meant:
// 10.0.0.0/8:443, [fd00::/8]:8000-8999, example.com:443. A name is looked up now, once:
// all the addresses that it has are meant.
func ParseAddrRanges(ctx context.Context, s string) ([]AddrRange, error) {
	host, ports, err := cutPorts(s)
	if err != nil {
		return nil, fmt.Errorf("address range %q: %w", s, err)
	}
	var r AddrRange
	if ports != "" {
		first, last, isRange := strings.Cut(ports, "-")
		if !isRange {
			last = first
		}
		if r.First, err = parsePort(first); err == nil {
			r.Last, err = parsePort(last)
		}
		if err != nil || r.First > r.Last {
			return nil, fmt.Errorf("address range %q: ports are a number from 1 to 65535, or two with - between them: %w", s, syscall.EINVAL)
		}
	}
	prefixes, err := parsePrefixes(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("address range %q: %w", s, err)
	}
	var all []AddrRange
	for _, p := range prefixes {
		r.Prefix = p
		all = append(all, r)
	}
	return all, nil
}

// cutPorts cuts HOST[:PORTS], [HOST][:PORTS], or an IPv6 address.
func cutPorts(s string) (host, ports string, err error) {
	found := false
	if inner, ok := strings.CutPrefix(s, "["); ok {
		var rest string
		if host, rest, ok = strings.Cut(inner, "]"); !ok {
			return "", "", fmt.Errorf("there is no ]: %w", syscall.EINVAL)
		}
		if ports, found = strings.CutPrefix(rest, ":"); !found && rest != "" {
			return "", "", fmt.Errorf("after ] comes nothing, or :PORT: %w", syscall.EINVAL)
		}
	} else if strings.Count(s, ":") == 1 {
		host, ports, found = strings.Cut(s, ":")
	} else {
		host = s
	}
	if host == "" || found && ports == "" {
		return "", "", fmt.Errorf("want ADDRESS, ADDRESS/BITS or NAME, and perhaps :PORT: %w", syscall.EINVAL)
	}
	return host, ports, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && n == 0 {
		err = syscall.EINVAL
	}
	return uint16(n), err
}

func parsePrefixes(ctx context.Context, s string) ([]netip.Prefix, error) {
	if s == "*" {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}, nil
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return []netip.Prefix{p.Masked()}, nil
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(s); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", s); err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, ip := range ips {
		ip = ip.Unmap().WithZone("")
		prefixes = append(prefixes, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return prefixes, nil
}
