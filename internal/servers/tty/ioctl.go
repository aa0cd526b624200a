package tty

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Commands whose names x/sys lacks (ioctl_tty(2)).
const (
	tcgeta, tcseta, tcsetaw, tcsetaf = 0x5405, 0x5406, 0x5407, 0x5408
	tcsbrkp                          = 0x5425
	tiocsig                          = 0x40045436
	tioclcktrmios                    = 0x5456
	tiocslcktrmios                   = 0x5457
	lastSignal                       = 64
	nTTY                             = 0 // the line discipline
)

// Ioctl answers what concerns the terminal alone. Of the others, those of job
// control are POSIX's.
func (s *Slave) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	s.p.mu.Lock()
	dead := s.dead()
	s.p.mu.Unlock()
	if dead {
		return 0, syscall.EIO
	}
	switch cmd {
	case unix.TIOCINQ:
		return 0, s.p.tell(arg, func() int { return s.p.disc.queued() })
	case unix.TCFLSH:
		return 0, s.p.flush(arg.Value(), s.p.flushTyped, s.p.flushOutput)
	case unix.TCXONC:
		return 0, s.p.flowControl(arg.Value())
	}
	return 0, s.p.ioctl(ctx, cmd, arg, s.p.opts.Rdev)
}

// Ioctl answers as the slave's for modes and size, and what is the master's.
// TIOCGPTPEER makes a descriptor, so POSIX calls [Master.OpenPeer] for it.
func (m *Master) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	p := m.p
	switch cmd {
	case unix.TIOCGPTN:
		return 0, p.tell(arg, func() int { return p.opts.Index })
	case unix.TIOCSPTLCK:
		v, err := readInt(arg)
		if err != nil {
			return 0, err
		}
		p.mu.Lock()
		p.locked = v != 0
		p.mu.Unlock()
		return 0, nil
	case unix.TIOCGPTLCK:
		return 0, p.tell(arg, func() int { return asInt(p.locked) })
	case unix.TIOCPKT:
		return 0, p.setPacket(arg)
	case unix.TIOCGPKT:
		return 0, p.tell(arg, func() int { return asInt(p.packet) })
	case tiocsig:
		return 0, p.sendSignal(arg.Value())
	case unix.TIOCINQ:
		return 0, p.tell(arg, func() int { return min(p.out.len(), outKept) })
	case unix.TCFLSH:
		return 0, p.flush(arg.Value(), func() { p.out.discard(p.out.len()) }, func() { p.in.discard(p.in.len()) })
	case unix.TCXONC:
		return 0, p.masterFlow(arg.Value())
	}
	return 0, p.ioctl(ctx, cmd, arg, unix.Mkdev(5, 2))
}

// ioctl is what both sides answer alike.
func (p *PTY) ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg, dev uint64) error {
	switch cmd {
	case unix.TCGETS:
		return p.getModes(arg, sizeTermios)
	case unix.TCGETS2:
		return p.getModes(arg, sizeTermios2)
	case tcgeta:
		var b [sizeTermio]byte
		p.mu.Lock()
		p.disc.modes.encodeOld(&b)
		p.mu.Unlock()
		return arg.WriteAt(b[:], 0)
	case unix.TCSETS, unix.TCSETSW, unix.TCSETSF: // output is the master's as soon as it is written
		return p.setModes(arg, sizeTermios, cmd == unix.TCSETSF)
	case unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2:
		return p.setModes(arg, sizeTermios2, cmd == unix.TCSETSF2)
	case tcseta, tcsetaw, tcsetaf:
		return p.setModes(arg, sizeTermio, cmd == tcsetaf)
	case tioclcktrmios: // no mode is ever locked
		return arg.WriteAt(make([]byte, sizeTermios), 0)
	case tiocslcktrmios:
		return syscall.EPERM
	case unix.TIOCGSOFTCAR:
		return p.tell(arg, func() int { return asInt(p.disc.modes.cflag&unix.CLOCAL != 0) })
	case unix.TIOCSSOFTCAR:
		return p.setSoftCarrier(arg)

	case unix.TIOCGWINSZ:
		var b [8]byte
		p.mu.Lock()
		w := p.win
		p.mu.Unlock()
		for i, v := range []uint16{w.row, w.col, w.xpixel, w.ypixel} {
			binary.LittleEndian.PutUint16(b[2*i:], v)
		}
		return arg.WriteAt(b[:], 0)
	case unix.TIOCSWINSZ:
		var b [8]byte
		if err := arg.ReadAt(b[:], 0); err != nil {
			return err
		}
		le := binary.LittleEndian
		p.mu.Lock()
		defer p.unlock()
		p.resize(winsize{le.Uint16(b[0:]), le.Uint16(b[2:]), le.Uint16(b[4:]), le.Uint16(b[6:])})
		return nil

	case unix.TCSBRK, tcsbrkp, unix.TIOCSBRK, unix.TIOCCBRK: // there is no line to break, nor to wait for
		return nil
	case unix.TIOCOUTQ:
		return p.tell(arg, func() int { return 0 })
	case unix.TIOCEXCL, unix.TIOCNXCL:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.exclusive = cmd == unix.TIOCEXCL
		return nil
	case unix.TIOCGEXCL:
		return p.tell(arg, func() int { return asInt(p.exclusive) })
	case unix.TIOCGETD:
		return p.tell(arg, func() int { return nTTY })
	case unix.TIOCSETD:
		switch v, err := readInt(arg); {
		case err != nil:
			return err
		case v != nTTY:
			return syscall.EINVAL
		}
		return nil
	case unix.TIOCGDEV:
		return p.tell(arg, func() int { return int(dev) })
	case unix.TIOCSTI: // as Linux is set since 6.2
		return syscall.EIO
	case unix.TIOCVHANGUP:
		if !p.job.Privileged(ctx) {
			return syscall.EPERM
		}
		p.mu.Lock()
		defer p.unlock()
		p.hangupAndTell()
		return nil
	}
	return syscall.ENOTTY
}

// tell writes the int that f finds under mu.
func (p *PTY) tell(arg vfs.IoctlArg, f func() int) error {
	p.mu.Lock()
	v := f()
	p.mu.Unlock()
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(v))
	return arg.WriteAt(b[:], 0)
}

func readInt(arg vfs.IoctlArg) (int32, error) {
	var b [4]byte
	err := arg.ReadAt(b[:], 0)
	return int32(binary.LittleEndian.Uint32(b[:])), err
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
