package strace

import (
	"github.com/hati-os/hati/internal/abi"
)

func (p *printer) timespec(b []byte) {
	var t abi.Timespec
	t.Decode(b)
	p.str("{tv_sec=")
	p.num(t.Sec)
	p.str(", tv_nsec=")
	p.unum(uint64(t.Nsec))
	p.str("}")
}

func (p *printer) timeval(b []byte) {
	var t abi.Timeval
	t.Decode(b)
	p.str("{tv_sec=")
	p.num(t.Sec)
	p.str(", tv_usec=")
	p.unum(uint64(t.Usec))
	p.str("}")
}

var (
	inTimespec  = inStruct(abi.SizeTimespec, (*printer).timespec)
	outTimespec = outStruct(abi.SizeTimespec, (*printer).timespec)
	outTimeval  = outStruct(abi.SizeTimeval, (*printer).timeval)

	inItimerspec  = inStruct(abi.SizeItimerspec, (*printer).itimerspec)
	outItimerspec = outStruct(abi.SizeItimerspec, (*printer).itimerspec)
	inItimerval   = inStruct(abi.SizeItimerval, (*printer).itimerval)
	outItimerval  = outStruct(abi.SizeItimerval, (*printer).itimerval)

	// leftTimespec is the time that remained of an interrupted sleep.
	leftTimespec = kind{out: func(p *printer, i int) {
		if !p.interrupted() {
			p.ptr(p.args[i])
			return
		}
		p.structure(p.args[i], abi.SizeTimespec, (*printer).timespec)
	}}

	// inTimes and inTimevals are the two times of a file.
	inTimes = in(func(p *printer, v uint64) {
		p.array(v, 2, abi.SizeTimespec, func(b []byte) {
			switch le.Uint64(b[8:]) {
			case 0x3fffffff:
				p.str("UTIME_NOW")
			case 0x3ffffffe:
				p.str("UTIME_OMIT")
			default:
				p.timespec(b)
			}
		})
	})
	inTimevals = in(func(p *printer, v uint64) {
		p.array(v, 2, abi.SizeTimeval, p.timeval)
	})

	outTms = outStruct(abi.SizeTms, func(p *printer, b []byte) {
		for i, name := range [...]string{"{tms_utime=", ", tms_stime=", ", tms_cutime=", ", tms_cstime="} {
			p.str(name)
			p.ticks(int64(le.Uint64(b[8*i:])))
		}
		p.str("}")
	})
)

// interrupted reports whether a sleep ended early and tells what is left.
func (p *printer) interrupted() bool {
	return p.err == abi.ERESTART_RESTARTBLOCK || p.err == abi.ERESTARTNOHAND || p.err == 4
}

// ticks prints a number of clock ticks, and the seconds that they are.
func (p *printer) ticks(n int64) {
	p.num(n)
	if n > 0 {
		p.str(" /* ")
		p.num(n / abi.ClockTicks)
		p.str(".")
		p.num(n % abi.ClockTicks / 10)
		p.num(n % 10)
		p.str(" s */")
	}
}

func (p *printer) itimerspec(b []byte) {
	p.str("{it_interval=")
	p.timespec(b)
	p.str(", it_value=")
	p.timespec(b[abi.SizeTimespec:])
	p.str("}")
}

func (p *printer) itimerval(b []byte) {
	p.str("{it_interval=")
	p.timeval(b)
	p.str(", it_value=")
	p.timeval(b[abi.SizeTimeval:])
	p.str("}")
}
