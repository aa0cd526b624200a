package tty

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func (p *PTY) getModes(arg vfs.IoctlArg, size int) error {
	var b [sizeTermios2]byte
	p.mu.Lock()
	p.disc.modes.encode(&b)
	p.mu.Unlock()
	return arg.WriteAt(b[:size], 0)
}

// setModes takes the modes in a structure of size bytes, with flush after
// forgetting the input.
func (p *PTY) setModes(arg vfs.IoctlArg, size int, flush bool) error {
	var b [sizeTermios2]byte
	if err := arg.ReadAt(b[:size], 0); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.unlock()
	t := p.disc.modes
	if size == sizeTermio {
		t.decodeOld(b[:size])
	} else {
		t.decode(b[:size])
	}
	if flush {
		p.flushInput()
	}
	p.apply(t)
	return nil
}

// apply sets the modes and does what a change of them means. The caller holds
// mu, as for all that follows but the ioctls.
func (p *PTY) apply(t termios) {
	d := &p.disc
	old := d.modes
	t.settle()
	if p.packet {
		was, is := old.usualFlow(), t.usualFlow()
		if was != is {
			p.pktStatus &^= unix.TIOCPKT_DOSTOP | unix.TIOCPKT_NOSTOP
			if is {
				p.note(unix.TIOCPKT_DOSTOP)
			} else {
				p.note(unix.TIOCPKT_NOSTOP)
			}
		}
		if (old.lflag|t.lflag)&unix.EXTPROC != 0 {
			p.note(unix.TIOCPKT_IOCTL)
		}
	}
	d.setModes(t)
	if old.iflag&unix.IXON != 0 && !d.i(unix.IXON) {
		p.start()
		p.flushEcho()
	}
	p.receive() // other modes may have room for what waits
	p.slaveQueue.Notify(vfs.EventsIn | vfs.EventsOut)
}

// usualFlow reports whether ^S and ^Q control the flow, so that a terminal
// emulator may do that itself.
func (t *termios) usualFlow() bool {
	return t.iflag&unix.IXON != 0 && t.cc[unix.VSTOP] == 's'&0x1f && t.cc[unix.VSTART] == 'q'&0x1f
}

func (p *PTY) setSoftCarrier(arg vfs.IoctlArg) error {
	v, err := readInt(arg)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.unlock()
	t := p.disc.modes
	t.cflag &^= unix.CLOCAL
	if v != 0 {
		t.cflag |= unix.CLOCAL
	}
	p.apply(t)
	return nil
}

// flushInput forgets what was typed and processed.
func (p *PTY) flushInput() {
	p.disc.flush()
	p.note(unix.TIOCPKT_FLUSHREAD)
	p.receive()
	p.masterRoom()
}

// flushTyped forgets also what waits to be processed.
func (p *PTY) flushTyped() {
	p.in.discard(p.in.len())
	p.flushInput()
}

// flush is TCFLSH with the means of either side.
func (p *PTY) flush(which uint64, input, output func()) error {
	if which > unix.TCIOFLUSH {
		return syscall.EINVAL
	}
	p.mu.Lock()
	defer p.unlock()
	if which != unix.TCOFLUSH {
		input()
	}
	if which != unix.TCIFLUSH {
		output()
	}
	return nil
}

// flowControl is TCXONC on the slave.
func (p *PTY) flowControl(action uint64) error {
	p.mu.Lock()
	defer p.unlock()
	d := &p.disc
	switch action {
	case unix.TCOOFF:
		if !d.tcoStopped {
			d.tcoStopped = true
			p.stop()
		}
	case unix.TCOON:
		if d.tcoStopped {
			d.tcoStopped = false
			p.start()
			p.flushEcho()
		}
	case unix.TCIOFF:
		p.sendFlow(d.cc(unix.VSTOP))
	case unix.TCION:
		p.sendFlow(d.cc(unix.VSTART))
	default:
		return syscall.EINVAL
	}
	return nil
}

// sendFlow sends a flow control character to the other side, even while output
// is stopped.
func (p *PTY) sendFlow(c byte) {
	if c != disabled && p.out.len() < outLimit {
		p.out.put(c)
		p.wroteOut()
	}
}

// masterFlow is TCXONC on the master, whose own modes know ^S and ^Q.
func (p *PTY) masterFlow(action uint64) error {
	p.mu.Lock()
	defer p.unlock()
	switch action {
	case unix.TCOOFF:
		p.masterStop = true
	case unix.TCOON:
		p.masterStop = false
		p.masterRoom()
	case unix.TCIOFF:
		p.type1(firstModes.cc[unix.VSTOP])
	case unix.TCION:
		p.type1(firstModes.cc[unix.VSTART])
	default:
		return syscall.EINVAL
	}
	return nil
}

func (p *PTY) type1(c byte) {
	if p.in.len() < inLimit {
		p.in.put(c)
		p.receive()
	}
}

// setPacket is TIOCPKT.
func (p *PTY) setPacket(arg vfs.IoctlArg) error {
	v, err := readInt(arg)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.unlock()
	if v != 0 && !p.packet {
		p.pktStatus = 0
	}
	p.packet = v != 0
	return nil
}

// sendSignal is TIOCSIG.
func (p *PTY) sendSignal(sig uint64) error {
	if sig < 1 || sig > lastSignal {
		return syscall.EINVAL
	}
	p.mu.Lock()
	defer p.unlock()
	p.signals = append(p.signals, syscall.Signal(sig))
	return nil
}
