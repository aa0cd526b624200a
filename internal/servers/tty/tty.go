// Package tty is pseudo-terminals with Linux's line discipline N_TTY
// (pty(7), termios(3), ioctl_tty(2)): editing, echo, signals from characters,
// flow control, packet mode, hangup.
//
// A [PTY] is a pair. What is written to the [Master] passes through the line
// discipline and is read from the slave's files; what is written to a slave, and
// the echo, passes through output processing and is read from the master. All
// files are [vfs.Pollable] and [vfs.Terminal]. How long a blocking read waits
// (VMIN, VTIME) is told by ReadRule and done by POSIX, as are the checks and
// ioctls of job control, for which a PTY keeps the two numbers ([vfs.Line]).
//
// The package imports vfs and x/sys.
//
// Lock order: PTY.mu, then the locks of its [vfs.Queue]s. A [Job] is called
// with no lock held.
package tty

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Job is what a terminal needs of the processes; POSIX implements it. It is
// called from any goroutine with no lock of this package held, and must not
// wait.
type Job interface {
	// Signal sends sig to the process group: SIGINT, SIGQUIT and SIGTSTP from
	// characters, SIGWINCH, and what TIOCSIG says.
	Signal(pgrp int, sig syscall.Signal)
	// Hangup tells that the terminal of the session is gone: its leader gets
	// SIGHUP and SIGCONT, and none of its processes has a controlling terminal
	// any more. line has session and foreground group 0 already; foreground is
	// what the latter was.
	Hangup(line vfs.Line, session, foreground int)
	// Privileged reports whether the calling process has CAP_SYS_ADMIN, and so
	// may open a terminal in exclusive mode and use TIOCVHANGUP.
	Privileged(ctx context.Context) bool
}

// Options describe a PTY.
type Options struct {
	// Job is nil for a terminal that no process belongs to.
	Job Job
	// Index is what TIOCGPTN tells.
	Index int
	// Rdev is the slave's device number, for TIOCGDEV.
	Rdev uint64
	// OpenPeer opens the slave for [Master.OpenPeer], with the slave's node.
	OpenPeer func(ctx context.Context, flags int) (vfs.File, error)
	// Closed is called once, before the master is closed, with no lock held: the
	// slave's name is to disappear.
	Closed func()
	// Released is called once, when the master and all files of the slave are
	// closed, with no lock held: the index is free.
	Released func()
}

// PTY is a pseudo-terminal. Its methods may be called concurrently.
type PTY struct {
	opts Options
	job  Job

	session, foreground atomic.Int64

	mu   sync.Mutex
	disc discipline
	win  winsize

	in  fifo // written to the master, not yet taken by the line discipline
	out fifo // written to the slave or echoed, not yet read from the master

	locked       bool // the slave cannot be opened yet (TIOCSPTLCK)
	exclusive    bool
	masterOpen   bool
	masterStop   bool // TCXONC on the master: it writes nothing
	slaves       int  // open files of the slave
	slavesClosed bool // there were some, and no more
	generation   int  // counts hangups: files opened before are dead
	packet       bool
	pktStatus    byte

	masterQueue, slaveQueue vfs.Queue

	released bool             // tell so, once mu is free
	signals  []syscall.Signal // to the foreground group, once mu is free
	hangups  []hangup         // likewise
}

type winsize struct{ row, col, xpixel, ypixel uint16 }

type hangup struct{ session, foreground int }

// New makes a pseudo-terminal, whose slave is locked. It ends when the master
// is closed.
func New(o Options) *PTY {
	p := &PTY{opts: o, job: o.Job, locked: true, masterOpen: true}
	if p.job == nil {
		p.job = noJob{}
	}
	p.disc.init()
	return p
}

// noJob is the Job of a terminal without processes.
type noJob struct{}

func (noJob) Signal(int, syscall.Signal)      {}
func (noJob) Hangup(vfs.Line, int, int)       {}
func (noJob) Privileged(context.Context) bool { return true }

// unlock gives mu back and then delivers the signals that arose under it.
func (p *PTY) unlock() {
	signals, hangups, released := p.signals, p.hangups, p.released
	p.signals, p.hangups, p.released = nil, nil, false
	foreground := p.Foreground()
	p.mu.Unlock()
	for _, s := range signals {
		if foreground > 0 {
			p.job.Signal(foreground, s)
		}
	}
	for _, h := range hangups {
		p.job.Hangup(p, h.session, h.foreground)
	}
	if released && p.opts.Released != nil {
		p.opts.Released()
	}
}

// Session is the session whose controlling terminal this is, 0 for none.
func (p *PTY) Session() int { return int(p.session.Load()) }

// SetSession sets it.
func (p *PTY) SetSession(sid int) { p.session.Store(int64(sid)) }

// Number is the slave's device number.
func (p *PTY) Number() uint64 { return p.opts.Rdev }

// Foreground is the foreground process group, 0 for none.
func (p *PTY) Foreground() int { return int(p.foreground.Load()) }

// SetForeground sets it.
func (p *PTY) SetForeground(pgrp int) { p.foreground.Store(int64(pgrp)) }

// StopsOutput is TOSTOP.
func (p *PTY) StopsOutput() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.disc.l(tostop)
}

// Unlock lets the slave be opened, as unlockpt(3) does through TIOCSPTLCK.
func (p *PTY) Unlock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.locked = false
}

// Resize sets the window size in characters; a change is told by SIGWINCH.
func (p *PTY) Resize(rows, cols uint16) {
	p.mu.Lock()
	defer p.unlock()
	p.resize(winsize{row: rows, col: cols})
}

func (p *PTY) resize(w winsize) {
	if w != p.win {
		p.win = w
		p.signals = append(p.signals, syscall.SIGWINCH)
	}
}

// Hangup ends all open files of the slave (vhangup(2)): they read the end of
// the file, write EIO and poll as hung up. The terminal has its first modes
// again and belongs to no session; what it belonged to is returned, and the
// [Job] is not told. The master goes on, and the slave may be opened anew.
func (p *PTY) Hangup() (session, foreground int) {
	p.mu.Lock()
	defer p.unlock()
	return p.hangup()
}

// hangupAndTell is hangup for which the processes get their signals.
func (p *PTY) hangupAndTell() {
	if sid, pgrp := p.hangup(); sid != 0 {
		p.hangups = append(p.hangups, hangup{sid, pgrp})
	}
}

func (p *PTY) hangup() (session, foreground int) {
	p.generation++
	p.disc.init()
	p.in.discard(p.in.len())
	p.pktStatus, p.exclusive = 0, false
	if p.slaves == 1 {
		p.lastSlaveGone()
	}
	p.slaveQueue.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventErr | vfs.EventHup)
	return int(p.session.Swap(0)), int(p.foreground.Swap(0))
}

// lastSlaveGone has the master read EIO once it has read what there is.
func (p *PTY) lastSlaveGone() {
	p.slavesClosed = true
	p.exclusive = false
	p.masterQueue.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventHup)
}
