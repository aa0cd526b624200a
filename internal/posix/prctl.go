package posix

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"
)

func sysPrctl(t *Task, a *Args) (uint64, error) {
	switch a.Int(0) {
	case unix.PR_SET_NAME:
		return 0, t.prSetName(a[1])
	case unix.PR_GET_NAME:
		var b [16]byte
		copy(b[:15], t.comm())
		return 0, t.copyOut(a[1], b[:])
	case unix.PR_SET_PDEATHSIG:
		if a[1] > 64 {
			return 0, syscall.EINVAL
		}
		t.k.mu.Lock()
		defer t.k.mu.Unlock()
		t.exit.deathSignal = syscall.Signal(a[1])
		return 0, nil
	case unix.PR_GET_PDEATHSIG:
		return 0, t.copyOutUint32(a[1], uint32(t.exit.deathSignal))
	case unix.PR_SET_DUMPABLE:
		if a[1] > 1 {
			return 0, syscall.EINVAL
		}
		return t.processFlag(&t.proc.undumpable, a[1] == 0)
	case unix.PR_GET_DUMPABLE:
		t.k.mu.Lock()
		defer t.k.mu.Unlock()
		return boolean(!t.proc.undumpable), nil
	case unix.PR_SET_CHILD_SUBREAPER:
		return t.processFlag(&t.proc.exit.subreaper, a[1] != 0)
	case unix.PR_GET_CHILD_SUBREAPER:
		t.k.mu.Lock()
		v := t.proc.exit.subreaper
		t.k.mu.Unlock()
		return 0, t.copyOutUint32(a[1], uint32(boolean(v)))
	case unix.PR_SET_NO_NEW_PRIVS:
		if a[1] != 1 || a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, syscall.EINVAL
		}
		c := *t.creds.Load()
		c.NoNewPrivs = true
		t.creds.Store(&c)
		return 0, nil
	case unix.PR_GET_NO_NEW_PRIVS:
		if a[1] != 0 || a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, syscall.EINVAL
		}
		return boolean(t.creds.Load().NoNewPrivs), nil
	case unix.PR_SET_KEEPCAPS, unix.PR_GET_KEEPCAPS, unix.PR_GET_SECUREBITS, unix.PR_SET_SECUREBITS,
		unix.PR_CAPBSET_READ, unix.PR_CAPBSET_DROP, unix.PR_CAP_AMBIENT:
		return t.prctlCaps(a)
	case unix.PR_SET_TIMERSLACK:
		t.timerSlack = a[1]
		return 0, nil
	case unix.PR_GET_TIMERSLACK:
		if t.timerSlack == 0 {
			return 50000, nil
		}
		return t.timerSlack, nil
	case unix.PR_GET_TIMING:
		return unix.PR_TIMING_STATISTICAL, nil
	case unix.PR_SET_TIMING:
		if a[1] != unix.PR_TIMING_STATISTICAL {
			return 0, syscall.EINVAL
		}
		return 0, nil
	case unix.PR_SET_THP_DISABLE, unix.PR_SET_PTRACER:
		return 0, nil // nothing that a program could notice depends on them
	case unix.PR_GET_THP_DISABLE:
		return 0, nil
	case unix.PR_SET_VMA:
		if a[1] != unix.PR_SET_VMA_ANON_NAME {
			return 0, syscall.EINVAL
		}
		return 0, nil // a name for /proc/pid/maps alone
	case unix.PR_MCE_KILL:
		return 0, nil
	case unix.PR_MCE_KILL_GET:
		return unix.PR_MCE_KILL_DEFAULT, nil
	case unix.PR_GET_TID_ADDRESS:
		return 0, t.copyOutUint64(a[1], t.clearTID)
	case unix.PR_GET_SECCOMP:
		return 0, nil
	case unix.PR_GET_TSC:
		return 0, t.copyOutUint32(a[1], unix.PR_TSC_ENABLE)
	case unix.PR_SET_TSC:
		if a[1] != unix.PR_TSC_ENABLE {
			return 0, syscall.EINVAL
		}
		return 0, nil
	case unix.PR_GET_SPECULATION_CTRL, unix.PR_SET_SPECULATION_CTRL:
		return 0, syscall.ENODEV
	case unix.PR_GET_IO_FLUSHER, unix.PR_SET_IO_FLUSHER:
		return 0, syscall.EPERM
	case unix.PR_SET_SECCOMP, unix.PR_SET_MM, unix.PR_SET_MDWE, unix.PR_GET_MDWE,
		unix.PR_TASK_PERF_EVENTS_DISABLE, unix.PR_TASK_PERF_EVENTS_ENABLE:
		t.k.miss(t, "prctl option")
		return 0, syscall.EINVAL
	}
	return 0, syscall.EINVAL
}

