package strace

import (
	"math/bits"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

var (
	inSigaction  = inStruct(abi.SizeSigaction, (*printer).sigaction)
	outSigaction = outStruct(abi.SizeSigaction, (*printer).sigaction)
	inStackT     = inStruct(abi.SizeStackT, (*printer).stackT)
	outStackT    = outStruct(abi.SizeStackT, (*printer).stackT)
	inSiginfo    = inStruct(abi.SizeSiginfo, (*printer).siginfoBytes)
	outSiginfo   = outStruct(abi.SizeSiginfo, (*printer).siginfoBytes)

	inSigevent = inStruct(abi.SizeSigevent, func(p *printer, b []byte) {
		var e abi.Sigevent
		e.Decode(b)
		p.str("{")
		if e.Value != 0 {
			p.str("sigev_value={sival_int=")
			p.num(int64(int32(e.Value)))
			p.str(", sival_ptr=")
			p.ptr(e.Value)
			p.str("}, ")
		}
		p.str("sigev_signo=")
		if e.Signo == 0 {
			p.str("0")
		} else {
			p.signal(e.Signo)
		}
		p.str(", sigev_notify=")
		p.flags(uint64(uint32(e.Notify)), &sigevNotify)
		if e.Notify == abi.SIGEV_THREAD_ID {
			p.field("sigev_notify_thread_id", int64(e.TID))
		}
		p.str("}")
	})
)

// inSigset and outSigset are sets whose size is argument n.
func inSigset(n int) kind {
	return kind{in: func(p *printer, i int) { p.sigsetSized(p.args[i], p.args[n]) }}
}

func outSigset(n int) kind {
	return kind{out: func(p *printer, i int) {
		if p.failed() {
			p.ptr(p.args[i])
			return
		}
		p.sigsetSized(p.args[i], p.args[n])
	}}
}

func (p *printer) sigsetSized(v, size uint64) {
	if size != abi.SizeSigset {
		p.ptr(v)
		return
	}
	p.sigsetAt(v)
}

// frameMask is the mask that rt_sigreturn puts back, in the frame above its
// return address.
var frameMask = in(func(p *printer, _ uint64) {
	if p.sp == 0 {
		return
	}
	if s, ok := p.word(p.sp + abi.UcSigmask); ok {
		p.str("{mask=")
		p.sigset(abi.Sigset(s))
		p.str("}")
	}
})

func (p *printer) sigsetAt(v uint64) {
	if s, ok := p.word(v); ok {
		p.sigset(abi.Sigset(s))
		return
	}
	p.ptr(v)
}

// sigset prints [HUP INT], or ~[KILL] for one that has most signals.
func (p *printer) sigset(s abi.Sigset) {
	if bits.OnesCount64(uint64(s)) >= abi.NumSignals*2/3 {
		p.str("~")
		s = ^s
	}
	p.str("[")
	first := true
	for sig := syscall.Signal(1); sig <= abi.NumSignals; sig++ {
		if !s.Has(sig) {
			continue
		}
		if !first {
			p.str(" ")
		}
		first = false
		p.str(strings.TrimPrefix(abi.SignalName(sig), "SIG"))
	}
	p.str("]")
}

func (p *printer) sigaction(b []byte) {
	var a abi.Sigaction
	a.Decode(b)
	p.str("{sa_handler=")
	switch a.Handler {
	case abi.SIG_DFL:
		p.str("SIG_DFL")
	case abi.SIG_IGN:
		p.str("SIG_IGN")
	default:
		p.hex(a.Handler)
	}
	p.str(", sa_mask=")
	p.sigset(a.Mask)
	p.str(", sa_flags=")
	p.flags(a.Flags, &saFlags)
	if a.Flags&abi.SA_RESTORER != 0 {
		p.str(", sa_restorer=")
		p.ptr(a.Restorer)
	}
	p.str("}")
}

func (p *printer) stackT(b []byte) {
	var s abi.StackT
	s.Decode(b)
	p.str("{ss_sp=")
	p.ptr(s.SP)
	p.str(", ss_flags=")
	p.flags(uint64(s.Flags), &ssFlags)
	p.str(", ss_size=")
	p.unum(s.Size)
	p.str("}")
}

func (p *printer) siginfoBytes(b []byte) {
	var s abi.Siginfo
	s.Decode(b)
	p.siginfo(&s)
}

// AppendSiginfo appends s as strace prints it: {si_signo=SIGINT, ...}.
func AppendSiginfo(b []byte, s *abi.Siginfo) []byte {
	p := printer{buf: b}
	p.siginfo(s)
	return p.buf
}

func (p *printer) siginfo(s *abi.Siginfo) {
	if s.Signo == 0 {
		p.str("{}")
		return
	}
	p.str("{si_signo=")
	p.signal(s.Signo)
	p.str(", si_code=")
	p.sicode(s)
	if s.Errno != 0 {
		p.str(", si_errno=")
		p.str(abi.ErrnoName(syscall.Errno(s.Errno)))
	}
	sender := func() {
		p.field("si_pid", int64(s.PID()))
		p.str(", si_uid=")
		p.unum(uint64(s.UID()))
	}
	value := func() {
		p.field("si_int", int64(int32(s.Value())))
		p.str(", si_ptr=")
		p.ptr(s.Value())
	}
	switch s.Layout() {
	case abi.LayoutKill:
		if s.Code != abi.SI_KERNEL {
			sender()
		}
	case abi.LayoutRT:
		sender()
		if s.Code != abi.SI_TKILL || s.Value() != 0 {
			value()
		}
	case abi.LayoutTimer:
		p.str(", si_timerid=")
		p.hex(uint64(uint32(s.TimerID())))
		p.field("si_overrun", int64(s.Overrun()))
		value()
	case abi.LayoutChild:
		sender()
		p.str(", si_status=")
		if s.Code == abi.CLD_EXITED {
			p.num(int64(s.Status()))
		} else {
			p.signal(s.Status())
		}
		utime, stime := s.Times()
		p.str(", si_utime=")
		p.ticks(utime)
		p.str(", si_stime=")
		p.ticks(stime)
	case abi.LayoutPoll:
		p.field("si_band", s.Band())
		p.field("si_fd", int64(s.FD()))
	case abi.LayoutSys:
		p.str(", si_call_addr=")
		p.ptr(s.CallAddr())
		p.str(", si_syscall=__NR_")
		p.str(abi.SyscallName(uint64(uint32(s.Syscall()))))
		p.str(", si_arch=")
		if s.Arch() == 0xc000003e {
			p.str("AUDIT_ARCH_X86_64")
		} else {
			p.hex(uint64(s.Arch()))
		}
	default:
		p.str(", si_addr=")
		p.ptr(s.Addr())
	}
	p.str("}")
}

func (p *printer) sicode(s *abi.Siginfo) {
	code := uint64(uint32(s.Code))
	if name := siCodes.name(code); name != "" {
		p.str(name)
		return
	}
	set, ok := map[syscall.Signal]*flagSet{
		syscall.SIGCHLD: &cldCodes, syscall.SIGSEGV: &segvCodes, syscall.SIGBUS: &busCodes, syscall.SIGILL: &illCodes,
		syscall.SIGFPE: &fpeCodes, syscall.SIGTRAP: &trapCodes, syscall.SIGIO: &pollCodes, syscall.SIGSYS: &sysCodes,
	}[syscall.Signal(s.Signo)]
	if ok && set.name(code) != "" {
		p.str(set.name(code))
		return
	}
	p.num(int64(s.Code))
}
