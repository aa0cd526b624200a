package netlink

import (
	"syscall"

	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// sizes are the structures that begin requests; a type that is not here cannot be
// asked for.
var sizes = map[uint16]int{
	unix.RTM_GETLINK:  unix.SizeofIfInfomsg,
	unix.RTM_GETADDR:  unix.SizeofIfAddrmsg,
	unix.RTM_GETROUTE: unix.SizeofRtMsg,
	unix.RTM_GETNEIGH: unix.SizeofNdMsg,
	unix.RTM_GETRULE:  unix.SizeofRtMsg,
}

// filterOf says which answers a dump has. Linux looks at more than the family only
// when the program has asked for strict checks, but for neighbours; flags tell it that
// there is a filter.
func filterOf(m netinfo.Message, strict bool) (want func(body []byte) bool, flags uint16, err error) {
	all := func([]byte) bool { return true }
	size, ok := sizes[m.Type]
	if !ok {
		return nil, 0, syscall.EOPNOTSUPP
	}
	if len(m.Body) < size {
		if strict {
			return nil, 0, syscall.EINVAL
		}
		return all, 0, nil
	}
	var tests []func([]byte) bool
	at := func(offset int) { // a 32-bit field that is not 0
		if v := int32At(m.Body, offset); v != 0 {
			tests = append(tests, func(b []byte) bool { return int32At(b, offset) == v })
		}
	}
	attr := func(typ uint16) {
		if v := int32At(netinfo.Attr(m.Body, size, typ), 0); v != 0 {
			tests = append(tests, func(b []byte) bool { return int32At(netinfo.Attr(b, size, typ), 0) == v })
		}
	}
	switch m.Type {
	case unix.RTM_GETLINK:
		if strict && int32At(m.Body, 4) != 0 {
			return nil, 0, syscall.EINVAL
		}
		attr(unix.IFLA_MASTER)
	case unix.RTM_GETADDR:
		if strict {
			at(4)
		}
	case unix.RTM_GETROUTE:
		if !strict {
			break
		}
		for _, offset := range []int{5, 7} { // protocol and type
			if v := m.Body[offset]; v != 0 {
				tests = append(tests, func(b []byte) bool { return len(b) > offset && b[offset] == v })
			}
		}
		attr(unix.RTA_OIF)
		attr(unix.RTA_TABLE)
		if v := m.Body[4]; v != 0 {
			tests = append(tests, func(b []byte) bool { return len(b) > 4 && b[4] == v })
		}
	case unix.RTM_GETNEIGH:
		attr(unix.NDA_MASTER)
		if index := int32At(netinfo.Attr(m.Body, size, unix.NDA_IFINDEX), 0); index != 0 {
			tests = append(tests, func(b []byte) bool { return int32At(b, 4) == index })
		}
	}
	if len(tests) == 0 {
		return all, 0, nil
	}
	return func(b []byte) bool {
		for _, ok := range tests {
			if !ok(b) {
				return false
			}
		}
		return true
	}, unix.NLM_F_DUMP_FILTERED, nil
}
