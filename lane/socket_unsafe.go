package lane

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The socket calls below never block, so they are made without telling the Go
// scheduler: it would hand the processor to somebody else in the middle of a
// round trip.

// recvBatch is how many messages one call reads. Fewer than that mean that the
// socket is empty, without a second call.
const recvBatch = 4

// recvBuf holds messages from a lane's socket.
type recvBuf struct {
	p   [recvBatch][256]byte
	oob [recvBatch][512]byte
	iov [recvBatch]unix.Iovec
	hdr [recvBatch]mmsghdr
}

// mmsghdr is the kernel's.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   uint32
}

// recv reads what there is, up to recvBatch messages.
func (b *recvBuf) recv(sock int) (messages int, err error) {
	for i := range b.hdr {
		b.iov[i].Base = &b.p[i][0]
		b.iov[i].SetLen(len(b.p[i]))
		b.hdr[i] = mmsghdr{hdr: unix.Msghdr{Iov: &b.iov[i], Iovlen: 1, Control: &b.oob[i][0]}}
		b.hdr[i].hdr.SetControllen(len(b.oob[i]))
	}
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(sock), uintptr(unsafe.Pointer(&b.hdr[0])), recvBatch,
			unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), nil
	}
}

// message returns one of the messages read: its bytes, control messages, flags.
func (b *recvBuf) message(i int) (p, oob []byte, flags int32) {
	h := &b.hdr[i]
	return b.p[i][:h.n], b.oob[i][:h.hdr.Controllen], h.hdr.Flags
}

var bellMessage = [1]byte{msgBell}

// sendBell rings. Errors are for whoever reads the socket to find.
func sendBell(sock int) {
	syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(sock), uintptr(unsafe.Pointer(&bellMessage[0])), 1,
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
}
