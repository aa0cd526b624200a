package strace

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// in is a kind that is printed at the beginning of the call.
func in(f func(p *printer, v uint64)) kind {
	return kind{in: func(p *printer, i int) { f(p, p.args[i]) }}
}

// out is a kind whose memory is printed at the end; that of a failed call has
// nothing to show but its address.
func out(f func(p *printer, v uint64)) kind {
	return kind{out: func(p *printer, i int) {
		if p.failed() {
			p.ptr(p.args[i])
			return
		}
		f(p, p.args[i])
	}}
}

// Plain numbers.
var (
	hexArg    = in(func(p *printer, v uint64) { p.hex(v) })
	intArg    = in(func(p *printer, v uint64) { p.num(int64(int32(v))) })
	uintArg   = in(func(p *printer, v uint64) { p.unum(uint64(uint32(v))) })
	longArg   = in(func(p *printer, v uint64) { p.num(int64(v)) })
	ulongArg  = in(func(p *printer, v uint64) { p.unum(v) })
	ptrArg    = in(func(p *printer, v uint64) { p.ptr(v) })
	modeArg   = in(func(p *printer, v uint64) { p.mode(uint32(v) & 0xffff) })
	fileMode  = in(func(p *printer, v uint64) { p.fileMode(uint32(v)) })
	idArg     = in(func(p *printer, v uint64) { p.id(uint32(v)) })
	signalArg = in(func(p *printer, v uint64) { p.signal(int32(v)) })
	devArg    = in(func(p *printer, v uint64) { p.dev(v) })
)

// Descriptors and names.
var (
	fdArg    = intArg
	dirfdArg = in(func(p *printer, v uint64) { p.dirfd(v) })
	pathArg  = in(func(p *printer, v uint64) { p.cstring(v, abi.PathMax) })
	strArg   = in(func(p *printer, v uint64) { p.cstring(v, maxString) })
	// outPath is a string of the length that is the result.
	outString = out(func(p *printer, v uint64) { p.bytes(v, p.ret) })
	// outCString is the path that getcwd writes, whatever its length.
	outPath = out(func(p *printer, v uint64) { p.cstring(v, abi.PathMax) })
)

// of is an argument of bits or values from s; of32 looks at 32 bits of it.
func of(s *flagSet) kind {
	return in(func(p *printer, v uint64) { p.flags(v, s) })
}

func of32(s *flagSet) kind {
	return in(func(p *printer, v uint64) { p.flags(uint64(uint32(v)), s) })
}

// inBuf is a buffer whose length is argument n; outBuf one that the call has
// filled with as many bytes as its result says.
func inBuf(n int) kind {
	return kind{in: func(p *printer, i int) { p.bytes(p.args[i], p.args[n]) }}
}

var outBuf = outString

// outStruct and inStruct are structures of size bytes.
func outStruct(size int, f func(p *printer, b []byte)) kind {
	return out(func(p *printer, v uint64) { p.structure(v, size, f) })
}

func inStruct(size int, f func(p *printer, b []byte)) kind {
	return in(func(p *printer, v uint64) { p.structure(v, size, f) })
}

func (p *printer) structure(v uint64, size int, f func(p *printer, b []byte)) {
	var b [256]byte
	if p.fetch(v, b[:size]) {
		f(p, b[:size])
	}
}

// inInt and outInt are an int in memory: [5].
var (
	inInt  = in((*printer).intAt)
	outInt = out((*printer).intAt)
	// inOff is a 64-bit offset that the call may change.
	inOff = in(func(p *printer, v uint64) {
		if n, ok := p.word(v); ok {
			p.str("[")
			p.num(int64(n))
			p.str("]")
		} else {
			p.ptr(v)
		}
	})
	// outInts is two ints, a pair of descriptors.
	outInts = out(func(p *printer, v uint64) {
		p.array(v, 2, 4, func(b []byte) { p.num(int64(int32(le.Uint32(b)))) })
	})
)

func (p *printer) intAt(v uint64) {
	if n, ok := p.word32(v); ok {
		p.str("[")
		p.num(int64(int32(n)))
		p.str("]")
		return
	}
	p.ptr(v)
}

func (p *printer) dirfd(v uint64) {
	if int32(v) == -100 {
		p.str("AT_FDCWD")
		return
	}
	p.num(int64(int32(v)))
}

// id prints a user or group, -1 for "as it is".
func (p *printer) id(v uint32) {
	if v == 0xffffffff {
		p.str("-1")
		return
	}
	p.unum(uint64(v))
}

func (p *printer) signal(s int32) { p.str(abi.SignalName(syscall.Signal(s))) }

func (p *printer) dev(v uint64) {
	p.str("makedev(")
	p.hex(uint64(major(v)))
	p.str(", ")
	p.hex(uint64(minor(v)))
	p.str(")")
}

// fileMode prints a mode with its type: S_IFREG|0644.
func (p *printer) fileMode(m uint32) {
	names := [...]string{0o1: "S_IFIFO", 0o2: "S_IFCHR", 0o4: "S_IFDIR", 0o6: "S_IFBLK", 0o10: "S_IFREG", 0o12: "S_IFLNK", 0o14: "S_IFSOCK"}
	if t := m >> 12 & 15; t != 0 && int(t) < len(names) && names[t] != "" {
		p.str(names[t])
		p.str("|")
		m &^= syscall.S_IFMT
	}
	for _, f := range [...]struct {
		bit  uint32
		name string
	}{{syscall.S_ISUID, "S_ISUID|"}, {syscall.S_ISGID, "S_ISGID|"}, {syscall.S_ISVTX, "S_ISVTX|"}} {
		if m&f.bit != 0 {
			p.str(f.name)
			m &^= f.bit
		}
	}
	p.mode(m)
}
