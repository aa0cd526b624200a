package posix

import (
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// This file is job control as tty_ioctl(4), termios(3) and credentials(7) have
// it: whose controlling terminal a terminal is, and who may use it now.

// openedTerminal makes a terminal that was opened without O_NOCTTY the
// controlling one of a session leader that has none.
func (t *Task) openedTerminal(d *Description) {
	if d.tty.IsMaster() {
		return
	}
	line := d.tty.Line()
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	s := t.proc.group.session
	if s.leader == t.proc && s.tty == nil && line.Session() == 0 && d.canRead() {
		s.takeTerminal(line, t.proc.group.id)
	}
}

// takeTerminal makes line the session's controlling terminal. k.mu is held.
func (s *session) takeTerminal(line vfs.Line, foreground int) {
	s.tty = line
	line.SetSession(s.id)
	line.SetForeground(foreground)
}

// foreground checks that the task may use its controlling terminal: sig is
// SIGTTIN for reading, SIGTTOU for writing and changing. It is EIO when the
// task can't be stopped for it, else the group gets the signal and the call is
// interrupted.
func (t *Task) foreground(d *Description, sig syscall.Signal) error {
	if d.tty.IsMaster() {
		return nil
	}
	line := d.tty.Line()
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	g := t.proc.group
	if g.session.tty != line {
		return nil
	}
	if f := line.Foreground(); f == 0 || f == g.id {
		return nil
	}
	if t.sig.mask.Has(sig) || t.proc.sig.handlers.of(sig).Handler == abi.SIG_IGN {
		if sig == syscall.SIGTTIN {
			return syscall.EIO
		}
		return nil
	}
	if g.orphaned() {
		return syscall.EIO
	}
	g.signal(queuedSignal{info: abi.KillInfo(sig, abi.SI_KERNEL, 0, 0)})
	return vfs.ErrInterrupted
}

// readTerminal is read for a terminal: VMIN and VTIME say when it is enough.
func (t *Task) readTerminal(x *transfer) (n int, err error) {
	d := x.d
	if err := t.foreground(d, syscall.SIGTTIN); err != nil {
		return 0, err
	}
	if x.mem.left == 0 {
		return 0, nil
	}
	rule := d.tty.ReadRule()
	want := min(x.mem.left, chunk)
	buf := t.buffer(want)
	var deadline time.Time
	if rule.Timeout > 0 && !rule.PerByte {
		deadline = time.Now().Add(rule.Timeout)
	}
	for {
		m, e := x.readOnce(t, buf[n:want])
		n += m
		switch {
		case e == nil && (m == 0 || !rule.WantsMore(n, want)):
			return x.mem.copyOut(buf[:n])
		case e == nil:
			if rule.PerByte && rule.Timeout > 0 {
				deadline = time.Now().Add(rule.Timeout)
			}
			continue
		case errnoOf(e) != syscall.EAGAIN || d.nonblocking() || x.flags&rwNowait != 0:
			err = e
		case rule.Min == 0 && rule.Timeout == 0:
			return x.mem.copyOut(buf[:n])
		case d.poll == nil:
			err = e
		default:
			err = t.await(d.file, vfs.EventsIn, deadline)
			if err == nil {
				continue
			}
			if err == errTimeout {
				err = nil
			}
		}
		if n > 0 || err == nil {
			return x.mem.copyOut(buf[:n])
		}
		return 0, err
	}
}

// openTerminal opens the task's controlling terminal, for /dev/tty.
func (t *Task) openTerminal(flags int) (vfs.File, error) {
	t.k.mu.Lock()
	line := t.proc.group.session.tty
	t.k.mu.Unlock()
	o, ok := line.(vfs.Opener)
	if !ok {
		return nil, syscall.ENXIO
	}
	return o.Open(t.context(), flags)
}

// terminalIoctl does what of a terminal's ioctls is job control, and checks
// whether the others may be done. done means that the server is not asked.
func (t *Task) terminalIoctl(d *Description, cmd uint32, arg uint64) (done bool, err error) {
	switch cmd {
	case unix.TIOCSCTTY:
		return true, t.setControlling(d, arg)
	case unix.TIOCNOTTY:
		return true, t.giveUpTerminal(d)
	case unix.TIOCGPGRP:
		return true, t.terminalID(d, arg, vfs.Line.Foreground)
	case unix.TIOCGSID:
		return true, t.terminalID(d, arg, vfs.Line.Session)
	case unix.TIOCSPGRP:
		return true, t.setForeground(d, arg)
	case unix.TCSETS, unix.TCSETSW, unix.TCSETSF, unix.TCSETA, unix.TCSETAW, unix.TCSETAF,
		unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2, unix.TCSBRK, unix.TCSBRKP, unix.TCXONC, unix.TCFLSH,
		unix.TIOCSETD:
		return false, t.foreground(d, syscall.SIGTTOU)
	}
	return false, nil
}

// setControlling is TIOCSCTTY.
func (t *Task) setControlling(d *Description, steal uint64) error {
	if d.tty.IsMaster() {
		return syscall.EINVAL
	}
	line := d.tty.Line()
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	s := t.proc.group.session
	switch {
	case s.leader == t.proc && s.tty == line:
		return nil
	case s.leader != t.proc || s.tty != nil:
		return syscall.EPERM
	}
	if line.Session() != 0 {
		if steal != 1 || !t.creds.Load().has(unix.CAP_SYS_ADMIN) {
			return syscall.EPERM
		}
		for _, g := range t.k.groups {
			if g.session.tty == line {
				g.session.tty = nil
			}
		}
	}
	s.takeTerminal(line, t.proc.group.id)
	return nil
}

// giveUpTerminal is TIOCNOTTY.
func (t *Task) giveUpTerminal(d *Description) error {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	s := t.proc.group.session
	if s.tty == nil || s.tty != d.tty.Line() {
		return syscall.ENOTTY
	}
	if s.leader == t.proc {
		s.dropTerminal(t.k)
	}
	return nil
}

// terminalID tells an id of the terminal, to those whose it is; a master may
// ask about its slave.
func (t *Task) terminalID(d *Description, arg uint64, id func(vfs.Line) int) error {
	line := d.tty.Line()
	t.k.mu.Lock()
	ours := t.proc.group.session.tty == line
	n := id(line)
	t.k.mu.Unlock()
	if !ours && !d.tty.IsMaster() {
		return syscall.ENOTTY
	}
	return t.copyOutUint32(arg, uint32(n))
}

// setForeground is TIOCSPGRP.
func (t *Task) setForeground(d *Description, arg uint64) error {
	if err := t.foreground(d, syscall.SIGTTOU); err != nil {
		return err
	}
	id, err := t.copyInUint32(arg)
	if err != nil {
		return err
	}
	if int32(id) < 0 {
		return syscall.EINVAL
	}
	line := d.tty.Line()
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	s := t.proc.group.session
	if s.tty != line {
		return syscall.ENOTTY
	}
	g := t.k.groups[int(id)]
	if g == nil {
		return syscall.ESRCH
	}
	if g.session != s {
		return syscall.EPERM
	}
	line.SetForeground(int(id))
	return nil
}
