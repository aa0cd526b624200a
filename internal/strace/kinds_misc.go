package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// none is an argument that is not printed.
var none = kind{}

// nodDev is the device of a node whose mode is argument n: it counts for
// devices only.
func nodDev(n int) kind {
	return kind{in: func(p *printer, i int) {
		if t := p.args[n] & unix.S_IFMT; t == unix.S_IFCHR || t == unix.S_IFBLK {
			p.dev(p.args[i])
		}
	}}
}

// outXattr is an attribute's value, or a list of names: nothing is written
// when the size asked for is 0.
var outXattr = kind{out: func(p *printer, i int) {
	if p.failed() || p.args[i+1] == 0 {
		p.ptr(p.args[i])
		return
	}
	p.bytes(p.args[i], p.ret)
}}

// outRandom is bytes that are no text.
var outRandom = out(func(p *printer, v uint64) {
	var b [maxString]byte
	n := min(p.ret, maxString)
	if !p.fetch(v, b[:n]) {
		return
	}
	p.str(`"`)
	p.buf = appendHexEscaped(p.buf, b[:n])
	p.str(`"`)
	if p.ret > maxString {
		p.str("...")
	}
})

// mremapAddr is the new address, if there is one.
var mremapAddr = kind{in: func(p *printer, i int) {
	if p.args[3]&(unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP) != 0 {
		p.ptr(p.args[i])
	}
}}

// ipcMode is flags and permissions: IPC_CREAT|0600.
var ipcMode = in(func(p *printer, v uint64) {
	if f := v &^ 0o777; f != 0 {
		p.flags(f, &ipcFlags)
		p.str("|")
	}
	p.mode(uint32(v & 0o777))
})

var ipcKey = in(func(p *printer, v uint64) {
	if uint32(v) == 0 {
		p.str("IPC_PRIVATE")
		return
	}
	p.hex(uint64(uint32(v)))
})

// remoteIovec is a vector of buffers in another process.
func remoteIovec(n int) kind {
	return kind{in: func(p *printer, i int) { p.iovecAddresses(p.args[i], p.args[n]) }}
}

// outTime is a time in seconds.
var outTime = out(func(p *printer, v uint64) {
	n, ok := p.word(v)
	if !ok {
		p.ptr(v)
		return
	}
	p.str("[")
	p.num(int64(n))
	p.str("]")
})

// resumeNote stands for the arguments of the call that is restarted.
var resumeNote = in(func(p *printer, _ uint64) { p.str("<... resuming interrupted system call ...>") })

// SignalLine returns what strace prints at the delivery of a signal.
func SignalLine(s *abi.Siginfo) []byte {
	b := append([]byte(nil), "--- "...)
	p := printer{buf: b}
	p.signal(s.Signo)
	p.str(" ")
	p.siginfo(s)
	p.str(" ---")
	return p.buf
}
