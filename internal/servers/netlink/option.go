package netlink

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const (
	bufferDefault = 212992 // net.core.rmem_default, and the most that can be asked for
	groupsMax     = 36     // RTNLGRP_MAX
)

// has tells whether an option of SOL_NETLINK is on; mu is held.
func (s *Socket) has(name int) bool { return s.options>>name&1 != 0 }

// switches are the options of SOL_NETLINK that are on or off.
var switches = map[int]bool{
	unix.NETLINK_PKTINFO: true, unix.NETLINK_BROADCAST_ERROR: true, unix.NETLINK_NO_ENOBUFS: true,
	unix.NETLINK_CAP_ACK: true, unix.NETLINK_EXT_ACK: true, unix.NETLINK_GET_STRICT_CHK: true,
}

// plain are the options of SOL_SOCKET that such a socket keeps only.
var plain = map[int]bool{
	unix.SO_DEBUG: true, unix.SO_REUSEADDR: true, unix.SO_DONTROUTE: true, unix.SO_BROADCAST: true, unix.SO_KEEPALIVE: true,
	unix.SO_OOBINLINE: true, unix.SO_PRIORITY: true, unix.SO_PASSCRED: true, unix.SO_RCVLOWAT: true, unix.SO_MARK: true,
}

// Option implements vfs.Socket.
func (s *Socket) Option(_ context.Context, level, name int, value []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if level == unix.SOL_NETLINK && name == unix.NETLINK_LIST_MEMBERSHIPS {
		copy(value, binary.NativeEndian.AppendUint64(nil, s.groups))
		return (groupsMax + 31) / 32 * 4, nil
	}
	v, err := s.option(level, name)
	if err != nil {
		return 0, err
	}
	if level == unix.SOL_NETLINK && len(value) < 4 {
		return 0, syscall.EINVAL
	}
	return copy(value, binary.NativeEndian.AppendUint32(nil, v)), nil
}

func (s *Socket) option(level, name int) (uint32, error) {
	switch {
	case level == unix.SOL_NETLINK && switches[name]:
		return s.options >> name & 1, nil
	case level != unix.SOL_SOCKET:
		return 0, syscall.ENOPROTOOPT
	}
	switch name {
	case unix.SO_TYPE:
		return uint32(s.typ), nil
	case unix.SO_DOMAIN:
		return unix.AF_NETLINK, nil
	case unix.SO_PROTOCOL:
		return uint32(s.protocol), nil
	case unix.SO_ACCEPTCONN:
		return 0, nil
	case unix.SO_SNDBUF:
		return uint32(s.sizes[0]), nil
	case unix.SO_RCVBUF:
		return uint32(s.sizes[1]), nil
	case unix.SO_ERROR:
		e, _ := s.err.(syscall.Errno)
		s.err = nil
		return uint32(e), nil
	}
	if plain[name] {
		return s.kept[name], nil
	}
	return 0, syscall.ENOPROTOOPT
}

// SetOption implements vfs.Socket.
func (s *Socket) SetOption(_ context.Context, level, name int, value []byte) error {
	if level != unix.SOL_NETLINK && level != unix.SOL_SOCKET {
		return syscall.ENOPROTOOPT
	}
	var v uint32
	if len(value) >= 4 {
		v = binary.NativeEndian.Uint32(value)
	} else if level == unix.SOL_SOCKET {
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if level == unix.SOL_NETLINK {
		return s.setNetlink(name, v)
	}
	switch name {
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
		// The force, too, goes no further: it is this process's memory.
		size := max(2*min(int(v), bufferDefault), 2304)
		if name == unix.SO_SNDBUF || name == unix.SO_SNDBUFFORCE {
			s.sizes[0] = max(size, 4608)
		} else {
			s.sizes[1] = size
		}
		return nil
	}
	if !plain[name] {
		return syscall.ENOPROTOOPT
	}
	if s.kept == nil {
		s.kept = map[int]uint32{}
	}
	s.kept[name] = v
	return nil
}

func (s *Socket) setNetlink(name int, v uint32) error {
	switch name {
	case unix.NETLINK_ADD_MEMBERSHIP, unix.NETLINK_DROP_MEMBERSHIP:
		if v == 0 || v > groupsMax {
			return syscall.EINVAL
		}
		if s.groups &^= 1 << (v - 1); name == unix.NETLINK_ADD_MEMBERSHIP {
			s.groups |= 1 << (v - 1)
		}
		return nil
	}
	if !switches[name] {
		return syscall.ENOPROTOOPT
	}
	if s.options &^= 1 << name; v != 0 {
		s.options |= 1 << name
	}
	return nil
}

// control adds what the options say that a message comes with; mu is held.
func (s *Socket) control(m *vfs.Packet) {
	m.Control = m.Control[:0]
	add := func(level, typ uint32, data ...uint32) {
		n := unix.CmsgLen(4 * len(data))
		if cap(m.Control)-len(m.Control) < n {
			m.Flags |= unix.MSG_CTRUNC
			return
		}
		c := binary.NativeEndian.AppendUint64(m.Control, uint64(n))
		c = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(c, level), typ)
		for _, v := range data {
			c = binary.NativeEndian.AppendUint32(c, v)
		}
		for len(c)%8 != 0 && len(c) < cap(c) {
			c = append(c, 0)
		}
		m.Control = c
	}
	if s.has(unix.NETLINK_PKTINFO) {
		add(unix.SOL_NETLINK, unix.NETLINK_PKTINFO, 0)
	}
	if s.kept[unix.SO_PASSCRED] != 0 {
		add(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, 0, 0, 0) // the kernel's
	}
}
