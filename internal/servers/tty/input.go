package tty

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// inLimit is how much the master may write ahead of the line discipline.
const inLimit = 8192

// receive passes on what the master has written, as far as there is room. The
// caller holds mu, as for everything below.
func (p *PTY) receive() {
	d := &p.disc
	for p.in.len() > 0 {
		room, overflow := d.room()
		n := min(p.in.len(), room)
		if n == 0 {
			break
		}
		if overflow && d.head-d.tail >= bufSize {
			d.head-- // the last character of a line that is too long gives way
		}
		batch := p.in.bytes()[:n]
		p.take(batch)
		p.in.discard(n)
		if d.available() > 0 {
			p.slaveQueue.Notify(vfs.EventsIn)
		}
	}
}

// room is how many characters the buffer surely takes. When a line being typed
// fills it, they go on to be taken one by one, since one of them may be an
// erase or a newline: overflow.
func (d *discipline) room() (n int, overflow bool) {
	n = bufSize - int(d.head-d.tail)
	if d.i(unix.PARMRK) {
		n = (n + 2) / 3
	}
	n--
	if n > 0 {
		return n, false
	}
	if d.l(unix.ICANON) && d.canonHead == d.tail {
		return 1, true
	}
	return 0, false
}

// take processes characters for which there is room.
func (p *PTY) take(chars []byte) {
	d := &p.disc
	switch {
	case d.raw || d.l(unix.EXTPROC) && !d.i(unix.ISTRIP|iuclc):
		for _, c := range chars {
			d.put(c)
		}
	default:
		for _, c := range chars {
			p.takeOne(c)
		}
		if d.l(unix.ECHO | unix.ECHONL) {
			p.flushEcho()
		}
	}
	if !d.lines() {
		d.commitHead = d.head
	}
}

func (p *PTY) takeOne(c byte) {
	d := &p.disc
	if d.i(unix.ISTRIP) {
		c &= 0x7f
	}
	if d.i(iuclc) && d.l(unix.IEXTEN) && isUpper(c) {
		c += 'a' - 'A'
	}
	switch {
	case d.lnext:
		d.lnext = false
		p.plain(c)
	case d.l(unix.EXTPROC):
		d.put(c)
	case d.special[c]:
		p.takeSpecial(c)
	default:
		p.plain(c)
	}
}

// plain takes a character that means itself.
func (p *PTY) plain(c byte) {
	d := &p.disc
	p.startByAny()
	if d.l(unix.ECHO) {
		d.finishErasing()
		d.markLineStart()
		p.echoChar(c)
	}
	d.putMarked(c)
}

// putMarked is put, with 0377 doubled for PARMRK.
func (d *discipline) putMarked(c byte) {
	if c == 0xff && d.i(unix.PARMRK) {
		d.put(c)
	}
	d.put(c)
}

// takeSpecial takes a character that may mean something.
func (p *PTY) takeSpecial(c byte) {
	d := &p.disc
	if d.i(unix.IXON) {
		switch c {
		case d.cc(unix.VSTART):
			p.start()
			p.flushEcho()
			return
		case d.cc(unix.VSTOP):
			p.stop()
			return
		}
	}
	if d.l(unix.ISIG) {
		for _, s := range signalChars {
			if c == d.cc(s.index) {
				p.signalChar(s.signal, c)
				return
			}
		}
	}
	p.startByAny()

	switch {
	case c == '\r' && d.i(unix.IGNCR):
		return
	case c == '\r' && d.i(unix.ICRNL):
		c = '\n'
	case c == '\n' && d.i(unix.INLCR):
		c = '\r'
	}
	if d.l(unix.ICANON) && p.edit(c) {
		return
	}
	if d.l(unix.ECHO) {
		d.finishErasing()
		if c == '\n' {
			d.echo.raw('\n')
		} else {
			d.markLineStart()
			p.echoChar(c)
		}
	}
	d.putMarked(c)
}

// edit does what c means in canonical mode; false when it means nothing there.
func (p *PTY) edit(c byte) bool {
	d := &p.disc
	ext, echo := d.l(unix.IEXTEN), d.l(unix.ECHO)
	switch {
	case c == d.cc(unix.VERASE), c == d.cc(unix.VKILL), c == d.cc(unix.VWERASE) && ext:
		p.erase(c)
	case c == d.cc(unix.VLNEXT) && ext:
		d.lnext = true
		if echo {
			d.finishErasing()
			if d.l(unix.ECHOCTL) {
				d.echo.raw('^')
				d.echo.raw('\b')
			}
		}
	case c == d.cc(unix.VREPRINT) && ext && echo:
		d.finishErasing()
		p.echoChar(c)
		d.echo.raw('\n')
		for pos := d.canonHead; pos != d.head; pos++ {
			p.echoChar(d.at(pos))
		}
	case c == '\n':
		if d.l(unix.ECHO | unix.ECHONL) {
			d.echo.raw('\n')
		}
		d.endLine(c)
	case c == d.cc(unix.VEOF):
		d.endLine(disabled)
	case c == d.cc(unix.VEOL), c == d.cc(unix.VEOL2) && ext:
		if echo {
			d.markLineStart()
			p.echoChar(c)
		}
		if c == 0xff && d.i(unix.PARMRK) {
			d.put(c)
		}
		d.endLine(c)
	default:
		return false
	}
	return true
}

// endLine makes a line of what was typed, with c as its end.
func (d *discipline) endLine(c byte) {
	d.setEnd(d.head)
	d.put(c)
	d.canonHead = d.head
}

var signalChars = [...]struct {
	index  int
	signal syscall.Signal
}{{unix.VINTR, syscall.SIGINT}, {unix.VQUIT, syscall.SIGQUIT}, {unix.VSUSP, syscall.SIGTSTP}}

// signalChar signals the foreground group and, without NOFLSH, forgets all that
// is under way in both directions.
func (p *PTY) signalChar(sig syscall.Signal, c byte) {
	d := &p.disc
	p.signals = append(p.signals, sig)
	if !d.l(unix.NOFLSH) {
		d.echo.reset()
		p.flushOutput()
		d.flush()
		p.note(unix.TIOCPKT_FLUSHREAD)
	}
	if d.i(unix.IXON) {
		p.start()
	}
	if d.l(unix.ECHO) {
		p.echoChar(c)
	} else {
		p.flushEcho()
	}
}
