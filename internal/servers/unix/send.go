package unixsock

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// readable is what data's arrival announces.
const readable = vfs.EventsIn | vfs.EventPri | vfs.EventRdBand

// MaxRefs is how many references one message may carry (SCM_MAX_FD).
const MaxRefs = 253

// Message is what Send sends.
type Message struct {
	Data []byte
	// To is where an address led; nil: to the peer. See Addressable.
	To *Socket
	// Sender is the caller. His credentials go along when either side has
	// SO_PASSCRED on.
	Sender Cred
	// Cred is an explicit SCM_CREDENTIALS, which the caller has checked.
	Cred *Cred
	// Refs are the open files of SCM_RIGHTS. They are the socket's when Send
	// returns without an error, and stay the caller's with one.
	Refs  []Ref
	Flags int // MSG_OOB is EOPNOTSUPP; others are the caller's affair
}

// Addressable reports whether an address that came with a message is to be
// looked up for Message.To. A sequenced packet socket ignores it (false), a
// stream socket refuses it: EISCONN or EOPNOTSUPP.
func (s *Socket) Addressable() (bool, error) {
	switch {
	case s.typ == unix.SOCK_DGRAM:
		return true, nil
	case s.typ == unix.SOCK_SEQPACKET:
		return false, nil
	case s.state.Load() == established:
		return false, syscall.EISCONN
	}
	return false, syscall.EOPNOTSUPP
}

// Send sends m and returns the number of bytes; for a stream that may be fewer
// than all. EAGAIN: wait until s.SendRoom(m.To) is ready to write. EPIPE: for a
// stream the caller raises SIGPIPE. Other errors: ENOTCONN, ECONNREFUSED,
// ECONNRESET, EPERM (the receiver is connected to another one), EMSGSIZE,
// EOPNOTSUPP, EINVAL (more than MaxRefs references).
func (s *Socket) Send(m *Message) (int, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	if len(m.Refs) > MaxRefs {
		return 0, syscall.EINVAL
	}
	switch s.typ {
	case unix.SOCK_STREAM:
		return s.sendStream(m)
	case unix.SOCK_SEQPACKET:
		if err := s.takeErr(); err != nil {
			return 0, err
		}
		if s.state.Load() != established {
			return 0, syscall.ENOTCONN
		}
		return s.sendDgram(m, nil)
	}
	return s.sendDgram(m, m.To)
}

func (s *Socket) sendStream(m *Message) (int, error) {
	peer := s.peer.Load()
	if peer == nil {
		return 0, syscall.ENOTCONN
	}
	if s.shutdown.Load()&sendShutdown != 0 {
		return 0, syscall.EPIPE
	}
	refs := m.Refs
	sent := 0
	for sent < len(m.Data) {
		sndbuf := s.sndbuf.Load()
		if s.wmem.Load() >= sndbuf {
			return partial(sent, syscall.EAGAIN)
		}
		n := min(len(m.Data)-sent, int(sndbuf>>1)-64, streamChunk)
		msg := s.fill(m.Data[sent:sent+n], streamCharge(n))
		if err := s.deliver(peer, msg, m, refs); err != nil {
			return partial(sent, err)
		}
		refs = nil
		sent += n
	}
	for _, r := range refs { // of an empty message, which a stream does not carry
		r.Release()
	}
	return sent, nil
}

