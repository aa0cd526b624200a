package inet

import (
	"unsafe"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// The socket calls with addresses and options as they are: package unix takes only
// the families that it knows apart.

func result(n uintptr, e unix.Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func bind(fd int, addr []byte) error {
	_, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))), uintptr(len(addr)))
	_, err := result(0, e)
	return err
}

func connect(fd int, addr []byte) error {
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))), uintptr(len(addr)))
	_, err := result(0, e)
	return err
}

// accept returns a connection, non-blocking, and its peer.
func accept(fd int) (int, []byte, error) {
	addr := make([]byte, vfs.SockaddrMax)
	size := uint32(len(addr))
	nfd, err := hostwait.Retry(func() (int, error) {
		n, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		return result(n, e)
	})
	return nfd, addr[:min(int(size), len(addr))], err
}

func nameOf(fd int, peer bool) ([]byte, error) {
	trap := uintptr(unix.SYS_GETSOCKNAME)
	if peer {
		trap = unix.SYS_GETPEERNAME
	}
	addr := make([]byte, vfs.SockaddrMax)
	size := uint32(len(addr))
	_, _, e := unix.Syscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return nil, e
	}
	return addr[:min(int(size), len(addr))], nil
}

func getsockopt(fd, level, name int, value []byte) (int, error) {
	size := uint32(len(value))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(unsafe.Pointer(&size)), 0)
	return result(uintptr(size), e)
}

func setsockopt(fd, level, name int, value []byte) error {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0)
	_, err := result(0, e)
	return err
}

func iovec(p []byte) (iov unix.Iovec) {
	iov.Base = unsafe.SliceData(p)
	iov.SetLen(len(p))
	return iov
}

func sendmsg(fd int, p, to, control []byte, flags int) (int, error) {
	iov := iovec(p)
	h := unix.Msghdr{Iov: &iov, Iovlen: 1}
	if len(to) > 0 {
		h.Name, h.Namelen = &to[0], uint32(len(to))
	}
	if len(control) > 0 {
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	return hostwait.Retry(func() (int, error) {
		n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags))
		return result(n, e)
	})
}

// recvmsg fills m.
func recvmsg(fd int, m *vfs.Packet, flags int) (int, error) {
	iov := iovec(m.Data)
	h := unix.Msghdr{Iov: &iov, Iovlen: 1}
	var addr [vfs.SockaddrMax]byte
	h.Name, h.Namelen = &addr[0], uint32(len(addr))
	control := m.Control[:cap(m.Control)]
	if len(control) > 0 {
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	n, err := hostwait.Retry(func() (int, error) {
		n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags))
		return result(n, e)
	})
	if err != nil {
		return 0, err
	}
	m.Addr = append(m.Addr[:0], addr[:min(int(h.Namelen), len(addr))]...)
	m.Control = control[:min(int(h.Controllen), len(control))]
	m.Flags = int(h.Flags)
	return n, nil
}

// ioctl is ioctl(2) with a structure.
func ioctl(fd int, cmd uint32, arg []byte) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(unsafe.SliceData(arg))))
	_, err := result(0, e)
	return err
}
