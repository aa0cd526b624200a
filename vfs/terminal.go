package vfs

import "time"

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
// called concurrently; POSIX orders what must be one step.
type Line interface {
	// Session is the session whose controlling terminal this is, 0 for none.
	Session() int
	SetSession(sid int)
	// Foreground is the foreground process group, 0 for none.
	Foreground() int
	SetForeground(pgrp int)
	// StopsOutput is whether background processes may not write (TOSTOP).
	StopsOutput() bool
}

// ReadRule is VMIN and VTIME as they stand when a blocking read begins
// (termios(3)). A File's Read returns what there is, or EAGAIN; the caller reads
// on until it has Min bytes or all it asked for, or the Timeout passes, and
// then has what it got so far, perhaps nothing. A Read of (0, nil) ends it, too.
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
