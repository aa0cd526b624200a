package abi

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The numbers of signals that x/sys/unix has no name for.
const (
	NumSignals = 64 // the highest signal
	SIGRTMIN   = 32 // as the kernel counts; libc keeps the first two or three
	SIGRTMAX   = 64
)

// sigaction(2)'s flags.
const (
	SA_NOCLDSTOP      = 0x1
	SA_NOCLDWAIT      = 0x2
	SA_SIGINFO        = 0x4
	SA_UNSUPPORTED    = 0x400
	SA_EXPOSE_TAGBITS = 0x800
	SA_RESTORER       = 0x04000000
	SA_ONSTACK        = 0x08000000
	SA_RESTART        = 0x10000000
	SA_NODEFER        = 0x40000000
	SA_RESETHAND      = 0x80000000

	// SA_ALL are the flags that Linux keeps; it clears all others.
	SA_ALL = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS |
		SA_RESTORER | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND
)

// Handlers that are not addresses.
const (
	SIG_DFL = 0
	SIG_IGN = 1
)

// sigaltstack(2)'s flags and limits.
const (
	SS_ONSTACK    = 1
	SS_DISABLE    = 2
	SS_AUTODISARM = 1 << 31
	MINSIGSTKSZ   = 2048
)

// Sizes of the structures of signals.
const (
	SizeSigset    = 8
	SizeSigaction = 32
	SizeStackT    = 24
	SizeSigevent  = 64
)

// Sigset is the kernel's set of signals: bit n-1 is signal n.
type Sigset uint64

// SigsetOf returns the set of the signals given.
func SigsetOf(sigs ...syscall.Signal) (s Sigset) {
	for _, sig := range sigs {
		s |= SigBit(sig)
	}
	return s
}

// SigBit is the set of sig alone; empty for a number that is no signal.
func SigBit(sig syscall.Signal) Sigset {
	if sig < 1 || sig > NumSignals {
		return 0
	}
	return 1 << (sig - 1)
}

// Has reports whether sig is in s.
func (s Sigset) Has(sig syscall.Signal) bool { return s&SigBit(sig) != 0 }

// Encode writes s to b.
func (s Sigset) Encode(b []byte) { le.PutUint64(b, uint64(s)) }

// Decode reads s from b.
func (s *Sigset) Decode(b []byte) { *s = Sigset(le.Uint64(b)) }

// SignalName returns "SIGINT", or "SIGRTMIN", "SIGRT_1" and so on for the
// real-time ones, or the number of what is no signal.
func SignalName(sig syscall.Signal) string {
	switch {
	case sig == SIGRTMIN:
		return "SIGRTMIN"
	case sig > SIGRTMIN && sig <= SIGRTMAX:
		return "SIGRT_" + strconv.Itoa(int(sig)-SIGRTMIN)
	}
	if s := unix.SignalName(sig); s != "" {
		return s
	}
	return strconv.Itoa(int(sig))
}

// Sigaction is struct sigaction as rt_sigaction(2) takes it, not as libc's
// sigaction(3) does.
type Sigaction struct {
	Handler, Flags, Restorer uint64
	Mask                     Sigset
}

// Encode writes a to b.
func (a *Sigaction) Encode(b []byte) {
	b = b[:SizeSigaction]
	le.PutUint64(b[0:], a.Handler)
	le.PutUint64(b[8:], a.Flags)
	le.PutUint64(b[16:], a.Restorer)
	le.PutUint64(b[24:], uint64(a.Mask))
}

// Decode reads a from b.
func (a *Sigaction) Decode(b []byte) {
	b = b[:SizeSigaction]
	a.Handler = le.Uint64(b[0:])
	a.Flags = le.Uint64(b[8:])
	a.Restorer = le.Uint64(b[16:])
	a.Mask = Sigset(le.Uint64(b[24:]))
}

// StackT is stack_t, sigaltstack(2)'s.
type StackT struct {
	SP    uint64
	Flags uint32
	Size  uint64
}

// Encode writes s to b.
func (s *StackT) Encode(b []byte) {
	b = b[:SizeStackT]
	le.PutUint64(b[0:], s.SP)
	le.PutUint32(b[8:], s.Flags)
	le.PutUint32(b[12:], 0)
	le.PutUint64(b[16:], s.Size)
}

// Decode reads s from b.
func (s *StackT) Decode(b []byte) {
	b = b[:SizeStackT]
	s.SP = le.Uint64(b[0:])
	s.Flags = le.Uint32(b[8:])
	s.Size = le.Uint64(b[16:])
}

// sigevent's ways to notify.
const (
	SIGEV_SIGNAL    = 0
	SIGEV_NONE      = 1
	SIGEV_THREAD    = 2
	SIGEV_THREAD_ID = 4
)

// Sigevent is struct sigevent. TID counts with SIGEV_THREAD_ID only.
type Sigevent struct {
	Value              uint64
	Signo, Notify, TID int32
}

// Encode writes e to b.
func (e *Sigevent) Encode(b []byte) {
	b = b[:SizeSigevent]
	le.PutUint64(b[0:], e.Value)
	le.PutUint32(b[8:], uint32(e.Signo))
	le.PutUint32(b[12:], uint32(e.Notify))
	le.PutUint32(b[16:], uint32(e.TID))
	clear(b[20:])
}

// Decode reads e from b.
func (e *Sigevent) Decode(b []byte) {
	b = b[:SizeSigevent]
	e.Value = le.Uint64(b[0:])
	e.Signo = int32(le.Uint32(b[8:]))
	e.Notify = int32(le.Uint32(b[12:]))
	e.TID = int32(le.Uint32(b[16:]))
}
