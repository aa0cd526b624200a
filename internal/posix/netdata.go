package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What goes through a network's sockets.

// controlMax is the most ancillary data of one message (net.core.optmem_max).
const controlMax = 128 << 10

// netMessageMax is more than the largest message of a network's socket.
const netMessageMax = 128 << 10

func netSendto(t *Task, d *Description, s *netSocket, a *Args) (uint64, error) {
	m := vfs.Packet{Flags: a.Int(3)}
	if a[4] != 0 {
		var err error
		if m.Addr, err = t.copyInSockaddr(a[4], a.Int(5)); err != nil {
			return 0, err
		}
	}
	n, err := t.sendNet(d, s, t.oneVec(a[1], a[2]), &m)
	if n > 0 && a[4] == 0 {
		t.used(a.Int(0), d)
	}
	return uint64(n), err
}

func netSendmsg(t *Task, d *Description, s *netSocket, a *Args) (uint64, error) {
	n, err := t.sendmsgNet(d, s, a[1], a.Int(2))
	return uint64(n), err
}

func (t *Task) sendmsgNet(d *Description, s *netSocket, at uint64, flags int) (int, error) {
	h, err := t.copyInMsghdr(at)
	if err != nil {
		return 0, err
	}
	m := vfs.Packet{Flags: flags}
	if h.Namelen > 0 {
		if m.Addr, err = t.copyInSockaddr(h.Name, int(h.Namelen)); err != nil {
			return 0, err
		}
	}
	mem, err := t.copyInVec(h.Iov, h.Iovlen)
	if err != nil {
		return 0, err
	}
	switch {
	case h.Controllen > controlMax:
		return 0, syscall.ENOBUFS
	case h.Controllen > 0:
		m.Control = make([]byte, h.Controllen)
		if err := t.copyIn(h.Control, m.Control); err != nil {
			return 0, err
		}
	}
	return t.sendNet(d, s, mem, &m)
}

// sendNet sends what is in mem: as a stream until all is gone, or as one message.
// With n > 0 there is no error.
func (t *Task) sendNet(d *Description, s *netSocket, mem userVec, m *vfs.Packet) (n int, err error) {
	p := patienceOf(m.Flags&unix.MSG_DONTWAIT != 0 || d.nonblocking(), s.sendTimeout.Load())
	stream := s.typ == unix.SOCK_STREAM
	most := chunk
	if !stream {
		if most = mem.left; most > netMessageMax {
			return 0, syscall.EMSGSIZE
		}
	}
	flags := m.Flags
	for {
		m.Data = t.buffer(min(mem.left, most))
		got, fault := mem.copyIn(m.Data)
		m.Data = m.Data[:got]
		switch {
		case fault == nil:
		case !stream:
			return 0, fault
		case got == 0 && n > 0:
			return n, nil
		}
		if m.Flags = flags; mem.left > 0 {
			m.Flags = flags&^unix.MSG_OOB | unix.MSG_MORE // it is the last byte of all that is urgent
		}
		for {
			var done int
			err := t.retrySocket(s, vfs.EventsOut, &p, func() (err error) {
				done, err = s.Send(t.context(), m)
				if err == nil && (done > len(m.Data) || done <= 0 && stream && len(m.Data) > 0) {
					done, err = 0, syscall.EIO // what a broken server says
				}
				return err
			})
			if err != nil {
				if n == 0 && stream && errnoOf(err) == syscall.EPIPE && flags&unix.MSG_NOSIGNAL == 0 {
					t.signal(abi.KillInfo(syscall.SIGPIPE, abi.SI_USER, int32(t.proc.pid), t.creds.Load().UID))
				}
				return t.someDone(d, s, n, err)
			}
			n += done
			if m.Data = m.Data[done:]; len(m.Data) == 0 || !stream {
				break
			}
		}
		if fault != nil || mem.left == 0 {
			return someSent(n, fault) // what is wrong with the socket came first
		}
	}
}

// someDone is the result of a call that had an effect if n > 0: then the next call
// hears of the error.
func (t *Task) someDone(d *Description, s *netSocket, n int, err error) (int, error) {
	if n > 0 {
		t.keep(d, s, nil, err)
		return n, nil
	}
	return 0, err
}

// keep keeps data and an error for the next call.
func (t *Task) keep(d *Description, s *netSocket, data []byte, err error) {
	if s.held.keep(data, err) {
		_ = t.own(d) // so that nobody else passes it by
	}
}

func netRecvfrom(t *Task, d *Description, s *netSocket, a *Args) (uint64, error) {
	m := vfs.Packet{Flags: a.Int(3)}
	n, err := t.receiveNet(d, s, t.oneVec(a[1], a[2]), &m)
	if n > 0 && a[4] == 0 {
		t.used(a.Int(0), d)
	}
	if err == nil && a[4] != 0 {
		err = t.copyOutSockaddr(m.Addr, a[4], a[5])
	}
	return uint64(n), err
}

