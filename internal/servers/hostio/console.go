package hostio

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Console is a terminal of the host: modes, size, reads and writes are the
// host's, sessions and process groups the guest's ([vfs.Terminal]). When the
// last of its files is closed, the terminal has its modes back as they were
// found.
type Console struct{ *Stream }

// Line returns the terminal.
func (c *Console) Line() vfs.Line { return c.n.terminal }

// IsMaster is whether hati was given the master of a pseudo-terminal.
func (c *Console) IsMaster() bool { return c.n.excl }

// ReadRule tells VMIN and VTIME as the host has them now.
func (c *Console) ReadRule() vfs.ReadRule {
	if c.n.excl {
		return vfs.ReadRule{Min: 1}
	}
	t, err := unix.IoctlGetTermios(c.fd, unix.TCGETS)
	if err != nil || t.Lflag&unix.ICANON != 0 {
		return vfs.ReadRule{Min: 1}
	}
	vmin, vtime := int(t.Cc[unix.VMIN]), time.Duration(t.Cc[unix.VTIME])*100*time.Millisecond
	return vfs.ReadRule{Min: max(vmin, 1), Timeout: vtime, PerByte: vmin > 0}
}

// Restore gives the terminal the modes that it was found with. The last Close
// does that by itself.
func (c *Console) Restore() {
	c.n.terminal.restore(c.fd)
}

// terminal is what all files of a host terminal share.
type terminal struct {
	session, foreground atomic.Int64
	exclusive           atomic.Bool

	n     *node
	found *unix.Termios
}

func newTerminal(n *node, fd int) *terminal {
	t := &terminal{n: n}
	t.found, _ = unix.IoctlGetTermios(fd, unix.TCGETS) // nil: nothing to restore
	return t
}

// Number is the terminal's device number on the host.
func (t *terminal) Number() uint64 {
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	return t.n.last.Rdev
}

func (t *terminal) Session() int           { return int(t.session.Load()) }
func (t *terminal) SetSession(sid int)     { t.session.Store(int64(sid)) }
func (t *terminal) Foreground() int        { return int(t.foreground.Load()) }
func (t *terminal) SetForeground(pgrp int) { t.foreground.Store(int64(pgrp)) }

// Open makes another file of the terminal, as /dev/tty does: whoever has it as
// controlling terminal may read and write it, whatever hati was given it for.
func (t *terminal) Open(_ context.Context, flags int) (vfs.File, error) {
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	return t.n.again(flags)
}

// StopsOutput is TOSTOP as the host has it now.
func (t *terminal) StopsOutput() bool {
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	now, err := unix.IoctlGetTermios(t.n.any(), unix.TCGETS)
	return err == nil && now.Lflag&unix.TOSTOP != 0
}

// Hangup takes the terminal from the guest's session. Its files go on: the
// host's terminal is not the guest's to hang up.
func (t *terminal) Hangup() (session, foreground int) {
	return int(t.session.Swap(0)), int(t.foreground.Swap(0))
}

// restore sets the modes that were found, unless they stand, or the terminal
// has passed on to another foreground group, whose own modes these would spoil
// (and setting them would stop hati with SIGTTOU).
func (t *terminal) restore(fd int) {
	if t.found == nil {
		return
	}
	now, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil || *now == *t.found {
		return
	}
	pgrp, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err == nil && pgrp != unix.Getpgrp() {
		return
	}
	_, _ = hostwait.Retry(func() (int, error) { return 0, unix.IoctlSetTermios(fd, unix.TCSETS, t.found) })
}

// drain waits until the terminal has sent what was written. Pseudo-terminals
// and virtual consoles have always done so; a slow line may take its time.
func (c *Console) drain(ctx context.Context) error {
	queued, err := unix.IoctlGetInt(c.fd, unix.TIOCOUTQ)
	if err != nil || queued == 0 {
		return nil
	}
	_, err = cancel.IoctlInt(ctx, c.fd, unix.TCSBRK, 1)
	return vfs.Waits(err)
}
