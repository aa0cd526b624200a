package abi

import (
	"syscall"
)

// Sizes of siginfo_t and of signalfd(2)'s form of it.
const (
	SizeSiginfo         = 128
	SizeSignalfdSiginfo = 128
)

// Siginfo is siginfo_t: what a handler, waitid, sigtimedwait, signalfd and
// ptrace are told of a signal. Union holds the rest in the form that Signo and
// Code say (see Layout): build it by the constructors, read it by the methods.
// It keeps the 48 bytes that mean something; the other 80 are always 0.
type Siginfo struct {
	Signo, Errno, Code int32
	Union              [4]uint64
}

// Layout says what a Siginfo's Union holds.
type Layout uint8

// The layouts.
const (
	LayoutKill        Layout = iota // PID, UID
	LayoutTimer                     // TimerID, Overrun, Value
	LayoutPoll                      // Band, FD
	LayoutFault                     // Addr
	LayoutFaultMCEErr               // Addr, AddrLSB
	LayoutFaultBnd                  // Addr, Bounds
	LayoutFaultPkey                 // Addr, Pkey
	LayoutFaultPerf                 // Addr, perf's data
	LayoutChild                     // PID, UID, Status, Times
	LayoutRT                        // PID, UID, Value
	LayoutSys                       // CallAddr, Syscall, Arch
)

// Layout returns the form of the Union that Linux sees for s.
func (s *Siginfo) Layout() Layout {
	sig, code := syscall.Signal(s.Signo), s.Code
	switch {
	case code == SI_TIMER:
		return LayoutTimer
	case code == SI_SIGIO:
		return LayoutPoll
	case code < 0:
		return LayoutRT
	case code == SI_USER || code >= SI_KERNEL:
		return LayoutKill
	}
	limit := int32(0)
	switch sig {
	case syscall.SIGILL:
		limit = numIllCodes
	case syscall.SIGFPE:
		limit = FPE_CONDTRAP
	case syscall.SIGSEGV:
		limit = SEGV_CPERR
	case syscall.SIGBUS:
		limit = BUS_MCEERR_AO
	case syscall.SIGTRAP:
		limit = TRAP_PERF
	case syscall.SIGCHLD:
		if code <= CLD_CONTINUED {
			return LayoutChild
		}
	case syscall.SIGSYS:
		if code <= SYS_USER_DISPATCH {
			return LayoutSys
		}
	}
	switch {
	case code > limit:
		if code <= POLL_HUP {
			return LayoutPoll
		}
		return LayoutKill
	case sig == syscall.SIGBUS && code >= BUS_MCEERR_AR:
		return LayoutFaultMCEErr
	case sig == syscall.SIGSEGV && code == SEGV_BNDERR:
		return LayoutFaultBnd
	case sig == syscall.SIGSEGV && code == SEGV_PKUERR:
		return LayoutFaultPkey
	case sig == syscall.SIGTRAP && code == TRAP_PERF:
		return LayoutFaultPerf
	}
	return LayoutFault
}

// KillInfo is a signal of kill(2) (SI_USER), tgkill(2) (SI_TKILL) or the
// kernel (SI_KERNEL, with pid and uid 0).
func KillInfo(sig syscall.Signal, code, pid int32, uid uint32) Siginfo {
	return Siginfo{Signo: int32(sig), Code: code, Union: [4]uint64{pair(uint32(pid), uid)}}
}

// QueueInfo is a signal with a value: of sigqueue(3) (SI_QUEUE), mq_notify(3)
// (SI_MESGQ) and so on.
func QueueInfo(sig syscall.Signal, code, pid int32, uid uint32, value uint64) Siginfo {
	return Siginfo{Signo: int32(sig), Code: code, Union: [4]uint64{pair(uint32(pid), uid), value}}
}

// TimerInfo is a signal of timer_create(2)'s timer (SI_TIMER).
func TimerInfo(sig syscall.Signal, timer, overrun int32, value uint64) Siginfo {
	return Siginfo{Signo: int32(sig), Code: SI_TIMER,
		Union: [4]uint64{pair(uint32(timer), uint32(overrun)), value}}
}

