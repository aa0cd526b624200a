package cancel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Package unix keeps the conversion of its addresses to itself, so the common ones are converted here.

func port(p int) uint16 {
	var r uint16
	b := (*[2]byte)(unsafe.Pointer(&r))
	b[0], b[1] = byte(p>>8), byte(p)
	return r
}

func portOf(p uint16) int {
	b := (*[2]byte)(unsafe.Pointer(&p))
	return int(b[0])<<8 | int(b[1])
}

// rawSockaddr writes sa to r and returns its size.
func rawSockaddr(sa unix.Sockaddr, r *unix.RawSockaddrAny) (uint32, error) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		if sa.Port < 0 || sa.Port > 0xffff {
			return 0, unix.EINVAL
		}
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(r)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port(sa.Port), Addr: sa.Addr}
		return unix.SizeofSockaddrInet4, nil
	case *unix.SockaddrInet6:
		if sa.Port < 0 || sa.Port > 0xffff {
			return 0, unix.EINVAL
		}
		*(*unix.RawSockaddrInet6)(unsafe.Pointer(r)) = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port(sa.Port), Addr: sa.Addr, Scope_id: sa.ZoneId}
		return unix.SizeofSockaddrInet6, nil
	case *unix.SockaddrUnix:
		return rawUnix(sa.Name, (*unix.RawSockaddrUnix)(unsafe.Pointer(r)))
	case *unix.SockaddrVM:
		*(*unix.RawSockaddrVM)(unsafe.Pointer(r)) = unix.RawSockaddrVM{Family: unix.AF_VSOCK, Port: sa.Port, Cid: sa.CID, Flags: sa.Flags}
		return unix.SizeofSockaddrVM, nil
	case *unix.SockaddrNetlink:
		*(*unix.RawSockaddrNetlink)(unsafe.Pointer(r)) = unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Pid: sa.Pid, Groups: sa.Groups}
		return unix.SizeofSockaddrNetlink, nil
	case *unix.SockaddrLinklayer:
		if sa.Ifindex < 0 || sa.Ifindex > 0x7fffffff {
			return 0, unix.EINVAL
		}
		*(*unix.RawSockaddrLinklayer)(unsafe.Pointer(r)) = unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: sa.Protocol,
			Ifindex: int32(sa.Ifindex), Hatype: sa.Hatype, Pkttype: sa.Pkttype, Halen: sa.Halen, Addr: sa.Addr}
		return unix.SizeofSockaddrLinklayer, nil
	}
	return 0, unix.EAFNOSUPPORT
}

// rawUnix writes the address of name. As in package unix, a name that begins with @ or a zero is abstract, and the
// empty one is the address without a name.
func rawUnix(name string, r *unix.RawSockaddrUnix) (uint32, error) {
	n := len(name)
	abstract := n > 0 && (name[0] == '@' || name[0] == 0)
	if n > len(r.Path) || n == len(r.Path) && !abstract {
		return 0, unix.EINVAL
	}
	*r = unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	for i := range n {
		r.Path[i] = int8(name[i])
	}
	size := uint32(unsafe.Offsetof(r.Path)) + uint32(n)
	switch {
	case abstract:
		r.Path[0] = 0
	case n > 0:
		size++ // the zero at its end
	}
	return size, nil
}

// sockaddr converts the address r of the given size. It returns EAFNOSUPPORT for a family it does not know.
func sockaddr(r *unix.RawSockaddrAny, size uint32) (unix.Sockaddr, error) {
	switch r.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(r))
		return &unix.SockaddrInet4{Port: portOf(in.Port), Addr: in.Addr}, nil
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(r))
		return &unix.SockaddrInet6{Port: portOf(in.Port), ZoneId: in.Scope_id, Addr: in.Addr}, nil
	case unix.AF_UNIX:
		un := (*unix.RawSockaddrUnix)(unsafe.Pointer(r))
		return &unix.SockaddrUnix{Name: unixName(un, size)}, nil
	case unix.AF_VSOCK:
		vm := (*unix.RawSockaddrVM)(unsafe.Pointer(r))
		return &unix.SockaddrVM{CID: vm.Cid, Port: vm.Port, Flags: vm.Flags}, nil
	case unix.AF_NETLINK:
		nl := (*unix.RawSockaddrNetlink)(unsafe.Pointer(r))
		return &unix.SockaddrNetlink{Family: nl.Family, Pad: nl.Pad, Pid: nl.Pid, Groups: nl.Groups}, nil
	case unix.AF_PACKET:
		ll := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(r))
		return &unix.SockaddrLinklayer{Protocol: ll.Protocol, Ifindex: int(ll.Ifindex), Hatype: ll.Hatype, Pkttype: ll.Pkttype,
			Halen: ll.Halen, Addr: ll.Addr}, nil
	}
	return nil, unix.EAFNOSUPPORT
}

func unixName(r *unix.RawSockaddrUnix, size uint32) string {
	path := unsafe.Slice((*byte)(unsafe.Pointer(&r.Path)), len(r.Path))
	n := min(int(size)-int(unsafe.Offsetof(r.Path)), len(path))
	if n <= 0 {
		return ""
	}
	if path[0] == 0 {
		return "@" + string(path[1:n])
	}
	for i, b := range path[:n] {
		if b == 0 {
			n = i
			break
		}
	}
	return string(path[:n])
}
