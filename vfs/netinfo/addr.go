package netinfo

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Addr is an address of an interface.
type Addr struct {
	Index int32
	// Local is the address and the length of its network's prefix; Peer that of the
	// other end of a link with two, Broadcast that of IPv4's broadcasts.
	Local           netip.Prefix
	Peer, Broadcast netip.Addr
	Scope           uint8  // RT_SCOPE_
	Flags           uint32 // IFA_F_
	Label           string // IPv4: the interface's name, or an alias
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Append writes a RTM_NEWADDR.
func (a *Addr) Append(b []byte) []byte {
	local := a.Local.Addr()
	body := []byte{family(local), uint8(a.Local.Bits()), uint8(a.Flags), a.Scope}
	body = binary.NativeEndian.AppendUint32(body, uint32(a.Index))
	peer := a.Peer
	if !peer.IsValid() {
		peer = local
	}
	body = AppendAttr(body, unix.IFA_ADDRESS, peer.AsSlice())
	if local.Is4() || peer != local {
		body = AppendAttr(body, unix.IFA_LOCAL, local.AsSlice())
	}
	if a.Broadcast.IsValid() {
		body = AppendAttr(body, unix.IFA_BROADCAST, a.Broadcast.AsSlice())
	}
	if a.Label != "" {
		body = appendString(body, unix.IFA_LABEL, a.Label)
	}
	body = appendUint32(body, unix.IFA_FLAGS, a.Flags)
	var cache [16]byte // valid and preferred for ever
	copy(cache[:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	body = AppendAttr(body, unix.IFA_CACHEINFO, cache[:])
	return Message{Type: unix.RTM_NEWADDR, Body: body}.Append(b)
}

// ParseAddr reads the body of a RTM_NEWADDR; false for one that is none, or none of
// IPv4 or IPv6.
func ParseAddr(body []byte) (a Addr, ok bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return a, false
	}
	a.Flags, a.Scope = uint32(body[2]), body[3]
	a.Index = int32(binary.NativeEndian.Uint32(body[4:]))
	var local netip.Addr
	for typ, v := range Attributes(body[unix.SizeofIfAddrmsg:]) {
		switch typ {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_ADDRESS:
			a.Peer, _ = netip.AddrFromSlice(v)
		case unix.IFA_BROADCAST:
			a.Broadcast, _ = netip.AddrFromSlice(v)
		case unix.IFA_LABEL:
			a.Label = stringOf(v)
		case unix.IFA_FLAGS:
			a.Flags = uint32Of(v)
		}
	}
	if !local.IsValid() {
		local = a.Peer
	}
	if a.Peer == local {
		a.Peer = netip.Addr{}
	}
	a.Local = netip.PrefixFrom(local, int(body[1]))
	return a, a.Local.IsValid() && family(local) == body[0]
}
