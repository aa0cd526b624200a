package lane

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The socket calls below never block, so they are made without telling the Go
// scheduler: it would hand the processor to somebody else in the middle of a
// round trip.

// recvBuf holds one message from a lane's socket.
type recvBuf struct {
	p   [256]byte
	oob [512]byte
	iov unix.Iovec
	hdr unix.Msghdr
}

// recv reads one message: n bytes in b.p and oob bytes of control messages.
func (b *recvBuf) recv(sock int) (n, oob int, flags int32, err error) {
	b.iov.Base = &b.p[0]
	b.iov.SetLen(len(b.p))
	b.hdr = unix.Msghdr{Iov: &b.iov, Iovlen: 1, Control: &b.oob[0]}
	b.hdr.SetControllen(len(b.oob))
	for {
		r, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(sock), uintptr(unsafe.Pointer(&b.hdr)),
			unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, 0, 0, e
		}
		return int(r), int(b.hdr.Controllen), b.hdr.Flags, nil
	}
}

var bellMessage = [1]byte{msgBell}

// sendBell rings. Errors are for whoever reads the socket to find.
func sendBell(sock int) {
	syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(sock), uintptr(unsafe.Pointer(&bellMessage[0])), 1,
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
}
