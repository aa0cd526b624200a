package posix

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

const (
	sizeTimeval = 16
	sizeLinger  = 8
)

func sysSetsockopt(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	level, opt, n := a.Int(1), a.Int(2), a.Int(4)
	switch {
	case n < 0:
		return 0, syscall.EINVAL
	case level != unix.SOL_SOCKET:
		return 0, syscall.EOPNOTSUPP
	case n < 4:
		return 0, syscall.EINVAL
	}
	v, err := t.copyInUint32(a[3])
	if err != nil {
		return 0, err
	}
	switch opt {
	case unix.SO_RCVTIMEO, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO, unix.SO_SNDTIMEO_NEW:
		return 0, t.setTimeout(&s.waits, opt, a[3], n)
	case unix.SO_LINGER:
		if n < sizeLinger {
			return 0, syscall.EINVAL
		}
		l, err := t.copyInUint64(a[3])
		if err != nil {
			return 0, err
		}
		if uint32(l) != 0 {
			l = l&^math.MaxUint32 | 1
		}
		s.linger.Store(l)
		return 0, nil
	}
	if err := s.SetOption(opt, int(int32(v)), t.capable(unix.CAP_NET_ADMIN)); err != nil {
		return 0, err
	}
	if opt == unix.SO_RCVLOWAT {
		low, _ := s.Option(opt)
		s.lowWater.Store(int32(low))
	}
	return 0, nil
}

// isTimeout reports whether an option of SOL_SOCKET is one of waits.
func isTimeout(opt int) bool {
	return opt == unix.SO_RCVTIMEO || opt == unix.SO_RCVTIMEO_NEW || opt == unix.SO_SNDTIMEO || opt == unix.SO_SNDTIMEO_NEW
}

// of returns where the option that isTimeout is kept.
func (w *waits) of(opt int) *atomic.Int64 {
	if opt == unix.SO_RCVTIMEO || opt == unix.SO_RCVTIMEO_NEW {
		return &w.recvTimeout
	}
	return &w.sendTimeout
}

func (w *waits) timeout(opt int) int64 { return w.of(opt).Load() }

// setTimeout sets one from n bytes of the guest's.
func (t *Task) setTimeout(w *waits, opt int, at uint64, n int) error {
	timeout, err := t.copyInTimeout(at, n)
	if err == nil {
		w.of(opt).Store(timeout)
	}
	return err
}

// copyInTimeout reads a struct timeval for SO_RCVTIMEO, in socket's form.
func (t *Task) copyInTimeout(at uint64, n int) (int64, error) {
	if n < sizeTimeval {
		return 0, syscall.EINVAL
	}
	var b [sizeTimeval]byte
	if err := t.copyIn(at, b[:]); err != nil {
		return 0, err
	}
	sec, usec := int64(binary.LittleEndian.Uint64(b[:])), int64(binary.LittleEndian.Uint64(b[8:]))
	switch {
	case usec < 0 || usec >= 1e6:
		return 0, syscall.EDOM
	case sec < 0:
		return -1, nil
	case sec >= math.MaxInt64/int64(time.Second)-1:
		return 0, nil // for ever
	}
	return sec*int64(time.Second) + usec*int64(time.Microsecond), nil
}

func sysGetsockopt(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	if a.Int(1) != unix.SOL_SOCKET {
		return 0, syscall.EOPNOTSUPP
	}
	u, err := t.copyInUint32(a[4])
	if err != nil {
		return 0, err
	}
	n := int(int32(u))
	if n < 0 {
		return 0, syscall.EINVAL
	}
	var b [sizeTimeval]byte
	size := 4
	switch opt := a.Int(2); opt {
	case unix.SO_RCVTIMEO, unix.SO_RCVTIMEO_NEW, unix.SO_SNDTIMEO, unix.SO_SNDTIMEO_NEW:
		size = putTimeout(b[:], s.timeout(opt))
	case unix.SO_LINGER:
		size = sizeLinger
		binary.LittleEndian.PutUint64(b[:], s.linger.Load())
	case unix.SO_COOKIE:
		if n < 8 {
			return 0, syscall.EINVAL
		}
		size = 8
		binary.LittleEndian.PutUint64(b[:], inoOf(s))
	case unix.SO_PEERCRED:
		c := s.PeerCred()
		size = abi.SizeUcred
		abi.Ucred{PID: c.PID, UID: c.UID, GID: c.GID}.Encode(b[:])
	case unix.SO_SNDLOWAT:
		b[0] = 1
	case unix.SO_PEERPIDFD:
		return 0, t.peerPidfd(s, a[3], a[4], n)
	default:
		v, err := s.Option(opt)
		if err != nil {
			return 0, err
		}
		binary.LittleEndian.PutUint32(b[:], uint32(v))
	}
	n = min(n, size)
	if err := t.copyOut(a[3], b[:n]); err != nil {
		return 0, err
	}
	return 0, t.copyOutUint32(a[4], uint32(n))
}

// putTimeout writes a timeout as a struct timeval and returns its size.
func putTimeout(b []byte, timeout int64) int {
	timeout = max(timeout, 0)
	binary.LittleEndian.PutUint64(b, uint64(timeout/int64(time.Second)))
	binary.LittleEndian.PutUint64(b[8:], uint64(timeout%int64(time.Second)/int64(time.Microsecond)))
	return sizeTimeval
}

// peerPidfd opens a descriptor for the process that SO_PEERCRED tells.
func (t *Task) peerPidfd(s *socket, at, lenAt uint64, n int) error {
	pid := int(s.PeerCred().PID)
	if pid == 0 {
		return syscall.ENODATA
	}
	t.k.mu.Lock()
	p := t.k.processes[pid]
	t.k.mu.Unlock()
	if p == nil {
		return syscall.ESRCH
	}
	fd, err := t.installPidfd(p, unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(fd))
	n = min(n, len(b))
	if err = t.copyOut(at, b[:n]); err == nil {
		err = t.copyOutUint32(lenAt, uint32(n))
	}
	if err != nil {
		t.closeFD(fd)
	}
	return err
}
