package vfs

import (
	"context"
	"syscall"
	"time"
)

// Terminal is a File that is a terminal. Sessions, process groups and signals
// are POSIX's, so it does what concerns them itself: TIOCSCTTY, TIOCNOTTY,
// TIOCGPGRP, TIOCSPGRP and TIOCGSID are not passed to [Ioctler]; and before a
// Read, a Write (with TOSTOP) or an ioctl that changes the terminal it checks
// whether the caller is in the foreground (SIGTTIN, SIGTTOU).
type Terminal interface {
	File
	// Line returns the terminal, the same for all open files of it. A
	// pseudo-terminal's master returns the slave's.
	Line() Line
	// IsMaster reports whether this is a pseudo-terminal's master: it is nobody's
	// controlling terminal and takes reads and writes from everyone.
	IsMaster() bool
	// ReadRule tells how long a blocking read waits.
	ReadRule() ReadRule
}

// Line is what POSIX keeps in a terminal for job control. The methods may be
// called concurrently; POSIX orders what must be one step. A Line that is an
// [Opener] can be opened through /dev/tty, which makes another file of it.
type Line interface {
	// Session is the session whose controlling terminal this is, 0 for none.
	Session() int
	SetSession(sid int)
	// Foreground is the foreground process group, 0 for none.
	Foreground() int
	SetForeground(pgrp int)
	// StopsOutput is whether background processes may not write (TOSTOP).
	StopsOutput() bool
	// Hangup ends all open files of the terminal, as the end of a session's
	// leader does: they read the end of the file and write EIO. It returns the
	// session and foreground group that the terminal had; signals to them are
	// the caller's.
	Hangup() (session, foreground int)
}

// PeerOpener is a pseudo-terminal's master that can open the slave without its
// name. POSIX calls it for the ioctl TIOCGPTPEER.
type PeerOpener interface {
	OpenPeer(ctx context.Context, flags int) (File, error)
}

// ChangesTerminal reports whether the ioctl is one of those that stop a caller
// in the background with SIGTTOU, like a write with TOSTOP: those that set modes,
// flush, drain, stop or start output, or set the foreground group.
func ChangesTerminal(cmd uint32) bool {
	switch cmd {
	case syscall.TCSETS, 0x5403, 0x5404, // TCSETSW, TCSETSF
		0x402c542b, 0x402c542c, 0x402c542d, // TCSETS2, TCSETSW2, TCSETSF2
		0x5406, 0x5407, 0x5408, // TCSETA, TCSETAW, TCSETAF
		0x5409, 0x5425, 0x5427, 0x5428, // TCSBRK, TCSBRKP, TIOCSBRK, TIOCCBRK
		0x540a, 0x540b, // TCXONC, TCFLSH
		syscall.TIOCSPGRP, syscall.TIOCSETD:
		return true
	}
	return false
}

// ReadRule is VMIN and VTIME as they stand when a blocking read begins
// (termios(3)). A File's Read returns what there is, or EAGAIN; the caller reads
// on until it has Min bytes or all it asked for, or the Timeout passes, and
// then has what it got so far, perhaps nothing. A Read of (0, nil) ends it, too.
//
// With Min above 1 and no Timeout Poll tells of input only when Min bytes are
// there (as poll(2) does), and some terminals wake nobody before. So a blocking
// read of at least Min bytes waits for Poll before it begins to Read. One that
// has got something, or wants less, waits for a Wake and reads again, whatever
// Poll says.
type ReadRule struct {
	// Min is 1 in canonical mode, where Read returns whole lines.
	Min int
	// Timeout is 0 for none.
	Timeout time.Duration
	// PerByte: the timeout runs anew after each Read that got something, and not
	// before the first. Else it runs from the start.
	PerByte bool
}

// WantsMore reports whether a blocking read that got n of want bytes goes on.
func (r ReadRule) WantsMore(n, want int) bool { return n < r.Min && n < want }