// ChildInfo is a SIGCHLD, and waitid(2)'s result. code is one of CLD_; times
// are in ticks.
func ChildInfo(code, pid int32, uid uint32, status int32, utime, stime int64) Siginfo {
	return Siginfo{Signo: int32(syscall.SIGCHLD), Code: code,
		Union: [4]uint64{pair(uint32(pid), uid), pair(uint32(status), 0), uint64(utime), uint64(stime)}}
}

// FaultInfo is a SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP at addr.
func FaultInfo(sig syscall.Signal, code int32, addr uint64) Siginfo {
	return Siginfo{Signo: int32(sig), Code: code, Union: [4]uint64{addr}}
}

// MCEErrInfo is a SIGBUS (BUS_MCEERR_) for broken memory at addr; 1<<lsb bytes
// are lost.
func MCEErrInfo(code int32, addr uint64, lsb uint16) Siginfo {
	return Siginfo{Signo: int32(syscall.SIGBUS), Code: code, Union: [4]uint64{addr, uint64(lsb)}}
}

// BoundsInfo is a SIGSEGV (SEGV_BNDERR) at addr, outside lower to upper.
func BoundsInfo(addr, lower, upper uint64) Siginfo {
	return Siginfo{Signo: int32(syscall.SIGSEGV), Code: SEGV_BNDERR, Union: [4]uint64{addr, 0, lower, upper}}
}

// PkeyInfo is a SIGSEGV (SEGV_PKUERR) at addr, whose pages have the key pkey.
func PkeyInfo(addr uint64, pkey uint32) Siginfo {
	return Siginfo{Signo: int32(syscall.SIGSEGV), Code: SEGV_PKUERR, Union: [4]uint64{addr, 0, uint64(pkey)}}
}

// PollInfo is a SIGIO or another signal that F_SETSIG chose. code is one of
// POLL_, band the events of poll(2).
func PollInfo(sig syscall.Signal, code int32, band int64, fd int32) Siginfo {
	return Siginfo{Signo: int32(sig), Code: code, Union: [4]uint64{uint64(band), pair(uint32(fd), 0)}}
}

// SysInfo is a SIGSYS: the system call nr was made just before callAddr.
func SysInfo(code int32, callAddr uint64, nr int32, arch uint32) Siginfo {
	return Siginfo{Signo: int32(syscall.SIGSYS), Code: code,
		Union: [4]uint64{callAddr, pair(uint32(nr), arch)}}
}

// PID is the sender's or the child's process id.
func (s *Siginfo) PID() int32 { return int32(lo(s.Union[0])) }

// UID is the sender's or the child's user id.
func (s *Siginfo) UID() uint32 { return hi(s.Union[0]) }

// Value is what the sender queued.
func (s *Siginfo) Value() uint64 { return s.Union[1] }

// TimerID is the timer's.
func (s *Siginfo) TimerID() int32 { return int32(lo(s.Union[0])) }

// Overrun is how often the timer expired more.
func (s *Siginfo) Overrun() int32 { return int32(hi(s.Union[0])) }

// SetOverrun changes it, at the time of delivery.
func (s *Siginfo) SetOverrun(n int32) { s.Union[0] = pair(lo(s.Union[0]), uint32(n)) }

// Status is the child's exit status or signal.
func (s *Siginfo) Status() int32 { return int32(lo(s.Union[1])) }

// Times are the child's, in ticks.
func (s *Siginfo) Times() (utime, stime int64) { return int64(s.Union[2]), int64(s.Union[3]) }

// Addr is where the fault was.
func (s *Siginfo) Addr() uint64 { return s.Union[0] }

// AddrLSB is the size of what is lost, as a power of two.
func (s *Siginfo) AddrLSB() uint16 { return uint16(s.Union[1]) }

