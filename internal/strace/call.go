// Package strace writes system calls as strace(1) prints them:
//
//	openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
//
// A [Call] is told of the beginning and of the end of a system call: what the
// guest passes in is decoded at the beginning, since it may change until the
// end, and what it gets out at the end. What a call takes is said by tables:
// one line per system call, one kind per argument. A call that they do not
// have is printed with its arguments in hexadecimal.
//
// Memory of the guest is outside bytes: what cannot be read is printed as its
// address, and what is read is bounded (strings to 32 bytes, paths to 4096,
// arrays to 32 elements), whatever lengths the guest names.
//
// The package imports internal/abi and golang.org/x/sys. It has no state; a
// Call is used by one goroutine at a time.
package strace

import (
	"strconv"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// Memory is a guest's memory, as it is at the time.
type Memory interface {
	// ReadAt fills p from addr on, or fails.
	ReadAt(addr uint64, p []byte) error
}

// DefaultColumn is where strace(1) puts the "=" of the result.
const DefaultColumn = 40

// Call prints one system call at a time. The zero Call is ready; using it
// again saves allocations.
type Call struct {
	// Column is where the "=" of the result goes, counted from the start of
	// Prefix; 0 means DefaultColumn.
	Column int
	// Prefix begins each line ("[pid 7] ").
	Prefix string
	// SP is the stack pointer at the beginning of the call, if it is known:
	// rt_sigreturn's one argument lies there.
	SP uint64

	p    printer
	sig  *signature
	nr   uint64
	text [6]span // what Enter printed of each argument
	mark []byte  // the bytes of these
	line []byte
}

type span struct{ from, to int }

// Enter notes that a system call begins, and decodes what it passes in.
func (c *Call) Enter(nr uint64, args [6]uint64, mem Memory) {
	c.nr, c.sig = nr, lookup(nr)
	c.p = printer{buf: c.p.buf[:0], aux: c.p.aux[:0], mem: mem, args: args, sp: c.SP}
	for i := range c.sig.args {
		start := len(c.p.buf)
		if in := c.sig.args[i].in; in != nil {
			in(&c.p, i)
		}
		c.text[i] = span{start, len(c.p.buf)}
	}
	c.mark = append(c.mark[:0], c.p.buf...)
}

// Exit notes that the call has ended with rax in the result register (an
// errno negated, the kernel's own restart codes included), and returns the
// line, without a newline. It is valid until the Call is used again.
func (c *Call) Exit(rax uint64, mem Memory) []byte {
	c.p.mem = mem
	c.p.ret, c.p.err = abi.ErrnoOf(rax)
	c.p.exiting = true
	c.begin()
	c.arguments()
	c.end()
	c.line = c.sig.ret(&c.p, c.line)
	if len(c.p.aux) > 0 {
		c.line = append(c.line, " ("...)
		c.line = append(c.line, c.p.aux...)
		c.line = append(c.line, ')')
	}
	return c.line
}

// Gone returns the line of a call that has no result, because its thread has
// ended in it. It is valid until the Call is used again.
func (c *Call) Gone() []byte {
	c.p.gone = true
	c.begin()
	c.arguments()
	c.end()
	c.line = append(c.line, '?')
	return c.line
}

// begin writes all up to the arguments.
func (c *Call) begin() {
	c.line = append(c.line[:0], c.Prefix...)
	c.line = append(c.line, abi.SyscallName(c.nr)...)
	c.line = append(c.line, '(')
}

// arguments writes them: what Enter printed, and after it what was to wait for
// the end. One of which nothing is printed is left out.
func (c *Call) arguments() {
	first := true
	for n := range c.sig.args {
		i := n
		if c.sig.order != nil {
			i = c.sig.order[n]
		}
		in := c.mark[c.text[i].from:c.text[i].to]
		c.p.buf = c.p.buf[:0]
		if out := c.sig.args[i].out; out != nil {
			if c.p.gone {
				if len(in) == 0 {
					c.p.ptr(c.p.args[i])
				}
			} else {
				out(&c.p, i)
			}
		}
		if len(in)+len(c.p.buf) == 0 {
			continue
		}
		if !first {
			c.line = append(c.line, ", "...)
		}
		first = false
		c.line = append(c.line, in...)
		c.line = append(c.line, c.p.buf...)
	}
}

// end writes what is between the arguments and the result.
func (c *Call) end() {
	c.line = append(c.line, ") "...)
	column := c.Column
	if column == 0 {
		column = DefaultColumn
	}
	for len(c.line) < column {
		c.line = append(c.line, ' ')
	}
	c.line = append(c.line, "= "...)
}

// signature says how a system call looks.
type signature struct {
	args []kind
	ret  result
	// order, unless nil, is that in which the arguments are printed.
	order []int
}

// kind prints an argument: in at the beginning of the call, out at its end.
// One with both prints its parts next to each other.
type kind struct {
	in, out func(p *printer, i int)
}

// result appends a call's result to line.
type result func(p *printer, line []byte) []byte

// unknown is the signature of what is not in the tables.
var unknown = signature{args: []kind{hexArg, hexArg, hexArg, hexArg, hexArg, hexArg}, ret: decimal}

func lookup(nr uint64) *signature {
	if nr < uint64(len(signatures)) && signatures[nr].ret != nil {
		return &signatures[nr]
	}
	return &unknown
}

// failure appends an error, if the call has one.
func failure(p *printer, line []byte) ([]byte, bool) {
	if p.err == 0 {
		return line, false
	}
	for _, r := range [...]struct {
		err  syscall.Errno
		text string
	}{
		{abi.ERESTARTSYS, "To be restarted if SA_RESTART is set"},
		{abi.ERESTARTNOINTR, "To be restarted"},
		{abi.ERESTARTNOHAND, "To be restarted if no handler"},
		{abi.ERESTART_RESTARTBLOCK, "Interrupted by signal"},
	} {
		if p.err == r.err {
			line = append(line, "? "...)
			line = append(line, abi.ErrnoName(p.err)...)
			line = append(line, " ("...)
			line = append(line, r.text...)
			return append(line, ')'), true
		}
	}
	line = append(line, "-1 "...)
	name := abi.ErrnoName(p.err)
	if name[0] != 'E' {
		line = append(line, "(errno "...)
		line = append(line, name...)
		return append(line, ')'), true
	}
	line = append(line, name...)
	line = append(line, " ("...)
	text := p.err.Error()
	if c := text[0]; 'a' <= c && c <= 'z' {
		line = append(line, c-'a'+'A')
		text = text[1:]
	}
	line = append(line, text...)
	return append(line, ')'), true
}

func decimal(p *printer, line []byte) []byte {
	if line, failed := failure(p, line); failed {
		return line
	}
	return strconv.AppendInt(line, int64(p.ret), 10)
}

func hexadecimal(p *printer, line []byte) []byte {
	if line, failed := failure(p, line); failed {
		return line
	}
	if p.ret == 0 {
		return append(line, "NULL"...)
	}
	return appendHex(line, p.ret)
}

func octal(p *printer, line []byte) []byte {
	if line, failed := failure(p, line); failed {
		return line
	}
	return appendMode(line, uint32(p.ret))
}