func boolean(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (t *Task) processFlag(flag *bool, v bool) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	*flag = v
	return 0, nil
}

// prSetName takes up to 15 bytes; a name that ends before an unreadable page is
// one.
func (t *Task) prSetName(addr uint64) error {
	s, err := t.copyInString(addr, 16, errNameTooLong)
	if err == errNameTooLong {
		var b [15]byte
		if err := t.copyIn(addr, b[:]); err != nil {
			return err
		}
		s, err = string(bytes.TrimRight(b[:], "\x00")), nil
	}
	if err != nil {
		return err
	}
	t.setComm(s)
	return nil
}

const errNameTooLong = syscall.ENAMETOOLONG

// prctlCaps are the options about capabilities(7).
func (t *Task) prctlCaps(a *Args) (uint64, error) {
	old := t.creds.Load()
	s := old.capabilities()
	bit := uint64(0)
	if a[1] <= unix.CAP_LAST_CAP {
		bit = 1 << a[1]
	}
	switch a.Int(0) {
	case unix.PR_GET_KEEPCAPS:
		return boolean(s.Securebits&secureKeepCaps != 0), nil
	case unix.PR_GET_SECUREBITS:
		return uint64(s.Securebits), nil
	case unix.PR_CAPBSET_READ:
		if bit == 0 {
			return 0, syscall.EINVAL
		}
		return boolean(s.Bounding&bit != 0), nil
	case unix.PR_SET_KEEPCAPS:
		if a[1] > 1 {
			return 0, syscall.EINVAL
		}
		if s.Securebits&keepCapsLockedMask != 0 {
			return 0, syscall.EPERM
		}
		s.Securebits = s.Securebits&^secureKeepCaps | uint32(a[1])*secureKeepCaps
	case unix.PR_SET_SECUREBITS:
		v := uint32(a[1])
		locked := s.Securebits & secureLocks
		if a[1]&^secureAll != 0 || locked&^v != 0 || (s.Securebits^v)&(locked>>1) != 0 || !old.capable(unix.CAP_SETPCAP) {
			return 0, syscall.EPERM
		}
		s.Securebits = v
	case unix.PR_CAPBSET_DROP:
		if !old.capable(unix.CAP_SETPCAP) {
			return 0, syscall.EPERM
		}
		if bit == 0 {
			return 0, syscall.EINVAL
		}
		s.Bounding &^= bit
	default:
		return t.prctlAmbient(a, &s)
	}
	c := *old
	c.Caps = &s
	t.creds.Store(&c)
	return 0, nil
}

func (t *Task) prctlAmbient(a *Args, s *Caps) (uint64, error) {
	if a[3] != 0 || a[4] != 0 {
		return 0, syscall.EINVAL
	}
	var bit uint64
	if a[1] != unix.PR_CAP_AMBIENT_CLEAR_ALL {
		if a[2] > unix.CAP_LAST_CAP {
			return 0, syscall.EINVAL
		}
		bit = 1 << a[2]
	} else if a[2] != 0 {
		return 0, syscall.EINVAL
	}
	switch a[1] {
	case unix.PR_CAP_AMBIENT_CLEAR_ALL:
		s.Ambient = 0
	case unix.PR_CAP_AMBIENT_IS_SET:
		return boolean(s.Ambient&bit != 0), nil
	case unix.PR_CAP_AMBIENT_LOWER:
		s.Ambient &^= bit
	case unix.PR_CAP_AMBIENT_RAISE:
		if s.Permitted&s.Inheritable&bit == 0 || s.Securebits&secureNoAmbient != 0 {
			return 0, syscall.EPERM
		}
		s.Ambient |= bit
	default:
		return 0, syscall.EINVAL
	}
	c := *t.creds.Load()
	c.Caps = s
	t.creds.Store(&c)
	return 0, nil
}
