package posix

import (
	"encoding/binary"
	"math"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// netOptionMax is the most that an option of a socket holds here.
const netOptionMax = 16 << 10

// privileged are the options of SOL_SOCKET and SOL_IP that change more than the
// caller's own socket.
func privileged(level, name int) bool {
	switch level {
	case unix.SOL_SOCKET:
		return name == unix.SO_MARK || name == unix.SO_RCVBUFFORCE || name == unix.SO_SNDBUFFORCE || name == unix.SO_DEBUG ||
			name == unix.SO_BUSY_POLL
	case unix.SOL_IP:
		return name == unix.IP_TRANSPARENT
	case unix.SOL_IPV6:
		return name == unix.IPV6_TRANSPARENT
	}
	return false
}

func netSetsockopt(t *Task, d *Description, s *netSocket, a *Args) (uint64, error) {
	level, name, n := a.Int(1), a.Int(2), a.Int(4)
	if n < 0 || n > netOptionMax {
		return 0, syscall.EINVAL
	}
	if level == unix.SOL_SOCKET && isTimeout(name) {
		if err := t.setTimeout(&s.waits, name, a[3], n); err != nil {
			return 0, err
		}
		return 0, t.own(d)
	}
	if level == unix.SOL_SOCKET && n < 4 && name != unix.SO_BINDTODEVICE {
		return 0, syscall.EINVAL
	}
	if privileged(level, name) && !t.capable(unix.CAP_NET_ADMIN) {
		return 0, syscall.EPERM
	}
	value := make([]byte, n)
	if err := t.copyIn(a[3], value); err != nil {
		return 0, err
	}
	if err := s.SetOption(t.context(), level, name, value); err != nil {
		t.noteOption(level, name, err)
		return 0, err
	}
	if level == unix.SOL_SOCKET && name == unix.SO_RCVLOWAT && n >= 4 {
		low := int32(binary.LittleEndian.Uint32(value))
		if low < 0 {
			low = math.MaxInt32
		}
		s.lowWater.Store(max(low, 1))
		return 0, t.own(d)
	}
	return 0, nil
}

// noteOption tells the operator of an option that the network does not have.
func (t *Task) noteOption(level, name int, err error) {
	if errnoOf(err) == syscall.ENOPROTOOPT {
		t.k.logf("process %d (%s): socket option %d of level %d is not there", t.proc.pid, t.comm(), name, level)
	}
}

func netGetsockopt(t *Task, _ *Description, s *netSocket, a *Args) (uint64, error) {
	level, name := a.Int(1), a.Int(2)
	u, err := t.copyInUint32(a[4])
	if err != nil {
		return 0, err
	}
	n := int(int32(u))
	if n < 0 {
		return 0, syscall.EINVAL
	}
	value := make([]byte, min(n, netOptionMax))
	switch {
	case level == unix.SOL_SOCKET && isTimeout(name):
		var b [sizeTimeval]byte
		n = copy(value, b[:putTimeout(b[:], s.timeout(name))])
	case level == unix.SOL_SOCKET && name == unix.SO_PEERCRED:
		var b [abi.SizeUcred]byte
		abi.Ucred{UID: math.MaxUint32, GID: math.MaxUint32}.Encode(b[:])
		n = copy(value, b[:])
	default:
		_ = t.copyIn(a[3], value) // some options read it; what they cannot, they find empty
		if n, err = s.Option(t.context(), level, name, value); err != nil {
			t.noteOption(level, name, err)
			return 0, err
		}
	}
	if err := t.copyOut(a[3], value[:min(n, len(value))]); err != nil {
		return 0, err
	}
	return 0, t.copyOutUint32(a[4], uint32(n))
}
