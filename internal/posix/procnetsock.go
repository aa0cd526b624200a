package posix

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// socketTable is a table of sockets in /proc/net.
type socketTable struct {
	family, typ int
	protocols   [2]int // socket(2)'s
}

var socketTables = map[string]socketTable{
	"tcp":      {unix.AF_INET, unix.SOCK_STREAM, [2]int{0, unix.IPPROTO_TCP}},
	"tcp6":     {unix.AF_INET6, unix.SOCK_STREAM, [2]int{0, unix.IPPROTO_TCP}},
	"udp":      {unix.AF_INET, unix.SOCK_DGRAM, [2]int{0, unix.IPPROTO_UDP}},
	"udp6":     {unix.AF_INET6, unix.SOCK_DGRAM, [2]int{0, unix.IPPROTO_UDP}},
	"udplite":  {unix.AF_INET, unix.SOCK_DGRAM, [2]int{unix.IPPROTO_UDPLITE, unix.IPPROTO_UDPLITE}},
	"udplite6": {unix.AF_INET6, unix.SOCK_DGRAM, [2]int{unix.IPPROTO_UDPLITE, unix.IPPROTO_UDPLITE}},
	"icmp":     {unix.AF_INET, unix.SOCK_DGRAM, [2]int{unix.IPPROTO_ICMP, unix.IPPROTO_ICMP}},
	"icmp6":    {unix.AF_INET6, unix.SOCK_DGRAM, [2]int{unix.IPPROTO_ICMPV6, unix.IPPROTO_ICMPV6}},
	"raw":      {unix.AF_INET, unix.SOCK_RAW, [2]int{-1, -1}},
	"raw6":     {unix.AF_INET6, unix.SOCK_RAW, [2]int{-1, -1}},
}

func (t socketTable) has(s *netSocket) bool {
	return s.family == t.family && s.typ == t.typ && (s.protocol == t.protocols[0] || s.protocol == t.protocols[1])
}

func (k *Kernel) procNetSockets(ctx context.Context, t socketTable) []byte {
	const (
		tail  = " tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
		more  = " ref pointer drops"
		head6 = "sl  local_address                         remote_address                        st"
	)
	stream, six := t.typ == unix.SOCK_STREAM, t.family == unix.AF_INET6
	width := 127
	var b []byte
	switch {
	case stream && six:
		b = append(b, "  "+head6+tail+"\n"...)
	case six:
		b = append(b, "  "+head6+tail+more+"\n"...)
	case stream:
		width = 149
		b = fmt.Appendf(b, "%-*s\n", width, "  sl  local_address rem_address   st"+tail)
	default:
		b = fmt.Appendf(b, "%-*s\n", width, "   sl  local_address rem_address   st"+tail+more)
	}
	slot := 0
	for _, s := range k.nets.list() {
		if !t.has(s) {
			continue
		}
		n, ok := s.state(ctx)
		if !ok {
			continue
		}
		line := fmt.Sprintf("%4d: %s %s %02X %08X:%08X 00:00000000 00000000 %5d %8d %d %d %016x", slot,
			procSockaddr(n.local), procSockaddr(n.peer), n.state, n.sending, n.ready, n.uid, 0, n.ino, 1, 0)
		switch {
		case stream && n.state == tcpListen:
			line += " 100 0 0 10 0"
		case stream:
			line += " 20 4 0 10 -1"
		default:
			line = " " + line + " 0"
		}
		if six {
			b = append(append(b, line...), '\n')
		} else {
			b = fmt.Appendf(b, "%-*s\n", width, line)
		}
		slot++
	}
	return b
}

// procSockaddr shows a struct sockaddr_in or sockaddr_in6.
func procSockaddr(b []byte) string {
	addr := b[4:8]
	if binary.NativeEndian.Uint16(b) == unix.AF_INET6 || len(b) >= unix.SizeofSockaddrInet6 {
		if addr = make([]byte, 16); len(b) >= 24 {
			addr = b[8:24]
		}
	}
	return fmt.Sprintf("%X:%04X", reversed(addr), binary.BigEndian.Uint16(b[2:]))
}

