package posix

import (
	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
)

type procSignals struct{}
type taskSignals struct{}

// fork returns what a child inherits: the handlers (shared with CLONE_SIGHAND),
// the mask, the alternate stack (not with CLONE_VM without CLONE_VFORK).
func (s *taskSignals) fork(flags uint64) taskSignals { return taskSignals{} }
func (s *procSignals) fork(flags uint64) procSignals { return procSignals{} }

// execSignals resets what a new program does not inherit. k.mu is held.
func (t *Task) execSignals() {}

// interrupted returns ErrKilled or ErrInterrupted when the task is wanted
// elsewhere: it is dying, has to stop, or has a signal that it does not block.
func (t *Task) interrupted() error       { return nil }
func (t *Task) interruptedLocked() error { return nil }

// userReturn does what is due before the guest runs again: it handles signals,
// stops, decides about restarts. It returns false when the task has ended. On
// true, running is set, and was set before attention was last looked at.
func (t *Task) userReturn() bool { return false }

// fault turns a host signal into the guest's.
func (t *Task) fault(tr *machine.Trap) {}

// signal sends a signal to the thread, or to the process.
func (t *Task) signal(info abi.Siginfo)    {}
func (p *Process) signal(info abi.Siginfo) {}

var signalCalls, timerCalls calls
