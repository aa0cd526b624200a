package tty

import (
	"golang.org/x/sys/unix"
)

// bufSize is N_TTY's buffer: the longest line has one byte less.
const bufSize = 4096

// discipline is the state of N_TTY on the slave's side. PTY.mu guards it.
//
// The positions count bytes since the last flush and are taken modulo bufSize:
// tail <= canonHead <= head, and head-tail <= bufSize.
type discipline struct {
	modes termios

	ring [bufSize]byte
	ends [bufSize / 8]byte // bits: this byte ends a line

	head       uint // where the next byte goes
	tail       uint // what is read next
	canonHead  uint // after the last whole line
	commitHead uint // how far a reader without ICANON may read

	special [256]bool // characters that mean something in these modes
	raw     bool      // none does, and nothing is echoed
	lnext   bool      // the next one means itself (VLNEXT)
	erasing bool      // within the \.../ of ECHOPRT

	stopped    bool // output, by VSTOP or TCOOFF
	tcoStopped bool // by TCOOFF, so that no character starts it

	column      uint // of the cursor
	canonColumn uint // where the line being typed began
	echo        echoes
}

// init sets the first modes and empties everything.
func (d *discipline) init() {
	*d = discipline{modes: firstModes}
	d.update()
}

func (d *discipline) i(flag uint32) bool { return d.modes.iflag&flag != 0 }
func (d *discipline) o(flag uint32) bool { return d.modes.oflag&flag != 0 }
func (d *discipline) l(flag uint32) bool { return d.modes.lflag&flag != 0 }
func (d *discipline) cc(i int) byte      { return d.modes.cc[i] }

// lines reports whether reads are by lines. EXTPROC leaves editing to the other
// side.
func (d *discipline) lines() bool { return d.l(unix.ICANON) && !d.l(unix.EXTPROC) }

func (d *discipline) at(pos uint) byte { return d.ring[pos%bufSize] }

func (d *discipline) put(c byte) {
	d.ring[d.head%bufSize] = c
	d.head++
}

func (d *discipline) isEnd(pos uint) bool { return d.ends[pos%bufSize/8]>>(pos%8)&1 != 0 }
func (d *discipline) setEnd(pos uint)     { d.ends[pos%bufSize/8] |= 1 << (pos % 8) }
func (d *discipline) clearEnd(pos uint)   { d.ends[pos%bufSize/8] &^= 1 << (pos % 8) }

// isEOF reports whether the byte at pos is a VEOF that was typed.
func (d *discipline) isEOF(pos uint) bool { return d.isEnd(pos) && d.at(pos) == disabled }

// flush forgets the input.
func (d *discipline) flush() {
	d.head, d.tail, d.canonHead, d.commitHead = 0, 0, 0, 0
	clear(d.ends[:])
	d.erasing = false
}

// setModes takes new modes over.
func (d *discipline) setModes(t termios) {
	old := d.modes
	d.modes = t
	if (old.lflag^t.lflag)&(unix.ICANON|unix.EXTPROC) != 0 {
		clear(d.ends[:])
		d.canonHead = d.tail
		if d.l(unix.ICANON) && d.head != d.tail { // what there is counts as a line
			d.setEnd(d.head - 1)
			d.canonHead = d.head
		}
		d.commitHead = d.head
		d.erasing, d.lnext = false, false
	}
	d.update()
}

// update computes what follows from the modes.
func (d *discipline) update() {
	d.special = [256]bool{}
	d.raw = !d.i(unix.ISTRIP|iuclc|unix.IGNCR|unix.ICRNL|unix.INLCR|unix.IXON|unix.PARMRK) &&
		!d.l(unix.ICANON|unix.ISIG|unix.ECHO)
	if d.raw {
		return
	}
	mark := func(on bool, indices ...int) {
		for _, i := range indices {
			if on {
				d.special[d.cc(i)] = true
			}
		}
	}
	canon, ext := d.l(unix.ICANON), d.l(unix.IEXTEN)
	mark(canon, unix.VERASE, unix.VKILL, unix.VEOF, unix.VEOL)
	mark(canon && ext, unix.VWERASE, unix.VLNEXT, unix.VEOL2)
	mark(canon && ext && d.l(unix.ECHO), unix.VREPRINT)
	mark(d.i(unix.IXON), unix.VSTART, unix.VSTOP)
	mark(d.l(unix.ISIG), unix.VINTR, unix.VQUIT, unix.VSUSP)
	d.special['\r'] = d.special['\r'] || d.i(unix.IGNCR|unix.ICRNL)
	d.special['\n'] = d.special['\n'] || d.i(unix.INLCR) || canon
	d.special[disabled] = false
}

// available is how many bytes can be read now; in canonical mode how many
// belong to whole lines, VEOFs included.
func (d *discipline) available() uint {
	if d.lines() {
		return d.canonHead - d.tail
	}
	return d.commitHead - d.tail
}

// The character classes of the Latin-1 that terminals have always assumed.

func isControl(c byte) bool { return c < 0x20 || c == 0x7f }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' || 0xc0 <= c && c <= 0xde && c != 0xd7 }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' || 0xdf <= c && c != 0xf7 }

func isWord(c byte) bool { return isUpper(c) || isLower(c) || '0' <= c && c <= '9' || c == '_' }

// isContinuation reports whether c goes on with a UTF-8 character.
func (d *discipline) isContinuation(c byte) bool { return d.i(unix.IUTF8) && c&0xc0 == 0x80 }
