package netinfo

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Route is an entry of a routing table.
type Route struct {
	To       netip.Prefix
	Gateway  netip.Addr // not valid: none
	From     netip.Addr // the source address that is preferred
	Index    int32      // the interface
	Table    uint32     // RT_TABLE_
	Protocol uint8      // RTPROT_
	Scope    uint8      // RT_SCOPE_
	Type     uint8      // RTN_
	Flags    uint32     // RTM_F_, RTNH_F_
	Metric   uint32
}

// Append writes a RTM_NEWROUTE.
func (r *Route) Append(b []byte) []byte {
	to := r.To.Addr()
	table := uint8(unix.RT_TABLE_COMPAT) // RTA_TABLE says which
	if r.Table < 256 {
		table = uint8(r.Table)
	}
	body := []byte{family(to), uint8(r.To.Bits()), 0, 0, table, r.Protocol, r.Scope, r.Type}
	body = binary.NativeEndian.AppendUint32(body, r.Flags)
	body = appendUint32(body, unix.RTA_TABLE, r.Table)
	if r.To.Bits() > 0 {
		body = AppendAttr(body, unix.RTA_DST, to.AsSlice())
	}
	if r.Metric != 0 || to.Is6() {
		body = appendUint32(body, unix.RTA_PRIORITY, r.Metric)
	}
	if r.From.IsValid() {
		body = AppendAttr(body, unix.RTA_PREFSRC, r.From.AsSlice())
	}
	if r.Gateway.IsValid() {
		body = AppendAttr(body, unix.RTA_GATEWAY, r.Gateway.AsSlice())
	}
	body = appendUint32(body, unix.RTA_OIF, uint32(r.Index))
	if to.Is6() {
		body = AppendAttr(body, unix.RTA_PREF, []byte{0}) // medium
	}
	return Message{Type: unix.RTM_NEWROUTE, Body: body}.Append(b)
}

// ParseRoute reads the body of a RTM_NEWROUTE; false for one that is none, or none of
// IPv4 or IPv6. Of a route with several next hops it tells no gateway.
func ParseRoute(body []byte) (r Route, ok bool) {
	if len(body) < unix.SizeofRtMsg {
		return r, false
	}
	r.Table, r.Protocol, r.Scope, r.Type = uint32(body[4]), body[5], body[6], body[7]
	r.Flags = binary.NativeEndian.Uint32(body[8:])
	var to netip.Addr
	switch body[0] {
	case unix.AF_INET:
		to = netip.IPv4Unspecified()
	case unix.AF_INET6:
		to = netip.IPv6Unspecified()
	default:
		return r, false
	}
	for typ, v := range Attributes(body[unix.SizeofRtMsg:]) {
		switch typ {
		case unix.RTA_DST:
			to, _ = netip.AddrFromSlice(v)
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(v)
		case unix.RTA_PREFSRC:
			r.From, _ = netip.AddrFromSlice(v)
		case unix.RTA_OIF:
			r.Index = int32(uint32Of(v))
		case unix.RTA_TABLE:
			r.Table = uint32Of(v)
		case unix.RTA_PRIORITY:
			r.Metric = uint32Of(v)
		}
	}
	r.To = netip.PrefixFrom(to, int(body[1]))
	return r, r.To.IsValid() && family(to) == body[0]
}
