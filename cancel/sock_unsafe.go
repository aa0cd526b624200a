package cancel

import (
	"context"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Accept4 is accept4(2). A cancelled Accept4 has taken no connection from the queue.
func Accept4(ctx context.Context, fd int, flags int) (nfd int, sa unix.Sockaddr, err error) {
	var rsa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	c := call{trap: unix.SYS_ACCEPT4}
	c.a[0], c.p[1], c.p[2], c.a[3] = uintptr(fd), unsafe.Pointer(&rsa), unsafe.Pointer(&size), uintptr(flags)
	if nfd, err = c.n(c.socket(ctx, unix.POLLIN, unix.SO_RCVTIMEO)); err != nil {
		return -1, nil, err
	}
	if sa, err = sockaddr(&rsa, size); err == unix.EAFNOSUPPORT {
		sa, err = unix.Getpeername(nfd)
	}
	if err != nil {
		_ = unix.Close(nfd)
		return -1, nil, err
	}
	return nfd, sa, nil
}

// Connect is connect(2). The kernel goes on connecting when a signal ends the wait; so a cancelled Connect either finds
// that the connection has been made, and succeeds, or dissolves the attempt: the socket is then as it was before, though
// the other side may have seen a connection come and go.
//
// It knows addresses of the types SockaddrInet4, SockaddrInet6, SockaddrUnix, SockaddrVM, SockaddrNetlink and
// SockaddrLinklayer; for others it returns EAFNOSUPPORT.
func Connect(ctx context.Context, fd int, sa unix.Sockaddr) (err error) {
	var rsa unix.RawSockaddrAny
	size, err := rawSockaddr(sa, &rsa)
	if err != nil {
		return err
	}
	c := call{trap: unix.SYS_CONNECT}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(&rsa), uintptr(size)
	err = c.socket(ctx, unix.POLLOUT, unix.SO_SNDTIMEO)
	if err == nil || c.r1 != left && unix.Errno(-c.r1) != unix.EINTR || ctx.Done() == nil {
		return err
	}
	return dissolve(fd, err)
}

// dissolve ends the attempt to connect of a call that was cancelled with err.
func dissolve(fd int, err error) error {
	kind, kerr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	domain, derr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if kerr != nil || derr != nil || kind != unix.SOCK_STREAM || domain != unix.AF_INET && domain != unix.AF_INET6 {
		return err // nothing goes on behind the call's back
	}
	if _, perr := unix.Getpeername(fd); perr == nil {
		return nil
	}
	unspec := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, _ = unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspec)), unsafe.Sizeof(unspec))
	return err
}

// Recvmsg is recvmsg(2). A cancelled Recvmsg has consumed nothing. As in package unix, a call that wants control
// messages only reads one byte of a stream with them.
func Recvmsg(ctx context.Context, fd int, p, oob []byte, flags int) (n, oobn int, recvflags int, from unix.Sockaddr, err error) {
	var rsa unix.RawSockaddrAny
	var dummy byte
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	msg := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&rsa)), Namelen: unix.SizeofSockaddrAny, Iov: &iov}
	msg.SetIovlen(1)
	if len(oob) > 0 {
		if len(p) == 0 && stream(fd) {
			iov.Base = &dummy
			iov.SetLen(1)
		}
		msg.Control = unsafe.SliceData(oob)
		msg.SetControllen(len(oob))
	}
	c := call{trap: unix.SYS_RECVMSG}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(&msg), uintptr(flags)
	if n, err = c.n(c.socket(ctx, unix.POLLIN, unix.SO_RCVTIMEO)); err != nil {
		return n, 0, 0, nil, err
	}
	raceFilled(p, min(n, len(p)))
	if rsa.Addr.Family != unix.AF_UNSPEC {
		from, err = sockaddr(&rsa, msg.Namelen)
	}
	return n, int(msg.Controllen), int(msg.Flags), from, err
}

// Sendmsg is sendmsg(2); see SendmsgN.
func Sendmsg(ctx context.Context, fd int, p, oob []byte, to unix.Sockaddr, flags int) (err error) {
	_, err = SendmsgN(ctx, fd, p, oob, to, flags)
	return err
}

// SendmsgN is sendmsg(2) and returns the count. A cancelled call has sent nothing; a cancel that arrives when a part of
// a stream has been sent leaves the count of that part, without an error. The address is as in Connect.
func SendmsgN(ctx context.Context, fd int, p, oob []byte, to unix.Sockaddr, flags int) (n int, err error) {
	raceSent()
	var rsa unix.RawSockaddrAny
	var dummy byte
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	msg := unix.Msghdr{Iov: &iov}
	msg.SetIovlen(1)
	if to != nil {
		if msg.Namelen, err = rawSockaddr(to, &rsa); err != nil {
			return -1, err
		}
		msg.Name = (*byte)(unsafe.Pointer(&rsa))
	}
	empty := len(p) == 0 && len(oob) > 0 && stream(fd)
	if len(oob) > 0 {
		if empty {
			iov.Base = &dummy
			iov.SetLen(1)
		}
		msg.Control = unsafe.SliceData(oob)
		msg.SetControllen(len(oob))
	}
	c := call{trap: unix.SYS_SENDMSG}
	c.a[0], c.p[1], c.a[2] = uintptr(fd), unsafe.Pointer(&msg), uintptr(flags)
	n, err = c.n(c.socket(ctx, unix.POLLOUT, unix.SO_SNDTIMEO))
	if empty && err == nil {
		n = 0
	}
	raceTaken(p, n)
	return n, err
}

// stream says that control messages need a byte of data to go with.
func stream(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind != unix.SOCK_DGRAM
}

// socket makes a call on the socket c.a[0].
func (c *call) socket(ctx context.Context, events int16, option int) error {
	start := time.Now()
	c.eintr = true
	err := c.do(ctx)
	if err == unix.EINTR {
		err = c.again(ctx, start, events, option)
	}
	return err
}

// stream is socket for the calls that may be on a socket but mostly are not: they don't look at the clock before, so
// the timeout of a socket counts from the first interruption.
func (c *call) stream(ctx context.Context, events int16, option int) error {
	c.eintr = true
	err := c.do(ctx)
	if err == unix.EINTR {
		err = c.again(ctx, time.Now(), events, option)
	}
	return err
}

// again repeats a call that was interrupted. The kernel restarts it by itself, unless it is on a socket that has a
// timeout: then every signal would start that anew. So the rest, counted from start, is waited for by poll.
func (c *call) again(ctx context.Context, start time.Time, events int16, option int) error {
	fd := int(c.a[0])
	for {
		tv, err := unix.GetsockoptTimeval(fd, unix.SOL_SOCKET, option)
		if err == nil && tv.Nano() != 0 {
			fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
			n, err := poll(ctx, nil, fds[:], max(0, time.Duration(tv.Nano())-time.Since(start)), nil)
			switch {
			case err != nil:
				c.r1 = left
				return err
			case n == 0 && c.trap == unix.SYS_CONNECT:
				return unix.EINPROGRESS
			case n == 0:
				return unix.EAGAIN
			}
		}
		if err := c.do(ctx); err != unix.EINTR {
			return err
		}
	}
}
