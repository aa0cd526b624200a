package netlink

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// single answers a request for one thing, with one message first.
func (s *Socket) single(ctx context.Context, m netinfo.Message) ([]byte, error) {
	switch m.Type {
	case unix.RTM_GETLINK:
		return s.link(ctx, m.Body)
	case unix.RTM_GETADDR:
		return s.addr(ctx, m.Body)
	case unix.RTM_GETROUTE:
		return s.route(ctx, m.Body)
	case unix.RTM_GETNEIGH:
		return s.neighbour(ctx, m.Body)
	}
	return nil, syscall.EOPNOTSUPP
}

// find returns the first message of an answer that is wanted.
func (s *Socket) find(ctx context.Context, q vfs.NetQuery, missing syscall.Errno, want func(body []byte) bool) ([]byte, error) {
	b, err := s.server.from.Describe(ctx, q)
	if err != nil {
		return nil, err
	}
	for m := range netinfo.Messages(b) {
		if want(m.Body) {
			return m.Append(nil), nil
		}
	}
	return nil, missing
}

func int32At(b []byte, at int) int32 {
	if len(b) < at+4 {
		return 0
	}
	return int32(binary.NativeEndian.Uint32(b[at:]))
}

func (s *Socket) link(ctx context.Context, body []byte) ([]byte, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return nil, syscall.EINVAL
	}
	q := vfs.NetQuery{Type: unix.RTM_GETLINK}
	if index := int32At(body, 4); index > 0 {
		return s.find(ctx, q, syscall.ENODEV, func(b []byte) bool { return int32At(b, 4) == index })
	}
	name := netinfo.Attr(body, unix.SizeofIfInfomsg, unix.IFLA_IFNAME)
	if name == nil {
		name = netinfo.Attr(body, unix.SizeofIfInfomsg, unix.IFLA_ALT_IFNAME)
	}
	if name == nil {
		return nil, syscall.EINVAL
	}
	name = bytes.TrimRight(name, "\x00")
	return s.find(ctx, q, syscall.ENODEV, func(b []byte) bool {
		if bytes.Equal(bytes.TrimRight(netinfo.Attr(b, unix.SizeofIfInfomsg, unix.IFLA_IFNAME), "\x00"), name) {
			return true
		}
		for typ, v := range netinfo.Attributes(netinfo.Attr(b, unix.SizeofIfInfomsg, unix.IFLA_PROP_LIST)) {
			if typ == unix.IFLA_ALT_IFNAME && bytes.Equal(bytes.TrimRight(v, "\x00"), name) {
				return true
			}
		}
		return false
	})
}

// addr is for IPv6 only, as on Linux.
func (s *Socket) addr(ctx context.Context, body []byte) ([]byte, error) {
	if body[0] != unix.AF_INET6 {
		return nil, syscall.EOPNOTSUPP
	}
	if len(body) < unix.SizeofIfAddrmsg {
		return nil, syscall.EINVAL
	}
	want := netinfo.Attr(body, unix.SizeofIfAddrmsg, unix.IFA_LOCAL)
	if want == nil {
		want = netinfo.Attr(body, unix.SizeofIfAddrmsg, unix.IFA_ADDRESS)
	}
	addr, ok := netip.AddrFromSlice(want)
	if !ok {
		return nil, syscall.EINVAL
	}
	index := int32At(body, 4)
	q := vfs.NetQuery{Type: unix.RTM_GETADDR, Family: body[0]}
	return s.find(ctx, q, syscall.EADDRNOTAVAIL, func(b []byte) bool {
		a, ok := netinfo.ParseAddr(b)
		return ok && a.Local.Addr() == addr && (index == 0 || a.Index == index)
	})
}

// route asks for the way to an address.
func (s *Socket) route(ctx context.Context, body []byte) ([]byte, error) {
	size := 0
	switch body[0] {
	case unix.AF_INET:
		size = 4
	case unix.AF_INET6:
		size = 16
	default:
		return nil, syscall.EOPNOTSUPP
	}
	if len(body) < unix.SizeofRtMsg {
		return nil, syscall.EINVAL
	}
	to := make([]byte, size)
	if v := netinfo.Attr(body, unix.SizeofRtMsg, unix.RTA_DST); v != nil && copy(to, v) < size {
		return nil, syscall.EINVAL
	}
	return s.server.from.Describe(ctx, vfs.NetQuery{Type: unix.RTM_GETROUTE, Family: body[0], To: to})
}

func (s *Socket) neighbour(ctx context.Context, body []byte) ([]byte, error) {
	if len(body) < unix.SizeofNdMsg {
		return nil, syscall.EINVAL
	}
	to, index := netinfo.Attr(body, unix.SizeofNdMsg, unix.NDA_DST), int32At(body, 4)
	if to == nil || index <= 0 {
		return nil, syscall.EINVAL
	}
	q := vfs.NetQuery{Type: unix.RTM_GETNEIGH, Family: body[0]}
	return s.find(ctx, q, syscall.ENOENT, func(b []byte) bool {
		return int32At(b, 4) == index && bytes.Equal(netinfo.Attr(b, unix.SizeofNdMsg, unix.NDA_DST), to)
	})
}
