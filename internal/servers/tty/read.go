package tty

import (
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// readable reports whether a read of the slave gets something. As for poll(2),
// VMIN bytes must be there unless VTIME would end the wait.
func (d *discipline) readable(poll bool) bool {
	want := uint(1)
	if vmin := d.cc(unix.VMIN); poll && !d.lines() && d.cc(unix.VTIME) == 0 && vmin > 0 {
		want = uint(vmin)
	}
	return d.available() >= want
}

// read moves input to b: up to the end of one line in canonical mode. The
// caller knows that there is some.
func (d *discipline) read(b []byte) int {
	if !d.lines() {
		n := d.copyOut(b, d.available())
		if d.l(unix.ICANON) && n == 1 && b[0] == d.cc(unix.VEOF) && d.available() == 0 {
			return 0 // with EXTPROC, too, a VEOF alone is the end of the file
		}
		return n
	}
	n := 0
	for d.tail != d.canonHead {
		if n == len(b) {
			// A VEOF just behind what was asked for would look like the end of
			// the file next time.
			if d.isEOF(d.tail) {
				d.clearEnd(d.tail)
				d.tail++
			}
			break
		}
		end, eof := d.isEnd(d.tail), d.isEOF(d.tail)
		if !eof {
			b[n] = d.at(d.tail)
			n++
		}
		d.clearEnd(d.tail)
		d.tail++
		if end {
			break
		}
	}
	return n
}

// copyOut moves at most n bytes from the ring to b.
func (d *discipline) copyOut(b []byte, n uint) int {
	n = min(n, uint(len(b)))
	at := d.tail % bufSize
	k := copy(b[:n], d.ring[at:])
	copy(b[k:n], d.ring[:])
	d.tail += n
	return int(n)
}

// queued is what FIONREAD tells: the bytes that can be read, without VEOFs.
func (d *discipline) queued() int {
	if !d.l(unix.ICANON) || d.l(unix.EXTPROC) {
		return int(d.head - d.tail)
	}
	n := int(d.canonHead - d.tail)
	for pos := d.tail; pos != d.canonHead; pos++ {
		if d.isEOF(pos) {
			n--
		}
	}
	return n
}

// rule is VMIN and VTIME for a blocking read.
func (d *discipline) rule() vfs.ReadRule {
	if d.l(unix.ICANON) {
		return vfs.ReadRule{Min: 1}
	}
	vmin, vtime := int(d.cc(unix.VMIN)), time.Duration(d.cc(unix.VTIME))*(time.Second/10)
	return vfs.ReadRule{Min: max(vmin, 1), Timeout: vtime, PerByte: vmin > 0}
}

// waits reports whether a read that finds nothing waits for input (EAGAIN) and
// does not return at once with nothing (VMIN and VTIME 0).
func (d *discipline) waits() bool {
	return d.l(unix.ICANON) || d.cc(unix.VMIN) != 0 || d.cc(unix.VTIME) != 0
}
