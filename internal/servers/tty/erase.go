package tty

import "golang.org/x/sys/unix"

// erase does VERASE, VWERASE or VKILL, whichever c is.
func (p *PTY) erase(c byte) {
	d := &p.disc
	if d.head == d.canonHead {
		return
	}
	one := c == d.cc(unix.VERASE)
	word := !one && c == d.cc(unix.VWERASE)
	echo := d.l(unix.ECHO)
	if !one && !word && !(echo && d.l(unix.ECHOK) && d.l(unix.ECHOKE) && d.l(unix.ECHOE)) {
		d.head = d.canonHead
		if echo {
			d.finishErasing()
			p.echoChar(d.cc(unix.VKILL))
			if d.l(unix.ECHOK) {
				d.echo.raw('\n')
			}
		}
		return
	}

	inWord := false
	for d.head != d.canonHead {
		start := d.head
		for { // back over one character, which may be of several bytes
			start--
			if !d.isContinuation(d.at(start)) || start == d.canonHead {
				break
			}
		}
		first := d.at(start)
		if d.isContinuation(first) {
			break // its beginning was read already
		}
		if word {
			if isWord(first) {
				inWord = true
			} else if inWord {
				break
			}
		}
		size := d.head - start
		d.head = start
		if echo {
			p.echoErase(first, size, one)
		}
		if one {
			break
		}
	}
	if d.head == d.canonHead && echo {
		d.finishErasing()
	}
}

// echoErase shows that the character of size bytes that begins at head with c
// is gone; one says that VERASE did it.
func (p *PTY) echoErase(c byte, size uint, one bool) {
	d := &p.disc
	switch {
	case d.l(unix.ECHOPRT):
		if !d.erasing {
			d.echo.raw('\\')
			d.erasing = true
		}
		p.echoChar(c)
		for i := uint(1); i < size; i++ {
			d.echo.raw(d.at(d.head + i))
			d.echo.op(opMoveBack)
		}
	case one && !d.l(unix.ECHOE):
		p.echoChar(d.cc(unix.VERASE))
	case c == '\t':
		d.echo.eraseTab(d.columnsSinceTab())
	default:
		if isControl(c) && d.l(unix.ECHOCTL) {
			d.echo.wipe()
		}
		if !isControl(c) || d.l(unix.ECHOCTL) {
			d.echo.wipe()
		}
	}
}

// columnsSinceTab counts the columns that the typed characters before head
// take, back to the tab before or else (false) to the line's start.
func (d *discipline) columnsSinceTab() (n byte, afterTab bool) {
	for pos := d.head; pos != d.canonHead; {
		pos--
		switch c := d.at(pos); {
		case c == '\t':
			return n, true
		case isControl(c):
			if d.l(unix.ECHOCTL) {
				n += 2
			}
		case !d.isContinuation(c):
			n++
		}
	}
	return n, false
}

// finishErasing closes what ECHOPRT opened.
func (d *discipline) finishErasing() {
	if d.erasing {
		d.echo.raw('/')
		d.erasing = false
	}
}
