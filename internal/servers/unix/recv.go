package unixsock

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// Received is what Recv tells besides the bytes.
type Received struct {
	// From is the sender's name; an Unnamed sender has length 0 here.
	From Addr
	// Cred are the sender's credentials: HasCred, when SO_PASSCRED is on, HasPIDFD,
	// when SO_PASSPIDFD is (the caller makes an SCM_PIDFD of them).
	Cred              Cred
	HasCred, HasPIDFD bool
	// Refs are the open files that came; they are the caller's now.
	Refs []Ref
	// Flags has MSG_TRUNC when a datagram was longer than the buffer.
	Flags int
	// Dry: the buffer is not full only because no more bytes were there. With
	// MSG_WAITALL the caller waits and receives the rest.
	Dry bool
}

// Recv receives into p and fills r. flags: MSG_PEEK, MSG_TRUNC (datagrams: the
// result is the full length), MSG_DONTWAIT (the caller will not wait: some ends
// of file are EAGAIN to him). EAGAIN: wait until s is ready to read. Other
// errors: the pending one, ENOTCONN or EINVAL when not connected, EOPNOTSUPP
// for MSG_OOB.
func (s *Socket) Recv(p []byte, flags int, r *Received) (int, error) {
	*r = Received{}
	if flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	switch s.typ {
	case unix.SOCK_STREAM:
		if s.state.Load() != established {
			return 0, syscall.EINVAL
		}
		return s.recvStream(p, flags&unix.MSG_PEEK != 0, r)
	case unix.SOCK_SEQPACKET:
		if s.state.Load() != established {
			return 0, syscall.ENOTCONN
		}
	}
	return s.recvDgram(p, flags, r)
}

// recvStream joins messages, but not those of different senders when the
// receiver wants to know them, and none behind one with references.
func (s *Socket) recvStream(p []byte, peek bool, r *Received) (n int, err error) {
	var (
		fl     = &s.ns.flight
		locked bool  // fl.mu is held, as it must be to take references
		done   queue // what was read to its end
		named  bool
	)
	s.mu.Lock()
	m := s.recv.first
	skip := s.peekSkip(peek)
	for {
		for m != nil && skip >= len(m.left()) {
			skip -= len(m.left())
			m = m.next
		}
		if m == nil {
			if r.Dry = n > 0; r.Dry {
				break
			}
			if err = s.takeErr(); err == nil && s.shutdown.Load()&rcvShutdown == 0 {
				err = syscall.EAGAIN
			}
			if err == nil { // Linux has credentials for the end of the stream, too
				s.setCred(r, Cred{})
			}
			break
		}
		if m.refs != nil && !locked {
			s.mu.Unlock()
			fl.mu.Lock()
			s.mu.Lock()
			locked = true
			m = s.recv.first
			if peek {
				n, skip = 0, s.peekSkip(peek)
			}
			continue
		}
		if r.HasCred || r.HasPIDFD {
			if m.cred != r.Cred {
				break
			}
		} else {
			s.setCred(r, m.cred)
		}
		if !named {
			r.From, named = m.from.Name(), true
		}
		c := copy(p[n:], m.left()[skip:])
		n += c
		refs := m.refs
		if peek {
			for _, ref := range refs {
				r.Refs = append(r.Refs, ref.Dup())
			}
			// Linux looks on for references when the buffer is full.
			skip, m = 0, m.next
			if refs != nil || m == nil {
				r.Dry = m == nil && n < len(p)
				break
			}
		} else {
			m.off += c
			s.recv.bytes -= c
			s.movePeek(false, c)
			if refs != nil {
				fl.remove(refs)
				r.Refs, m.refs = refs, nil
			}
			if len(m.left()) != 0 {
				break
			}
			done.push(s.recv.pop())
			m = s.recv.first
			if refs != nil || n == len(p) {
				break
			}
		}
	}
	if peek {
		s.movePeek(true, n)
	}
	s.mu.Unlock()
	if locked {
		fl.mu.Unlock()
	}
	for m := done.first; m != nil; {
		next := m.next
		discharge(m)
		m.free()
		m = next
	}
	return n, err
}

// setCred tells r the sender, if s wants that.
func (s *Socket) setCred(r *Received, c Cred) {
	if pass := s.pass.Load(); pass != 0 {
		r.Cred = c
		r.HasCred = pass&passCred != 0
		r.HasPIDFD = pass&passPIDFD != 0
	}
}

// peekSkip returns how many bytes SO_PEEK_OFF has a peek skip. The caller holds
// mu.
func (s *Socket) peekSkip(peek bool) int {
	if peek {
		return max(s.peekOff, 0)
	}
	return 0
}

// movePeek keeps SO_PEEK_OFF after n bytes were peeked or read. The caller
// holds mu.
func (s *Socket) movePeek(peek bool, n int) {
	switch {
	case peek && s.peekOff >= 0:
		s.peekOff += n
	case !peek && s.peekOff > 0:
		s.peekOff = max(0, s.peekOff-n)
	}
}

// recvDgram takes one message, in whole.
func (s *Socket) recvDgram(p []byte, flags int, r *Received) (int, error) {
	peek := flags&unix.MSG_PEEK != 0
	fl := &s.ns.flight
	locked := false
	s.mu.Lock()
	if err := s.takeErr(); err != nil {
		s.mu.Unlock()
		return 0, err
	}
again:
	m := s.recv.first
	skip := s.peekSkip(peek)
	for peek && s.peekOff >= 0 && m != nil && skip >= len(m.data) && (skip != 0 || m.peeked) {
		skip -= len(m.data)
		m = m.next
	}
	if m == nil {
		s.mu.Unlock()
		if locked {
			fl.mu.Unlock()
		}
		if s.shutdown.Load()&rcvShutdown != 0 && (s.typ == unix.SOCK_SEQPACKET || flags&unix.MSG_DONTWAIT == 0) {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	if m.refs != nil && !locked {
		s.mu.Unlock()
		fl.mu.Lock()
		s.mu.Lock()
		locked = true
		goto again
	}
	n := copy(p, m.data[skip:])
	full := len(m.data) - skip
	if n < full {
		r.Flags |= unix.MSG_TRUNC
	}
	r.From = m.from.Name()
	s.setCred(r, m.cred)
	var wake map[*Socket]struct{}
	if peek {
		m.peeked = true
		s.movePeek(peek, n)
		for _, ref := range m.refs {
			r.Refs = append(r.Refs, ref.Dup())
		}
	} else {
		s.recv.pop()
		s.movePeek(peek, len(m.data))
		if m.refs != nil {
			fl.remove(m.refs)
			r.Refs, m.refs = m.refs, nil
		}
		wake = s.takeBlocked()
	}
	s.mu.Unlock()
	if locked {
		fl.mu.Unlock()
	}
	if !peek {
		if s.typ == unix.SOCK_DGRAM {
			s.room.Notify(vfs.EventsOut)
			wakeBlocked(wake)
		}
		discharge(m)
		m.free()
	}
	if flags&unix.MSG_TRUNC != 0 {
		return full, nil
	}
	return n, nil
}
