package unixsock

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// Option returns an option of level SOL_SOCKET whose value is an int
// (getsockopt(2)); SO_ERROR is cleared by it. ENOPROTOOPT for others: those
// with other values (SO_PEERCRED: PeerCred), and timeouts, which the caller who
// waits must keep.
func (s *Socket) Option(opt int) (int, error) {
	switch opt {
	case unix.SO_TYPE:
		return s.typ, nil
	case unix.SO_DOMAIN:
		return unix.AF_UNIX, nil
	case unix.SO_PROTOCOL:
		return 0, nil
	case unix.SO_ACCEPTCONN:
		return boolInt(s.state.Load() == listening), nil
	case unix.SO_ERROR:
		if e := s.err.Swap(0); e != 0 {
			return int(e), nil
		}
		return 0, nil
	case unix.SO_SNDBUF:
		return int(s.sndbuf.Load()), nil
	case unix.SO_RCVBUF:
		return int(s.rcvbuf.Load()), nil
	case unix.SO_PASSCRED:
		return boolInt(s.pass.Load()&passCred != 0), nil
	case unix.SO_PASSPIDFD:
		return boolInt(s.pass.Load()&passPIDFD != 0), nil
	case unix.SO_PEEK_OFF:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.peekOff, nil
	}
	initial, kept := keptOptions[opt]
	if !kept {
		return 0, syscall.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.options[opt]; ok {
		return v, nil
	}
	return initial, nil
}

// keptOptions are those that mean nothing to a unix socket; they keep their
// value, as on Linux. SO_RCVLOWAT is for the caller who waits.
var keptOptions = map[int]int{
	unix.SO_REUSEADDR: 0, unix.SO_REUSEPORT: 0, unix.SO_KEEPALIVE: 0, unix.SO_BROADCAST: 0,
	unix.SO_DONTROUTE: 0, unix.SO_OOBINLINE: 0, unix.SO_PRIORITY: 0, unix.SO_MARK: 0, unix.SO_RCVLOWAT: 1,
}

// SetOption sets an option of level SOL_SOCKET whose value is an int
// (setsockopt(2)). privileged lets the caller pass the limits (CAP_NET_ADMIN).
// ENOPROTOOPT for options that cannot be set or are not ints.
func (s *Socket) SetOption(opt, v int, privileged bool) error {
	switch opt {
	case unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE:
		if !privileged {
			return syscall.EPERM
		}
		s.setBuf(opt == unix.SO_SNDBUFFORCE, min(max(v, 0), 1<<30-1))
		return nil
	case unix.SO_SNDBUF, unix.SO_RCVBUF:
		s.setBuf(opt == unix.SO_SNDBUF, int(min(uint32(v), maxBuf)))
		return nil
	case unix.SO_PASSCRED:
		s.setPass(passCred, v != 0)
		return nil
	case unix.SO_PASSPIDFD:
		s.setPass(passPIDFD, v != 0)
		return nil
	case unix.SO_PEEK_OFF:
		if v < -1 {
			return syscall.EINVAL
		}
		s.mu.Lock()
		s.peekOff = v
		s.mu.Unlock()
		return nil
	}
	initial, kept := keptOptions[opt]
	if !kept {
		return syscall.ENOPROTOOPT
	}
	switch opt {
	case unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_DONTROUTE, unix.SO_OOBINLINE, unix.SO_REUSEADDR:
		v = boolInt(v != 0)
	case unix.SO_MARK:
		if !privileged {
			return syscall.EPERM
		}
	case unix.SO_PRIORITY:
		if (v < 0 || v > 6) && !privileged {
			return syscall.EPERM
		}
	case unix.SO_RCVLOWAT:
		if v < 0 {
			v = 1<<31 - 1
		}
		v = max(v, initial)
	}
	s.mu.Lock()
	if s.options == nil {
		s.options = make(map[int]int)
	}
	s.options[opt] = v
	s.mu.Unlock()
	return nil
}

func (s *Socket) setPass(bit uint32, on bool) {
	if on {
		s.pass.Or(bit)
	} else {
		s.pass.And(^bit)
	}
}

// setBuf sets a buffer's limit to twice v, as socket(7) says.
func (s *Socket) setBuf(send bool, v int) {
	if !send {
		s.rcvbuf.Store(int64(max(2*v, minRcvBuf)))
		return
	}
	s.sndbuf.Store(int64(max(2*v, minSndBuf)))
	s.queue.Notify(vfs.EventsOut | vfs.EventWrBand)
}

// PeerCred returns SO_PEERCRED: who connected, or listened, or made the pair.
// Without a peer it is process 0 of user and group -1.
func (s *Socket) PeerCred() Cred {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peerCred
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
