package strace

import (
	"strconv"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// Bounds of what is printed, strace's own.
const (
	maxString = 32
	maxArray  = 32
)

// printer is a call that is being printed.
type printer struct {
	buf     []byte // what is printed of an argument
	aux     []byte // what is printed after the result
	mem     Memory
	args    [6]uint64
	sp      uint64
	ret     uint64
	err     syscall.Errno
	exiting bool
	gone    bool
	room    int64 // what a length in memory was at the beginning
}

func (p *printer) str(s string)               { p.buf = append(p.buf, s...) }
func (p *printer) num(n int64)                { p.buf = strconv.AppendInt(p.buf, n, 10) }
func (p *printer) unum(n uint64)              { p.buf = strconv.AppendUint(p.buf, n, 10) }
func (p *printer) hex(n uint64)               { p.buf = appendHex(p.buf, n) }
func (p *printer) mode(m uint32)              { p.buf = appendMode(p.buf, m) }
func (p *printer) flags(v uint64, s *flagSet) { p.buf = s.append(p.buf, v) }

// comment appends " /* s */".
func (p *printer) comment(s string) {
	p.str(" /* ")
	p.str(s)
	p.str(" */")
}

// ptr prints an address.
func (p *printer) ptr(a uint64) {
	if a == 0 {
		p.str("NULL")
		return
	}
	p.hex(a)
}

// failed reports whether there is nothing to see where a result would be.
func (p *printer) failed() bool { return p.err != 0 }

// read fills b from a.
func (p *printer) read(a uint64, b []byte) bool {
	return a != 0 && p.mem != nil && p.mem.ReadAt(a, b) == nil
}

// fetch fills b from a, or prints the address.
func (p *printer) fetch(a uint64, b []byte) bool {
	if p.read(a, b) {
		return true
	}
	p.ptr(a)
	return false
}

// word reads 8 bytes.
func (p *printer) word(a uint64) (uint64, bool) {
	var b [8]byte
	if !p.read(a, b[:]) {
		return 0, false
	}
	return le.Uint64(b[:]), true
}

// word32 reads 4 bytes.
func (p *printer) word32(a uint64) (uint32, bool) {
	var b [4]byte
	if !p.read(a, b[:]) {
		return 0, false
	}
	return le.Uint32(b[:]), true
}

// bytes prints n bytes at a as a string, at most maxString of them.
func (p *printer) bytes(a, n uint64) {
	var b [maxString]byte
	k := min(n, maxString)
	if a == 0 || k > 0 && !p.read(a, b[:k]) {
		p.ptr(a)
		return
	}
	p.buf = appendQuoted(p.buf, b[:k], false)
	if n > maxString {
		p.str("...")
	}
}

// cstring prints the string at a: its first limit bytes, then "...".
func (p *printer) cstring(a uint64, limit int) {
	if a == 0 {
		p.str("NULL")
		return
	}
	var chunk [256]byte
	start, n := len(p.buf), 0
	p.str(`"`)
	for n <= limit {
		// To the end of the page at most, as the next may not be there.
		at := a + uint64(n)
		b := chunk[:min(uint64(len(chunk)), abi.PageSize-at%abi.PageSize)]
		if !p.read(at, b) {
			p.buf = p.buf[:start]
			p.ptr(a)
			return
		}
		end := false
		for i, c := range b {
			if c == 0 {
				b, end = b[:i], true
				break
			}
		}
		more := len(b) > limit-n
		b = b[:min(len(b), limit-n)]
		n += len(b)
		// An octal escape looks at the next byte: those that end a chunk are
		// written in full.
		p.buf = appendEscaped(p.buf, b, !end && !more)
		if end || more {
			p.str(`"`)
			if more {
				p.str("...")
			}
			return
		}
	}
}

// array prints [a, b, ...] of n elements, each of size bytes at a.
func (p *printer) array(a, n uint64, size int, element func(b []byte)) {
	if a == 0 {
		p.str("NULL")
		return
	}
	var b [128]byte
	if n == 0 {
		p.str("[]")
		return
	}
	if !p.fetch(a, b[:size]) {
		return
	}
	p.str("[")
	for i := range n {
		if i > 0 {
			p.str(", ")
		}
		if i == maxArray {
			p.str("...")
			break
		}
		if !p.read(a+i*uint64(size), b[:size]) {
			p.str("... /* ")
			p.hex(a + i*uint64(size))
			p.str(" */")
			break
		}
		element(b[:size])
	}
	p.str("]")
}

// note appends to what is printed after the result.
func (p *printer) note(f func()) {
	if len(p.aux) > 0 {
		p.aux = append(p.aux, ", "...)
	}
	p.buf, p.aux = p.aux, p.buf
	f()
	p.buf, p.aux = p.aux, p.buf
}

func appendHex(b []byte, n uint64) []byte {
	if n == 0 {
		return append(b, '0')
	}
	return strconv.AppendUint(append(b, "0x"...), n, 16)
}

// appendMode appends permission bits: at least three digits, and a 0.
func appendMode(b []byte, m uint32) []byte {
	if m == 0 {
		return append(b, "000"...)
	}
	b = append(b, '0')
	if m < 0o10 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, uint64(m), 8)
}

func appendQuoted(b, s []byte, cut bool) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s, false)
	b = append(b, '"')
	if cut {
		b = append(b, "..."...)
	}
	return b
}

// appendEscaped writes s as in C. A byte without a letter is written in octal,
// in full where a digit follows, or may (open).
func appendEscaped(b, s []byte, open bool) []byte {
	const letters = "tnvfr"
	for i, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= '\t' && c <= '\r':
			b = append(b, '\\', letters[c-'\t'])
		case c >= ' ' && c <= '~':
			b = append(b, c)
		case i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' || i+1 == len(s) && open:
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			b = strconv.AppendUint(append(b, '\\'), uint64(c), 8)
		}
	}
	return b
}

// appendHexEscaped writes every byte of s in hexadecimal.
func appendHexEscaped(b, s []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range s {
		b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
	}
	return b
}
