package tty

import "golang.org/x/sys/unix"

// echoes is what is to be echoed once output is possible: bytes, and after opMark
// operations whose effect depends on the column then.
type echoes struct{ ops fifo }

const (
	opMark      = 0xff
	opMoveBack  = 0x80 // the column counts one less
	opLineStart = 0x81 // the line being typed begins here
	opEraseTab  = 0x82 // followed by what eraseTab says

	// echoNow is when echoes are tried before the batch of input is at its end,
	// echoMost when the oldest are given up.
	echoNow  = 256
	echoMost = bufSize - (echoNow + 1024 + 32)
)

func (e *echoes) reset() { e.ops.discard(e.ops.len()) }

// raw echoes a byte through output processing.
func (e *echoes) raw(c byte) {
	if c == opMark {
		e.ops.put(opMark)
	}
	e.ops.put(c)
}

func (e *echoes) op(op byte) {
	e.ops.put(opMark)
	e.ops.put(op)
}

// wipe steps back over a column and clears it.
func (e *echoes) wipe() {
	e.raw('\b')
	e.raw(' ')
	e.raw('\b')
}

// eraseTab goes back over a tab that stands after n columns, counted from the
// tab before or from the line's start.
func (e *echoes) eraseTab(n byte, afterTab bool) {
	n &= 7
	if afterTab {
		n |= 0x80
	}
	e.op(opEraseTab)
	e.ops.put(n)
}

// markLineStart notes the column when c is the first character of a line.
func (d *discipline) markLineStart() {
	if d.canonHead == d.head {
		d.echo.op(opLineStart)
	}
}

// echoChar echoes a typed character, a control character as ^X with ECHOCTL.
func (p *PTY) echoChar(c byte) {
	d := &p.disc
	if c != opMark && d.l(unix.ECHOCTL) && isControl(c) && c != '\t' {
		d.echo.op(c)
	} else {
		d.echo.raw(c)
	}
	if d.echo.ops.len() >= echoNow {
		p.flushEcho()
	}
}

// flushEcho writes out the echoes, as far as there is room.
func (p *PTY) flushEcho() {
	d := &p.disc
	wrote := p.out.len()
	for d.echo.ops.len() > 0 {
		n, ok := p.echoOne(d.echo.ops.bytes(), p.outRoom())
		if !ok {
			break
		}
		d.echo.ops.discard(n)
	}
	for d.echo.ops.len() >= echoMost {
		d.echo.ops.discard(opLen(d.echo.ops.bytes()))
	}
	if p.out.len() > wrote {
		p.wroteOut()
	}
}

// opLen is the length of the first operation.
func opLen(ops []byte) int {
	switch {
	case ops[0] != opMark:
		return 1
	case ops[1] == opEraseTab:
		return 3
	}
	return 2
}

// echoOne does the first operation, given room for so many bytes of output. It
// returns the operation's length; false when there is too little room.
func (p *PTY) echoOne(ops []byte, room int) (n int, ok bool) {
	d := &p.disc
	n = opLen(ops)
	if n == 1 {
		if d.o(unix.OPOST) {
			return n, p.outputChar(ops[0], room)
		}
		if room > 0 {
			p.out.put(ops[0])
		}
		return n, room > 0
	}
	switch op := ops[1]; op {
	case opLineStart:
		d.canonColumn = d.column
	case opMoveBack:
		d.column -= min(d.column, 1)
	case opEraseTab:
		cols := uint(ops[2])
		if cols&0x80 == 0 {
			cols += d.canonColumn
		}
		back := 8 - cols&7
		if uint(room) < back {
			return n, false
		}
		for range back {
			p.out.put('\b')
			d.column -= min(d.column, 1)
		}
	case opMark:
		if room == 0 {
			return n, false
		}
		p.out.put(opMark)
		d.column++
	default:
		if room < 2 {
			return n, false
		}
		p.out.put('^')
		p.out.put(op ^ 0x40)
		d.column += 2
	}
	return n, true
}
