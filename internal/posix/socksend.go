package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// sending is a message on its way out.
type sending struct {
	d     *Description
	sock  *socket
	mem   userVec
	named bool   // an address came with it
	to    []byte // that address
	flags int    // MSG_ bits
	control
}

func sysSendto(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	m := sending{d: d, sock: s, mem: t.oneVec(a[1], a[2]), flags: a.Int(3)}
	if a[4] != 0 {
		var err error
		if m.to, err = t.copyInSockaddr(a[4], a.Int(5)); err != nil {
			return 0, err
		}
		m.named = len(m.to) > 0
	}
	n, err := t.send(&m)
	return uint64(n), err
}

func sysSendmsg(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	n, err := t.sendmsg(d, s, a[1], a.Int(2))
	return uint64(n), err
}

func sysSendmmsg(t *Task, a *Args) (uint64, error) {
	d, err := t.socketFile(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	count := uint64(min(a.Uint(2), abi.MaxIovecs))
	for i := range count {
		at := a[1] + i*abi.SizeMmsghdr
		var n int
		if d.net != nil {
			n, err = t.sendmsgNet(d, d.net, at, a.Int(3))
		} else {
			n, err = t.sendmsg(d, d.sock, at, a.Int(3))
		}
		if err == nil {
			err = t.copyOutUint32(at+abi.MmsgLen, uint32(n))
		}
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, err
		}
	}
	return count, nil
}

// copyInMsghdr reads a struct msghdr.
func (t *Task) copyInMsghdr(at uint64) (h abi.Msghdr, err error) {
	var b [abi.SizeMsghdr]byte
	if err := t.copyIn(at, b[:]); err != nil {
		return h, err
	}
	h.Decode(b[:])
	if h.Name == 0 {
		h.Namelen = 0
	}
	switch {
	case h.Namelen < 0:
		return h, syscall.EINVAL
	case h.Iovlen > abi.MaxIovecs:
		return h, syscall.EMSGSIZE
	}
	h.Namelen = min(h.Namelen, sockaddrMax)
	return h, nil
}

func (t *Task) sendmsg(d *Description, s *socket, at uint64, flags int) (int, error) {
	h, err := t.copyInMsghdr(at)
	if err != nil {
		return 0, err
	}
	m := sending{d: d, sock: s, flags: flags, named: h.Namelen > 0}
	if m.named {
		if m.to, err = t.copyInSockaddr(h.Name, int(h.Namelen)); err != nil {
			return 0, err
		}
	}
	if m.mem, err = t.copyInVec(h.Iov, h.Iovlen); err != nil {
		return 0, err
	}
	if h.Controllen > 1<<31-1 {
		return 0, syscall.ENOBUFS
	}
	if m.control, err = t.copyInControl(h.Control, h.Controllen); err != nil {
		return 0, err
	}
	n, err := t.send(&m)
	if err != nil {
		releaseRights(m.refs)
	}
	return n, err
}

// socketWrite is write(2) and its like.
func (t *Task) socketWrite(d *Description, x *transfer) (int, error) {
	flags := 0
	if x.flags&rwNowait != 0 {
		flags = unix.MSG_DONTWAIT
	}
	if d.net != nil {
		return t.sendNet(d, d.net, x.mem, &vfs.Packet{Flags: flags})
	}
	return t.send(&sending{d: d, sock: d.sock, mem: x.mem, flags: flags})
}

// send sends m. With an error its references are still the caller's.
func (t *Task) send(m *sending) (n int, err error) {
	if m.flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	p := patienceOf(m.flags&unix.MSG_DONTWAIT != 0 || m.d.nonblocking(), m.sock.sendTimeout.Load())
	lookUp := false
	if m.named {
		if lookUp, err = m.sock.Addressable(); err != nil {
			return 0, err
		}
	}
	if m.sock.Type() == unix.SOCK_STREAM {
		n, err = t.sendStream(m, &p)
	} else {
		n, err = t.sendMessage(m, lookUp, &p)
	}
	if err == syscall.EPIPE && m.sock.Type() == unix.SOCK_STREAM && m.flags&unix.MSG_NOSIGNAL == 0 {
		t.signal(abi.KillInfo(syscall.SIGPIPE, abi.SI_USER, int32(t.proc.pid), t.creds.Load().UID))
	}
	return n, err
}

// sendStream sends bytes until all are gone; with n > 0 there is no error.
func (t *Task) sendStream(m *sending, p *patience) (n int, err error) {
	msg := unixsock.Message{Sender: t.senderCred(), Cred: m.cred, Refs: m.refs}
	for {
		buf := t.buffer(min(m.mem.left, chunk))
		got, fault := m.mem.copyIn(buf)
		if fault != nil && got == 0 {
			return someSent(n, fault)
		}
		for buf = buf[:got]; ; {
			msg.Data = buf
			done, err := m.sock.Send(&msg)
			if err == syscall.EAGAIN {
				if err = t.awaitSocket(m.sock.SendRoom(nil), vfs.EventsOut, p); err == nil {
					continue
				}
			}
			if err != nil {
				return someSent(n, err)
			}
			msg.Refs, m.refs = nil, nil // they are on their way
			n += done
			if buf = buf[done:]; len(buf) == 0 {
				break
			}
		}
		if fault != nil || m.mem.left == 0 {
			return someSent(n, fault)
		}
	}
}

// someSent is the result of a call that had an effect if n > 0.
func someSent(n int, err error) (int, error) {
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// sendMessage sends m in one piece. lookUp says that the address counts.
func (t *Task) sendMessage(m *sending, lookUp bool, p *patience) (int, error) {
	var to unixsock.Addr
	var err error
	if lookUp {
		if to, err = unixsock.ParseAddr(m.to); err != nil {
			return 0, err
		}
		if to.Kind != unixsock.Path && to.Kind != unixsock.Abstract {
			return 0, syscall.EINVAL
		}
	}
	size := m.mem.left
	for {
		// What forbids a message of this size comes before it is read.
		err := m.sock.BeforeSend(size)
		if err == nil {
			break
		}
		if err != syscall.EAGAIN {
			return 0, err
		}
		if err := t.awaitSocket(m.sock, vfs.EventsOut, p); err != nil {
			return 0, err
		}
	}
	msg := unixsock.Message{Sender: t.senderCred(), Cred: m.cred, Refs: m.refs}
	msg.Data = t.buffer(size)
	if _, err := m.mem.copyIn(msg.Data); err != nil {
		return 0, err
	}
	for {
		if lookUp {
			if msg.To, err = t.findSocket(to, m.sock.Type()); err != nil {
				return 0, err
			}
		}
		n, err := m.sock.Send(&msg)
		if err != syscall.EAGAIN {
			if err == nil {
				m.refs = nil
			}
			return n, err
		}
		if err := t.awaitSocket(m.sock.SendRoom(msg.To), vfs.EventsOut, p); err != nil {
			return 0, err
		}
	}
}
