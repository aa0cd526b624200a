package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// pollfds is poll's vector, whose count is argument 1. The descriptors that
// are ready are noted after the result.
var pollfds = kind{
	in: func(p *printer, i int) {
		p.array(p.args[i], p.args[1], abi.SizePollfd, func(b []byte) {
			var f abi.Pollfd
			f.Decode(b)
			p.str("{fd=")
			p.num(int64(f.FD))
			if f.FD >= 0 {
				p.str(", events=")
				p.flags(uint64(f.Events), &pollEvents)
			}
			p.str("}")
		})
	},
	out: func(p *printer, i int) {
		if p.failed() {
			return
		}
		if p.ret == 0 {
			p.note(func() { p.str("Timeout") })
			return
		}
		p.note(func() {
			p.str("[")
			left := p.ret
			for k := uint64(0); k < p.args[1] && left > 0 && p.ret-left < maxArray && k < 4096; k++ {
				var b [abi.SizePollfd]byte
				if !p.read(p.args[i]+k*abi.SizePollfd, b[:]) {
					break
				}
				var f abi.Pollfd
				if f.Decode(b[:]); f.Revents == 0 {
					continue
				}
				if left < p.ret {
					p.str(", ")
				}
				left--
				p.str("{fd=")
				p.num(int64(f.FD))
				p.str(", revents=")
				p.flags(uint64(f.Revents), &pollEvents)
				p.str("}")
			}
			p.str("]")
		})
	},
}

// pollTimeout is a timespec in which the kernel leaves the rest.
var pollTimeout = kind{
	in:  inTimespec.in,
	out: func(p *printer, i int) { p.left(i, (*printer).timespec) },
}

// selectTimeout is select's timeval.
var selectTimeout = kind{
	in:  func(p *printer, i int) { p.structure(p.args[i], abi.SizeTimeval, (*printer).timeval) },
	out: func(p *printer, i int) { p.left(i, (*printer).timeval) },
}

func (p *printer) left(i int, f func(*printer, []byte)) {
	var b [16]byte
	if p.failed() || p.ret == 0 || !p.read(p.args[i], b[:]) {
		return
	}
	p.note(func() {
		p.str("left ")
		f(p, b[:])
	})
}

// fdSet is one of select's three sets, of as many bits as argument 0 says. The
// last of them notes what is left in all.
func fdSet(last bool) kind {
	return kind{
		in: func(p *printer, i int) { p.fdSet(p.args[i], p.args[0]) },
		out: func(p *printer, i int) {
			if !last || p.failed() {
				return
			}
			if p.ret == 0 {
				p.note(func() { p.str("Timeout") })
				return
			}
			for k, name := range [...]string{"in ", "out ", "except "} {
				a := p.args[1+k]
				if a == 0 || p.fdSetEmpty(a, p.args[0]) {
					continue
				}
				p.note(func() {
					p.str(name)
					p.fdSet(a, p.args[0])
				})
			}
		},
	}
}

const maxFDs = 1024

// readFdSet reads the first n bits of a set, in whole words.
func (p *printer) readFdSet(a, n uint64) (b [maxFDs / 8]byte, bits uint64, ok bool) {
	if int32(n) < 0 {
		return b, 0, false
	}
	bits = min(uint64(uint32(n)), maxFDs)
	ok = p.read(a, b[:(bits+63)/64*8])
	return b, bits, ok
}

func (p *printer) fdSet(a, n uint64) {
	b, bits, ok := p.readFdSet(a, n)
	if !ok {
		p.ptr(a)
		return
	}
	p.str("[")
	first := true
	for i := range bits {
		if b[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if !first {
			p.str(" ")
		}
		first = false
		p.unum(i)
	}
	p.str("]")
}

func (p *printer) fdSetEmpty(a, n uint64) bool {
	b, bits, ok := p.readFdSet(a, n)
	for i := range bits {
		if b[i/8]>>(i%8)&1 != 0 {
			return false
		}
	}
	return ok
}

// pselectMask is pselect6's last argument: an address and a size of a mask.
var pselectMask = in(func(p *printer, v uint64) {
	var b [16]byte
	if !p.fetch(v, b[:]) {
		return
	}
	p.str("{sigmask=")
	p.sigsetAt(le.Uint64(b[:]))
	p.str(", sigsetsize=")
	p.unum(le.Uint64(b[8:]))
	p.str("}")
})

func (p *printer) epollEvent(b []byte) {
	var e abi.EpollEvent
	e.Decode(b)
	p.str("{events=")
	p.flags(uint64(e.Events), &epollEvents)
	p.str(", data={u32=")
	p.unum(uint64(uint32(e.Data)))
	p.str(", u64=")
	p.unum(e.Data)
	p.str("}}")
}

var (
	// inEpollEvent is epoll_ctl's, which EPOLL_CTL_DEL does not look at.
	inEpollEvent = kind{in: func(p *printer, i int) {
		if p.args[1] == unix.EPOLL_CTL_DEL {
			p.ptr(p.args[i])
			return
		}
		p.structure(p.args[i], abi.SizeEpollEvent, (*printer).epollEvent)
	}}
	outEpollEvents = out(func(p *printer, v uint64) {
		p.array(v, p.ret, abi.SizeEpollEvent, p.epollEvent)
	})
)
