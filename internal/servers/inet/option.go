package inet

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// UDP-Lite's options (udplite(7)).
const (
	udpliteSendCscov = 10
	udpliteRecvCscov = 11
)

// optionsOf are the options that a guest may read and set, by level. What is not here
// holds pointers or descriptors (filters, zero copy), changes what a socket is
// (TCP_REPAIR, TCP_ULP), or belongs to the packet filter.
var optionsOf = map[int][]int{
	unix.SOL_SOCKET: {
		unix.SO_ACCEPTCONN, unix.SO_BINDTODEVICE, unix.SO_BINDTOIFINDEX, unix.SO_BROADCAST, unix.SO_BUSY_POLL, unix.SO_COOKIE, unix.SO_DEBUG,
		unix.SO_DOMAIN, unix.SO_DONTROUTE, unix.SO_ERROR, unix.SO_INCOMING_CPU, unix.SO_INCOMING_NAPI_ID, unix.SO_KEEPALIVE,
		unix.SO_LINGER, unix.SO_MARK, unix.SO_MAX_PACING_RATE, unix.SO_MEMINFO, unix.SO_NO_CHECK, unix.SO_OOBINLINE,
		unix.SO_PEEK_OFF, unix.SO_PRIORITY, unix.SO_PROTOCOL, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, unix.SO_RCVLOWAT,
		unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_RXQ_OVFL, unix.SO_SELECT_ERR_QUEUE, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE,
		unix.SO_SNDLOWAT, unix.SO_TIMESTAMP, unix.SO_TIMESTAMPNS, unix.SO_TIMESTAMP_NEW, unix.SO_TIMESTAMPNS_NEW,
		unix.SO_TIMESTAMPING, unix.SO_TIMESTAMPING_NEW, unix.SO_TYPE, unix.SO_TXREHASH,
	},
	unix.SOL_IP: {
		unix.IP_TOS, unix.IP_TTL, unix.IP_OPTIONS, unix.IP_RECVOPTS, unix.IP_RETOPTS, unix.IP_PKTINFO, unix.IP_PKTOPTIONS,
		unix.IP_MTU_DISCOVER, unix.IP_RECVERR, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_MTU, unix.IP_FREEBIND, unix.IP_TRANSPARENT,
		unix.IP_RECVORIGDSTADDR, unix.IP_MINTTL, unix.IP_NODEFRAG, unix.IP_CHECKSUM, unix.IP_BIND_ADDRESS_NO_PORT,
		unix.IP_RECVFRAGSIZE, unix.IP_RECVERR_RFC4884, unix.IP_MULTICAST_IF, unix.IP_MULTICAST_TTL, unix.IP_MULTICAST_LOOP,
		unix.IP_ADD_MEMBERSHIP, unix.IP_DROP_MEMBERSHIP, unix.IP_UNBLOCK_SOURCE, unix.IP_BLOCK_SOURCE,
		unix.IP_ADD_SOURCE_MEMBERSHIP, unix.IP_DROP_SOURCE_MEMBERSHIP, unix.IP_MSFILTER, unix.IP_MULTICAST_ALL, unix.IP_UNICAST_IF,
		unix.MCAST_JOIN_GROUP, unix.MCAST_LEAVE_GROUP, unix.MCAST_JOIN_SOURCE_GROUP, unix.MCAST_LEAVE_SOURCE_GROUP,
		unix.MCAST_BLOCK_SOURCE, unix.MCAST_UNBLOCK_SOURCE, unix.MCAST_MSFILTER, unix.IP_LOCAL_PORT_RANGE,
	},
	unix.SOL_IPV6: {
		unix.IPV6_2292PKTINFO, unix.IPV6_2292HOPLIMIT, unix.IPV6_CHECKSUM, unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_IF,
		unix.IPV6_MULTICAST_HOPS, unix.IPV6_MULTICAST_LOOP, unix.IPV6_JOIN_GROUP, unix.IPV6_LEAVE_GROUP, unix.IPV6_MTU_DISCOVER,
		unix.IPV6_MTU, unix.IPV6_RECVERR, unix.IPV6_V6ONLY, unix.IPV6_JOIN_ANYCAST, unix.IPV6_LEAVE_ANYCAST, unix.IPV6_MULTICAST_ALL,
		unix.IPV6_RECVERR_RFC4884, unix.IPV6_RECVPKTINFO, unix.IPV6_PKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_HOPLIMIT,
		unix.IPV6_RECVPATHMTU, unix.IPV6_PATHMTU, unix.IPV6_DONTFRAG, unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS,
		unix.IPV6_AUTOFLOWLABEL, unix.IPV6_ADDR_PREFERENCES, unix.IPV6_MINHOPCOUNT, unix.IPV6_RECVORIGDSTADDR,
		unix.IPV6_UNICAST_IF, unix.IPV6_RECVFRAGSIZE, unix.IPV6_FREEBIND, unix.IPV6_TRANSPARENT,
		unix.MCAST_JOIN_GROUP, unix.MCAST_LEAVE_GROUP, unix.MCAST_JOIN_SOURCE_GROUP, unix.MCAST_LEAVE_SOURCE_GROUP,
		unix.MCAST_BLOCK_SOURCE, unix.MCAST_UNBLOCK_SOURCE, unix.MCAST_MSFILTER,
	},
	unix.SOL_TCP: {
		unix.TCP_NODELAY, unix.TCP_MAXSEG, unix.TCP_CORK, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT, unix.TCP_SYNCNT,
		unix.TCP_LINGER2, unix.TCP_DEFER_ACCEPT, unix.TCP_WINDOW_CLAMP, unix.TCP_INFO, unix.TCP_QUICKACK, unix.TCP_CONGESTION,
		unix.TCP_THIN_LINEAR_TIMEOUTS, unix.TCP_THIN_DUPACK, unix.TCP_USER_TIMEOUT, unix.TCP_FASTOPEN, unix.TCP_TIMESTAMP,
		unix.TCP_NOTSENT_LOWAT, unix.TCP_CC_INFO, unix.TCP_SAVE_SYN, unix.TCP_SAVED_SYN, unix.TCP_INQ, unix.TCP_TX_DELAY,
		unix.TCP_FASTOPEN_NO_COOKIE,
	},
	unix.SOL_UDP:         {unix.UDP_CORK, unix.UDP_NO_CHECK6_TX, unix.UDP_NO_CHECK6_RX, unix.UDP_SEGMENT, unix.UDP_GRO},
	unix.IPPROTO_UDPLITE: {unix.UDP_CORK, udpliteSendCscov, udpliteRecvCscov},
	unix.SOL_RAW:         {1}, // ICMP_FILTER
}

var options = func() map[[2]int]bool {
	all := map[[2]int]bool{}
	for level, names := range optionsOf {
		for _, name := range names {
			all[[2]int{level, name}] = true
		}
	}
	return all
}()

func (s *Socket) mayOption(level, name int) bool {
	return options[[2]int{level, name}] && s.realm.may(level, name)
}

// Option reads an option.
func (s *Socket) Option(_ context.Context, level, name int, value []byte) (int, error) {
	if !s.mayOption(level, name) {
		return 0, syscall.ENOPROTOOPT
	}
	return s.realm.option(s, level, name, value)
}

// SetOption sets one.
func (s *Socket) SetOption(_ context.Context, level, name int, value []byte) error {
	if !s.mayOption(level, name) {
		return syscall.ENOPROTOOPT
	}
	if err := mayValue(level, name, value); err != nil {
		return err
	}
	if level == unix.SOL_SOCKET && name == unix.SO_LINGER {
		s.lingers.Store(true)
	}
	return s.realm.setOption(s, level, name, value)
}
