package netinfo

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Link is an interface, as in netdevice(7).
type Link struct {
	Index   int32
	Name    string
	Type    uint16 // ARPHRD_
	Flags   uint32 // IFF_
	MTU     uint32
	TxQueue uint32
	// Addr and Broadcast are hardware addresses.
	Addr, Broadcast []byte
	OperState       uint8 // IF_OPER_, of RFC 2863
	Qdisc           string
	Stats           Stats
}

// Stats are the first counters of a struct rtnl_link_stats64.
type Stats struct {
	RxPackets, TxPackets, RxBytes, TxBytes, RxErrors, TxErrors, RxDropped, TxDropped      uint64
	Multicast, Collisions                                                                 uint64
	RxLength, RxOver, RxCRC, RxFrame, RxFIFO, RxMissed                                    uint64
	TxAborted, TxCarrier, TxFIFO, TxHeartbeat, TxWindow, RxCompressed, TxCompressed, Lost uint64
}

const statsCount = 24

func (s *Stats) fields() [statsCount]*uint64 {
	return [...]*uint64{
		&s.RxPackets, &s.TxPackets, &s.RxBytes, &s.TxBytes, &s.RxErrors, &s.TxErrors, &s.RxDropped, &s.TxDropped,
		&s.Multicast, &s.Collisions, &s.RxLength, &s.RxOver, &s.RxCRC, &s.RxFrame, &s.RxFIFO, &s.RxMissed,
		&s.TxAborted, &s.TxCarrier, &s.TxFIFO, &s.TxHeartbeat, &s.TxWindow, &s.RxCompressed, &s.TxCompressed, &s.Lost,
	}
}

// Append writes a RTM_NEWLINK.
func (l *Link) Append(b []byte) []byte {
	body := make([]byte, unix.SizeofIfInfomsg, 512)
	binary.NativeEndian.PutUint16(body[2:], l.Type)
	binary.NativeEndian.PutUint32(body[4:], uint32(l.Index))
	binary.NativeEndian.PutUint32(body[8:], l.Flags)
	body = appendString(body, unix.IFLA_IFNAME, l.Name)
	body = appendUint32(body, unix.IFLA_TXQLEN, l.TxQueue)
	body = AppendAttr(body, unix.IFLA_OPERSTATE, []byte{l.OperState})
	body = AppendAttr(body, unix.IFLA_LINKMODE, []byte{0})
	body = appendUint32(body, unix.IFLA_MTU, l.MTU)
	for _, typ := range []uint16{unix.IFLA_MIN_MTU, unix.IFLA_MAX_MTU, unix.IFLA_GROUP, unix.IFLA_PROMISCUITY} {
		body = appendUint32(body, typ, 0)
	}
	body = appendUint32(body, unix.IFLA_NUM_TX_QUEUES, 1)
	body = appendUint32(body, unix.IFLA_NUM_RX_QUEUES, 1)
	carrier := byte(0)
	if l.Flags&unix.IFF_LOWER_UP != 0 {
		carrier = 1
	}
	body = AppendAttr(body, unix.IFLA_CARRIER, []byte{carrier})
	body = appendString(body, unix.IFLA_QDISC, l.Qdisc)
	body = AppendAttr(body, unix.IFLA_MAP, make([]byte, 32))
	if l.Addr != nil {
		body = AppendAttr(body, unix.IFLA_ADDRESS, l.Addr)
	}
	if l.Broadcast != nil {
		body = AppendAttr(body, unix.IFLA_BROADCAST, l.Broadcast)
	}
	var stats, stats64 []byte
	for _, f := range l.Stats.fields() {
		stats = binary.NativeEndian.AppendUint32(stats, uint32(*f))
		stats64 = binary.NativeEndian.AppendUint64(stats64, *f)
	}
	body = AppendAttr(body, unix.IFLA_STATS64, stats64)
	body = AppendAttr(body, unix.IFLA_STATS, stats)
	return Message{Type: unix.RTM_NEWLINK, Body: body}.Append(b)
}

// ParseLink reads the body of a RTM_NEWLINK; false for one that is none.
func ParseLink(body []byte) (l Link, ok bool) {
	if len(body) < unix.SizeofIfInfomsg {
		return l, false
	}
	l.Type = binary.NativeEndian.Uint16(body[2:])
	l.Index = int32(binary.NativeEndian.Uint32(body[4:]))
	l.Flags = binary.NativeEndian.Uint32(body[8:])
	for typ, v := range Attributes(body[unix.SizeofIfInfomsg:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = stringOf(v)
		case unix.IFLA_MTU:
			l.MTU = uint32Of(v)
		case unix.IFLA_TXQLEN:
			l.TxQueue = uint32Of(v)
		case unix.IFLA_ADDRESS:
			l.Addr = v
		case unix.IFLA_BROADCAST:
			l.Broadcast = v
		case unix.IFLA_QDISC:
			l.Qdisc = stringOf(v)
		case unix.IFLA_OPERSTATE:
			if len(v) > 0 {
				l.OperState = v[0]
			}
		case unix.IFLA_STATS64:
			for i, f := range l.Stats.fields() {
				if len(v) >= 8*i+8 {
					*f = binary.NativeEndian.Uint64(v[8*i:])
				}
			}
		}
	}
	return l, l.Name != ""
}
