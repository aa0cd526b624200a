package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// procSignals is a process's part of signals. Kernel.mu guards it.
type procSignals struct {
	handlers *handlers
	pending  sigQueue
	watchers vfs.Queue // hears of each new signal: signalfd

	// Job control (sigstop.go).
	stopSig  syscall.Signal // the threads stop, or have: 0 when not
	stopped  bool           // all have
	stopNews bool           // and the parent has not waited for that
	contNews bool           // the same of the continuation

	tracees map[int]*Task // the threads that the process traces, by id (ptrace.go)
}

// taskSignals is a thread's part. Kernel.mu guards it; the thread itself may
// read the mask and the alternate stack without.
type taskSignals struct {
	mask    abi.Sigset
	pending sigQueue
	// saved is the mask to return to after a call with a mask of its own.
	saved    abi.Sigset
	hasSaved bool
	// awaited are signals of the true mask for which sigtimedwait waits: they
	// are not blocked for that time, but kill nobody.
	awaited abi.Sigset
	stopped bool
	trace   traced

	altStack abi.StackT
}

// handlers are the actions of all signals, as CLONE_SIGHAND shares them.
type handlers struct {
	actions [abi.NumSignals + 1]abi.Sigaction
}

const (
	unblockable = abi.Sigset(1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1))
	stopSignals = abi.Sigset(1<<(syscall.SIGSTOP-1) | 1<<(syscall.SIGTSTP-1) | 1<<(syscall.SIGTTIN-1) | 1<<(syscall.SIGTTOU-1))
	ignoredSet  = abi.Sigset(1<<(syscall.SIGCONT-1) | 1<<(syscall.SIGCHLD-1) | 1<<(syscall.SIGWINCH-1) | 1<<(syscall.SIGURG-1))
	contSet     = abi.Sigset(1 << (syscall.SIGCONT - 1))
)

func (h *handlers) of(sig syscall.Signal) *abi.Sigaction { return &h.actions[sig] }

// ignores reports whether sig has no effect.
func (h *handlers) ignores(sig syscall.Signal) bool {
	a := h.of(sig)
	return a.Handler == abi.SIG_IGN || a.Handler == abi.SIG_DFL && ignoredSet.Has(sig)
}

// kills reports whether sig ends the process.
func (h *handlers) kills(sig syscall.Signal) bool {
	return h.of(sig).Handler == abi.SIG_DFL && !(ignoredSet | stopSignals).Has(sig)
}

// fork returns what a child inherits: the mask and the alternate stack (not
// with CLONE_VM without CLONE_VFORK).
func (s *taskSignals) fork(flags uint64) taskSignals {
	c := taskSignals{mask: s.mask, altStack: s.altStack}
	if s.hasSaved {
		c.mask = s.saved
	}
	if flags&(unix.CLONE_VM|unix.CLONE_VFORK) == unix.CLONE_VM {
		c.altStack = abi.StackT{Flags: abi.SS_DISABLE}
	}
	return c
}

// inherit gives the process the handlers of its parent.
func (s *procSignals) inherit(from *procSignals, flags uint64) {
	if flags&unix.CLONE_SIGHAND != 0 {
		s.handlers = from.handlers
		return
	}
	h := *from.handlers
	s.handlers = &h
	if flags&unix.CLONE_CLEAR_SIGHAND != 0 {
		h.reset()
	}
}

// reset forgets all handlers; what is ignored stays ignored.
func (h *handlers) reset() {
	for i := range h.actions {
		a := abi.Sigaction{}
		if h.actions[i].Handler == abi.SIG_IGN {
			a.Handler = abi.SIG_IGN
		}
		h.actions[i] = a
	}
}

// execSignals resets what a new program does not inherit. k.mu is held.
func (t *Task) execSignals() {
	s := &t.proc.sig
	h := *s.handlers // others may share the old ones
	h.reset()
	s.handlers = &h
	t.sig.altStack = abi.StackT{Flags: abi.SS_DISABLE}
	t.restart.next = nil
	t.window = cancelWindow{}
	t.scheduleHost()
	t.proc.execLocked()
}

// interrupted returns ErrKilled or ErrInterrupted when the task is wanted
// elsewhere: it is dying, has to stop, or has a signal that it does not block.
func (t *Task) interrupted() error {
	if !t.attention.Load() {
		return nil
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return t.interruptedLocked()
}

func (t *Task) interruptedLocked() error {
	switch {
	case t.exit.dying.Load():
		if t.k.closing {
			return vfs.ErrShutdown
		}
		return vfs.ErrKilled
	case t.proc.sig.stopSig != 0, t.sig.trace.stop,
		(t.sig.pending.set|t.proc.sig.pending.set)&^t.sig.mask != 0:
		return vfs.ErrInterrupted
	}
	return nil
}

// setMask changes the mask. What is pending and no longer blocked interrupts
// the thread; what it now blocks may concern another one. k.mu is held.
func (t *Task) setMask(mask abi.Sigset) {
	mask &^= unblockable
	more := mask &^ t.sig.mask
	t.sig.mask = mask
	if lost := t.proc.sig.pending.set & more; lost != 0 && len(t.proc.tasks) > 1 {
		t.proc.retell(t, lost)
	}
	if t.interruptedLocked() != nil {
		t.notify()
	}
}

// fault turns a host signal into the guest's.
func (t *Task) fault(tr *machine.Trap) {
	var info abi.Siginfo
	info.Decode(tr.Info[:])
	info.Signo = int32(tr.Signal)
	t.force(info)
}

// force sends the thread a signal that it cannot evade: blocked or ignored, it
// kills.
func (t *Task) force(info abi.Siginfo) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	t.forceLocked(info)
}

func (t *Task) forceLocked(info abi.Siginfo) {
	sig := syscall.Signal(info.Signo)
	if a := t.proc.sig.handlers.of(sig); t.sig.mask.Has(sig) || a.Handler == abi.SIG_IGN {
		a.Handler = abi.SIG_DFL
		t.sig.mask &^= abi.SigBit(sig)
	}
	_ = t.proc.queue(t, queuedSignal{info: info})
}