func netRecvmsg(t *Task, d *Description, s *netSocket, a *Args) (uint64, error) {
	n, err := t.recvmsgNet(d, s, a[1], a.Int(2))
	return uint64(n), err
}

func (t *Task) recvmsgNet(d *Description, s *netSocket, at uint64, flags int) (int, error) {
	h, err := t.copyInMsghdr(at)
	if err != nil {
		return 0, err
	}
	mem, err := t.copyInVec(h.Iov, h.Iovlen)
	if err != nil {
		return 0, err
	}
	m := vfs.Packet{Flags: flags}
	if h.Control != 0 && h.Controllen > 0 {
		m.Control = make([]byte, 0, min(h.Controllen, controlMax))
	}
	n, err := t.receiveNet(d, s, mem, &m)
	if err != nil {
		return 0, err
	}
	if len(m.Control) > 0 {
		if err := t.copyOut(h.Control, m.Control); err != nil {
			m.Control, m.Flags = nil, m.Flags|unix.MSG_CTRUNC
		}
	}
	if h.Name != 0 {
		if err := t.copyOutSockaddr(m.Addr, h.Name, at+abi.MsgNamelen); err != nil {
			return 0, err
		}
	}
	var b [12]byte // controllen and flags
	binary.LittleEndian.PutUint64(b[:], uint64(len(m.Control)))
	binary.LittleEndian.PutUint32(b[8:], uint32(flags&unix.MSG_CMSG_CLOEXEC|m.Flags))
	return n, t.copyOut(at+abi.MsgControllen, b[:])
}

// receiveNet fills mem and m with a message, or with what a stream has: with
// MSG_WAITALL or SO_RCVLOWAT it waits for more. With n > 0 there is no error.
func (t *Task) receiveNet(d *Description, s *netSocket, mem userVec, m *vfs.Packet) (n int, err error) {
	flags := m.Flags
	stream := s.typ == unix.SOCK_STREAM && flags&unix.MSG_ERRQUEUE == 0
	atOnce := flags&(unix.MSG_DONTWAIT|unix.MSG_ERRQUEUE) != 0 || stream && flags&unix.MSG_OOB != 0
	p := patienceOf(atOnce || d.nonblocking(), s.recvTimeout.Load())
	target, most := 0, netMessageMax
	if stream {
		target, most = mem.left, chunk
		if flags&unix.MSG_WAITALL == 0 {
			target = min(target, int(s.lowWater.Load()))
		}
	}
	part := vfs.Packet{Control: m.Control}
	for {
		part.Data = t.buffer(min(mem.left, most))
		var got int
		err := t.retrySocket(s, vfs.EventsIn|vfs.EventRdHup, &p, func() (err error) {
			if stream && n == 0 && s.lowWater.Load() > 1 && !p.none &&
				s.Poll(vfs.EventIn|vfs.EventRdHup|vfs.EventErr|vfs.EventHup) == 0 {
				return syscall.EAGAIN // what is there does not reach the mark
			}
			if n > 0 && t.atMark(s) {
				got = 0
				return nil
			}
			part.Flags = flags &^ unix.MSG_WAITALL
			got, err = s.Receive(t.context(), &part)
			if stream && err == nil && flags&unix.MSG_PEEK != 0 && got < min(target, len(part.Data)) && !p.none &&
				s.Poll(vfs.EventRdHup)&vfs.EventRdHup == 0 {
				return syscall.EAGAIN // all is looked at at once
			}
			if !stream && !p.none && errnoOf(err) == syscall.EAGAIN && s.Poll(vfs.EventRdHup)&vfs.EventRdHup != 0 {
				got, part.Flags, err = 0, 0, nil // shut down: nothing is waited for
			}
			return err
		})
		if flags&unix.MSG_PEEK != 0 && got > 0 {
			err = nil // there is something to look at
		}
		if err != nil {
			return t.someDone(d, s, n, err)
		}
		if n == 0 {
			*m = part
			part.Control = nil
		}
		if stream && flags&unix.MSG_TRUNC != 0 {
			// The bytes were thrown away.
			mem.skip(got)
			n += got
		} else {
			done, err := mem.copyOut(part.Data[:min(got, len(part.Data))])
			if !stream {
				return got, err
			}
			n += done
			if err != nil {
				if flags&(unix.MSG_PEEK|unix.MSG_OOB) == 0 {
					t.keep(d, s, part.Data[done:got], nil)
				}
				return someSent(n, err)
			}
		}
		if mem.left == 0 || got == 0 || flags&(unix.MSG_PEEK|unix.MSG_OOB) != 0 {
			return n, nil
		}
		if n >= target {
			if got < len(part.Data) {
				return n, nil
			}
			p.none = true // only what is there
		}
	}
}
