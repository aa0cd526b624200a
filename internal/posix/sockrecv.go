package posix

import (
	"encoding/binary"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// receiving is a message, or a part of a stream, on its way in.
type receiving struct {
	d     *Description
	sock  *socket
	mem   userVec
	flags int // MSG_ bits
	got   unixsock.Received
}

func sysRecvfrom(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	r := receiving{d: d, sock: s, mem: t.oneVec(a[1], a[2]), flags: a.Int(3)}
	n, err := t.receive(&r)
	releaseRights(r.got.Refs)
	if err == nil && a[4] != 0 {
		err = t.copyOutSockaddr(fromAddr(&r.got), a[4], a[5])
	}
	return uint64(n), err
}

// fromAddr is the sender's address: nothing when it has none.
func fromAddr(got *unixsock.Received) []byte {
	if got.From.Kind == unixsock.Unnamed {
		return nil
	}
	return got.From.Append(nil)
}

func sysRecvmsg(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	n, err := t.recvmsg(d, s, a[1], a.Int(2))
	return uint64(n), err
}

func sysRecvmmsg(t *Task, a *Args) (uint64, error) {
	var end time.Time
	if a[4] != 0 {
		e, err := t.relativeDeadline(a[4])
		if err != nil {
			return 0, err
		}
		if end = e.at; e.now {
			end = time.Now()
		}
	}
	d, err := t.socketFile(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	n, err := t.recvmmsg(d, a, end)
	if a[4] != 0 && n > 0 {
		var b [abi.SizeTimespec]byte
		abi.TimespecOf(max(0, time.Until(end))).Encode(b[:])
		if err := t.copyOut(a[4], b[:]); err != nil {
			return 0, err
		}
	}
	return n, err
}

// recvmmsg looks at the time only after each message, as recvmmsg(2) laments.
func (t *Task) recvmmsg(d *Description, a *Args, end time.Time) (uint64, error) {
	count, flags := uint64(min(a.Uint(2), abi.MaxIovecs)), a.Int(3)
	for i := range count {
		at := a[1] + i*abi.SizeMmsghdr
		var n int
		var err error
		if d.net != nil {
			n, err = t.recvmsgNet(d, d.net, at, flags&^unix.MSG_WAITFORONE)
		} else {
			n, err = t.recvmsg(d, d.sock, at, flags&^unix.MSG_WAITFORONE)
		}
		if err == nil {
			err = t.copyOutUint32(at+abi.MmsgLen, uint32(n))
		}
		if err != nil {
			if i > 0 {
				if d.net != nil && errnoOf(err) != syscall.EFAULT {
					t.keep(d, d.net, nil, err)
				}
				return i, nil
			}
			return 0, err
		}
		if flags&unix.MSG_WAITFORONE != 0 {
			flags |= unix.MSG_DONTWAIT
		}
		if a[4] != 0 && !time.Now().Before(end) {
			return i + 1, nil
		}
	}
	return count, nil
}

func (t *Task) recvmsg(d *Description, s *socket, at uint64, flags int) (int, error) {
	h, err := t.copyInMsghdr(at)
	if err != nil {
		return 0, err
	}
	r := receiving{d: d, sock: s, flags: flags}
	if r.mem, err = t.copyInVec(h.Iov, h.Iovlen); err != nil {
		return 0, err
	}
	n, err := t.receive(&r)
	if err != nil {
		releaseRights(r.got.Refs)
		return 0, err
	}
	size, cut, err := t.copyOutControl(&r.got, h.Control, h.Controllen, flags&unix.MSG_CMSG_CLOEXEC != 0)
	if err != nil {
		size, cut = 0, cut|unix.MSG_CTRUNC
	}
	if h.Name != 0 {
		if err := t.copyOutSockaddr(fromAddr(&r.got), h.Name, at+abi.MsgNamelen); err != nil {
			return 0, err
		}
	}
	var b [16]byte // controllen and flags
	binary.LittleEndian.PutUint64(b[:], uint64(size))
	binary.LittleEndian.PutUint32(b[8:], uint32(flags&unix.MSG_CMSG_CLOEXEC|r.got.Flags|cut))
	return n, t.copyOut(at+abi.MsgControllen, b[:12])
}

// socketRead is read(2) and its like, which have no place for open files.
func (t *Task) socketRead(d *Description, x *transfer) (int, error) {
	if x.mem.left == 0 {
		return 0, nil
	}
	flags := 0
	if x.flags&rwNowait != 0 {
		flags = unix.MSG_DONTWAIT
	}
	if d.net != nil {
		return t.receiveNet(d, d.net, x.mem, &vfs.Packet{Flags: flags})
	}
	r := receiving{d: d, sock: d.sock, mem: x.mem, flags: flags}
	n, err := t.receive(&r)
	releaseRights(r.got.Refs)
	return n, err
}

// receive fills r.mem and r.got, whose references are the caller's, even with
// an error.
func (t *Task) receive(r *receiving) (n int, err error) {
	p := patienceOf(r.flags&unix.MSG_DONTWAIT != 0 || r.d.nonblocking(), r.sock.recvTimeout.Load())
	if r.sock.Type() == unix.SOCK_STREAM {
		return t.receiveStream(r, &p)
	}
	size := r.mem.left
	if size > chunk {
		// More than any message, unless somebody has raised the limits.
		waiting, _ := r.sock.Unread()
		size = min(size, max(waiting, chunk))
	}
	buf := t.buffer(size)
	if n, err = t.receiveSome(r, buf, &p); err != nil {
		return 0, err
	}
	_, err = r.mem.copyOut(buf[:min(n, size)])
	return n, err
}

// receiveSome does one Recv, and waits until it can.
func (t *Task) receiveSome(r *receiving, buf []byte, p *patience) (int, error) {
	for {
		flags := r.flags
		if p.none {
			flags |= unix.MSG_DONTWAIT
		}
		n, err := r.sock.Recv(buf, flags, &r.got)
		if err != syscall.EAGAIN {
			return n, err
		}
		if err := t.awaitSocket(r.sock, vfs.EventsIn|vfs.EventRdHup, p); err != nil {
			return 0, err
		}
	}
}

// receiveStream receives what is there, and with MSG_WAITALL or SO_RCVLOWAT
// waits for more. With n > 0 there is no error.
func (t *Task) receiveStream(r *receiving, p *patience) (n int, err error) {
	target := r.mem.left
	if r.flags&unix.MSG_WAITALL == 0 {
		target = min(target, int(r.sock.lowWater.Load()))
	}
	var from unixsock.Addr
	for {
		buf := t.buffer(min(r.mem.left, chunk))
		if n > 0 && n >= target {
			p.none = true
		}
		m, err := t.receiveSome(r, buf, p)
		if n == 0 {
			from = r.got.From
		}
		r.got.From = from
		if err != nil || m == 0 {
			return someSent(n, err)
		}
		done, err := r.mem.copyOut(buf[:m])
		n += done
		switch {
		case err != nil:
			return someSent(n, err)
		case r.mem.left == 0, r.flags&unix.MSG_PEEK != 0, r.got.Refs != nil, r.got.HasCred, r.got.HasPIDFD,
			r.got.Dry && n >= target, !r.got.Dry && m < len(buf):
			return n, nil
		}
	}
}