func partial(n int, err error) (int, error) {
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// sendDgram sends m as one message to to, nil being the peer.
func (s *Socket) sendDgram(m *Message, to *Socket) (int, error) {
	if err := s.BeforeSend(len(m.Data)); err != nil {
		return 0, err
	}
	peer := s.peer.Load()
	if to == nil {
		if to = peer; to == nil {
			return 0, syscall.ENOTCONN
		}
	}
	msg := s.fill(m.Data, dgramCharge(len(m.Data)))
	err := s.deliver(to, msg, m, m.Refs)
	if err == syscall.ECONNREFUSED && s.typ == unix.SOCK_DGRAM && to == peer {
		s.peerDied(to)
	}
	if err != nil {
		return 0, err
	}
	return len(m.Data), nil
}

// BeforeSend reports what keeps s from sending a datagram of size bytes to
// anybody: EMSGSIZE, the pending error, EPIPE, EAGAIN. Send does it itself; a
// caller does it before he looks the address up, for the order of errors.
func (s *Socket) BeforeSend(size int) error {
	if err := s.WantName(); err != nil {
		return err
	}
	sndbuf := s.sndbuf.Load()
	if size > int(sndbuf)-32 {
		return syscall.EMSGSIZE
	}
	if err := s.takeErr(); err != nil {
		return err
	}
	if s.shutdown.Load()&sendShutdown != 0 {
		return syscall.EPIPE
	}
	if s.wmem.Load() >= sndbuf {
		return syscall.EAGAIN
	}
	return nil
}

// peerDied makes s unconnected, since its peer is closed.
func (s *Socket) peerDied(peer *Socket) {
	s.mu.Lock()
	mine := s.peer.CompareAndSwap(peer, nil)
	if mine {
		s.state.Store(closed)
	}
	s.mu.Unlock()
	if mine {
		s.disconnected(peer)
	}
}

// fill makes a message of p, charged to s.
func (s *Socket) fill(p []byte, charge int64) *message {
	msg := newMessage(len(p))
	copy(msg.data, p)
	msg.from, msg.charge = s, charge
	s.wmem.Add(charge)
	return msg
}

// deliver queues msg at to, or ends it and says why it could not.
func (s *Socket) deliver(to *Socket, msg *message, m *Message, refs []Ref) error {
	fl := &s.ns.flight
	if len(refs) != 0 {
		fl.mu.Lock()
	}
	to.mu.Lock()
	err := s.mayDeliver(to)
	if err == nil {
		switch {
		case m.Cred != nil:
			msg.cred = *m.Cred
		case s.pass.Load()|to.pass.Load() != 0:
			msg.cred = m.Sender
		default:
			msg.cred = noCred
		}
		if len(refs) != 0 {
			msg.refs = refs
			fl.add(to, refs)
		}
		to.recv.push(msg)
	}
	to.mu.Unlock()
	if len(refs) != 0 {
		fl.mu.Unlock()
	}
	if err != nil {
		discharge(msg)
		msg.free()
		return err
	}
	to.queue.Notify(readable)
	return nil
}

// mayDeliver says whether to takes a message of s now. The caller holds to.mu.
func (s *Socket) mayDeliver(to *Socket) error {
	if s.typ == unix.SOCK_STREAM {
		if to.shutdown.Load()&rcvShutdown != 0 {
			return syscall.EPIPE
		}
		return nil
	}
	switch {
	case !mayTake(to, s):
		return syscall.EPERM
	case to.dead.Load() && s.typ == unix.SOCK_SEQPACKET:
		return syscall.EPIPE
	case to.dead.Load():
		return syscall.ECONNREFUSED
	case to.shutdown.Load()&rcvShutdown != 0:
		return syscall.EPIPE
	case to != s && to.peer.Load() != s && to.full():
		to.block(s)
		return syscall.EAGAIN
	}
	return nil
}

// block notes that s, if connected to to, is to be woken when to has room. The
// caller holds to.mu.
func (to *Socket) block(s *Socket) {
	if s.peer.Load() != to {
		return
	}
	if to.blocked == nil {
		to.blocked = make(map[*Socket]struct{})
	}
	to.blocked[s] = struct{}{}
}

// discharge gives back what msg counts to its sender.
func discharge(msg *message) {
	s := msg.from
	if s == nil {
		return
	}
	s.wmem.Add(-msg.charge)
	if s.writable() {
		s.queue.Notify(vfs.EventsOut | vfs.EventWrBand)
	}
}

// SendRoom returns what a Send to to (nil: the peer) that failed with EAGAIN
// waits for: the result is ready to write when it is worth another try.
func (s *Socket) SendRoom(to *Socket) vfs.Pollable {
	if to != nil && s.typ == unix.SOCK_DGRAM && to != s && to.room.Poll(vfs.EventOut) == 0 {
		return &to.room
	}
	return s
}
