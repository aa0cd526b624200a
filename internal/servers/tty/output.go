package tty

import (
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// outKept is how much output survives a flush, because on Linux it would lie in
// the master's own line discipline already; outLimit how much is taken in all.
const (
	outKept  = bufSize - 1
	outLimit = outKept + 8192
)

// outRoom is how many bytes the slave may put out.
func (p *PTY) outRoom() int {
	if p.disc.stopped {
		return 0
	}
	return outLimit - p.out.len()
}

// wroteOut tells the master that there is something to read.
func (p *PTY) wroteOut() { p.masterQueue.Notify(vfs.EventsIn) }

// output puts out what a slave writes and returns how much of it was taken.
func (p *PTY) output(b []byte) int {
	d := &p.disc
	p.flushEcho()
	n := 0
	if !d.o(unix.OPOST) {
		n = min(len(b), p.outRoom())
		p.out.write(b[:n])
	} else {
		for n < len(b) {
			k := d.plainRun(b[n:min(len(b), n+p.outRoom())])
			p.out.write(b[n : n+k])
			n += k
			if n == len(b) || !p.outputChar(b[n], p.outRoom()) {
				break
			}
			n++
		}
	}
	if n > 0 {
		p.wroteOut()
	}
	return n
}

// plainRun counts the leading bytes that output processing leaves as they are,
// and moves the column over them.
func (d *discipline) plainRun(b []byte) int {
	if d.o(olcuc) {
		return 0
	}
	for i, c := range b {
		if isControl(c) {
			return i
		}
		if !d.isContinuation(c) {
			d.column++
		}
	}
	return len(b)
}

// outputChar puts out c as OPOST says; false when there is too little room.
func (p *PTY) outputChar(c byte, room int) bool {
	d := &p.disc
	if room == 0 {
		return false
	}
	switch c {
	case '\n':
		if d.o(unix.ONLRET) {
			d.column = 0
		}
		if d.o(unix.ONLCR) {
			if room < 2 {
				return false
			}
			d.column, d.canonColumn = 0, 0
			p.out.put('\r')
			break
		}
		d.canonColumn = d.column
	case '\r':
		if d.o(unix.ONOCR) && d.column == 0 {
			return true
		}
		if d.o(unix.OCRNL) {
			c = '\n'
			if d.o(unix.ONLRET) {
				d.column, d.canonColumn = 0, 0
			}
			break
		}
		d.column, d.canonColumn = 0, 0
	case '\t':
		spaces := 8 - d.column&7
		if d.modes.oflag&tabdly == xtabs {
			if uint(room) < spaces {
				return false
			}
			d.column += spaces
			for range spaces {
				p.out.put(' ')
			}
			return true
		}
		d.column += spaces
	case '\b':
		d.column -= min(d.column, 1)
	default:
		if isControl(c) {
			break
		}
		if d.o(olcuc) && isLower(c) {
			c -= 'a' - 'A'
		}
		if !d.isContinuation(c) {
			d.column++
		}
	}
	p.out.put(c)
	return true
}

// flushOutput forgets what the master has not read.
func (p *PTY) flushOutput() {
	p.out.truncate(outKept)
	p.note(unix.TIOCPKT_FLUSHWRITE)
	p.slaveQueue.Notify(vfs.EventsOut)
}

// note tells a master in packet mode of what happened.
func (p *PTY) note(status byte) {
	if p.packet {
		p.pktStatus |= status
		p.masterQueue.Notify(vfs.EventPri | vfs.EventsIn)
	}
}

// stop stops output, start lets it go on, each unless it is so already.
func (p *PTY) stop() {
	if p.disc.stopped {
		return
	}
	p.disc.stopped = true
	if p.packet {
		p.pktStatus &^= unix.TIOCPKT_START
	}
	p.note(unix.TIOCPKT_STOP)
}

func (p *PTY) start() {
	if !p.disc.stopped || p.disc.tcoStopped {
		return
	}
	p.disc.stopped = false
	if p.packet {
		p.pktStatus &^= unix.TIOCPKT_STOP
	}
	p.note(unix.TIOCPKT_START)
	p.slaveQueue.Notify(vfs.EventsOut)
}

// startByAny is IXANY: any character starts output.
func (p *PTY) startByAny() {
	d := &p.disc
	if d.stopped && !d.tcoStopped && d.i(unix.IXON) && d.i(unix.IXANY) {
		p.start()
		p.flushEcho()
	}
}