// Bounds are those that the fault broke.
func (s *Siginfo) Bounds() (lower, upper uint64) { return s.Union[2], s.Union[3] }

// Pkey is the protection key of the faulting page.
func (s *Siginfo) Pkey() uint32 { return lo(s.Union[2]) }

// Band is the set of events.
func (s *Siginfo) Band() int64 { return int64(s.Union[0]) }

// FD is the descriptor that has them.
func (s *Siginfo) FD() int32 { return int32(lo(s.Union[1])) }

// CallAddr is just past the system call instruction.
func (s *Siginfo) CallAddr() uint64 { return s.Union[0] }

// Syscall is the system call's number.
func (s *Siginfo) Syscall() int32 { return int32(lo(s.Union[1])) }

// Arch is the AUDIT_ARCH_ number of the call.
func (s *Siginfo) Arch() uint32 { return hi(s.Union[1]) }

// Encode writes s to b.
func (s *Siginfo) Encode(b []byte) {
	b = b[:SizeSiginfo]
	le.PutUint32(b[0:], uint32(s.Signo))
	le.PutUint32(b[4:], uint32(s.Errno))
	le.PutUint32(b[8:], uint32(s.Code))
	le.PutUint32(b[12:], 0)
	for i, u := range s.Union {
		le.PutUint64(b[16+8*i:], u)
	}
	clear(b[48:])
}

// Decode reads s from b. It returns false when bytes that s cannot keep are
// not 0, which is E2BIG to rt_sigqueueinfo(2) unless Layout is a known one.
func (s *Siginfo) Decode(b []byte) bool {
	b = b[:SizeSiginfo]
	s.Signo = int32(le.Uint32(b[0:]))
	s.Errno = int32(le.Uint32(b[4:]))
	s.Code = int32(le.Uint32(b[8:]))
	for i := range s.Union {
		s.Union[i] = le.Uint64(b[16+8*i:])
	}
	return zero(b[48:])
}

// EncodeSignalfd writes s to b as a struct signalfd_siginfo.
func (s *Siginfo) EncodeSignalfd(b []byte) {
	b = b[:SizeSignalfdSiginfo]
	clear(b)
	le.PutUint32(b[0:], uint32(s.Signo))
	le.PutUint32(b[4:], uint32(s.Errno))
	le.PutUint32(b[8:], uint32(s.Code))
	switch l := s.Layout(); l {
	case LayoutKill, LayoutRT, LayoutChild:
		le.PutUint32(b[12:], uint32(s.PID()))
		le.PutUint32(b[16:], s.UID())
		if l == LayoutRT {
			putSignalfdValue(b, s.Value())
		}
		if l == LayoutChild {
			utime, stime := s.Times()
			le.PutUint32(b[40:], uint32(s.Status()))
			le.PutUint64(b[56:], uint64(utime))
			le.PutUint64(b[64:], uint64(stime))
		}
	case LayoutTimer:
		le.PutUint32(b[24:], uint32(s.TimerID()))
		le.PutUint32(b[32:], uint32(s.Overrun()))
		putSignalfdValue(b, s.Value())
	case LayoutPoll:
		le.PutUint32(b[20:], uint32(s.FD()))
		le.PutUint32(b[28:], uint32(s.Band()))
	case LayoutSys:
		le.PutUint32(b[84:], uint32(s.Syscall()))
		le.PutUint64(b[88:], s.CallAddr())
		le.PutUint32(b[96:], s.Arch())
	default:
		le.PutUint64(b[72:], s.Addr())
		if l == LayoutFaultMCEErr {
			le.PutUint16(b[80:], s.AddrLSB())
		}
	}
}

func putSignalfdValue(b []byte, v uint64) {
	le.PutUint32(b[44:], uint32(v))
	le.PutUint64(b[48:], v)
}

func pair(low, high uint32) uint64 { return uint64(low) | uint64(high)<<32 }
func lo(x uint64) uint32           { return uint32(x) }
func hi(x uint64) uint32           { return uint32(x >> 32) }