// snmpNames are the counters of /proc/net/snmp, of RFC 1213 and beyond.
var snmpNames = []string{
	"Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests" +
		" OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates",
	"Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps" +
		" InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutDestUnreachs OutTimeExcds OutParmProbs" +
		" OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps",
	"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs" +
		" InErrs OutRsts InCsumErrors",
	"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors",
	"UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors",
}

// procNetSNMP counts the connections. The packets of a box nobody counts: 0.
func (k *Kernel) procNetSNMP(ctx context.Context) []byte {
	if k.config.Network == nil {
		return nil
	}
	connections := 0
	for _, s := range k.nets.list() {
		if n, ok := s.state(ctx); ok && s.typ == unix.SOCK_STREAM && (n.state == tcpEstablished || n.state == tcpCloseWait) {
			connections++
		}
	}
	constant := map[string]int{"Forwarding": 2, "DefaultTTL": 64, "RtoAlgorithm": 1, "RtoMin": 200, "RtoMax": 120000, "MaxConn": -1,
		"CurrEstab": connections}
	var b []byte
	for _, names := range snmpNames {
		b = append(append(b, names...), '\n')
		for i, name := range strings.Fields(names) {
			if i == 0 {
				b = append(b, name...)
			} else {
				b = fmt.Appendf(b, " %d", constant[name])
			}
		}
		b = append(b, '\n')
	}
	return b
}

func (k *Kernel) procNetSockstat(six bool) []byte {
	count := map[string]int{}
	all := k.nets.list()
	for _, s := range all {
		for name, t := range socketTables {
			if t.has(s) {
				count[name]++
			}
		}
	}
	if six {
		return fmt.Appendf(nil, "TCP6: inuse %d\nUDP6: inuse %d\nUDPLITE6: inuse %d\nRAW6: inuse %d\nFRAG6: inuse 0 memory 0\n",
			count["tcp6"], count["udp6"], count["udplite6"], count["raw6"])
	}
	return fmt.Appendf(nil, "sockets: used %d\nTCP: inuse %d orphan 0 tw 0 alloc %d mem 0\nUDP: inuse %d mem 0\nUDPLITE: inuse %d\n"+
		"RAW: inuse %d\nFRAG: inuse 0 memory 0\n", len(all)+len(k.sockets.Sockets()), count["tcp"], count["tcp"]+count["tcp6"],
		count["udp"], count["udplite"], count["raw"])
}

// procNetARP is /proc/net/arp: IPv4's neighbours.
func (k *Kernel) procNetARP(ctx context.Context) ([]byte, error) {
	b := []byte("IP address       HW type     Flags       HW address            Mask     Device\n")
	names, err := k.linkNames(ctx)
	if err != nil {
		return nil, err
	}
	text, err := k.Describe(ctx, vfs.NetQuery{Type: unix.RTM_GETNEIGH})
	for m := range netinfo.Messages(text) {
		if len(m.Body) < unix.SizeofNdMsg || m.Body[0] != unix.AF_INET {
			continue
		}
		index, state := int32(binary.NativeEndian.Uint32(m.Body[4:])), binary.NativeEndian.Uint16(m.Body[8:])
		to, ok := netip.AddrFromSlice(netinfo.Attr(m.Body, unix.SizeofNdMsg, unix.NDA_DST))
		if !ok || state&unix.NUD_NOARP != 0 {
			continue
		}
		const complete, permanent = 0x2, 0x4 // ATF_COM, ATF_PERM
		flags := 0
		switch {
		case state&unix.NUD_PERMANENT != 0:
			flags = complete | permanent
		case state&(unix.NUD_REACHABLE|unix.NUD_PROBE|unix.NUD_STALE|unix.NUD_DELAY) != 0:
			flags = complete
		}
		hardware := net.HardwareAddr(netinfo.Attr(m.Body, unix.SizeofNdMsg, unix.NDA_LLADDR))
		if hardware == nil {
			hardware = make(net.HardwareAddr, 6)
		}
		b = fmt.Appendf(b, "%-16s 0x%-10x0x%-10x%s     *        %s\n", to, unix.ARPHRD_ETHER, flags, hardware, names[index])
	}
	return b, err
}
