package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// userReturn does what is due before the guest runs again: it handles signals,
// stops, decides about restarts. It returns false when the task has ended. On
// true, running is set, and was set before attention was last looked at.
func (t *Task) userReturn() bool {
	for {
		t.running.Store(true)
		if !t.attention.Load() {
			return true
		}
		t.running.Store(false)
		if !t.attend() {
			t.end()
			return false
		}
	}
}

// attend handles all that is pending. It returns false when the task is to end.
func (t *Task) attend() bool {
	t.settleHostCall()
	if t.sig.hasSaved && t.restart.code == 0 && t.thread.Regs.RAX != abi.Result(0, syscall.EINTR) {
		// The call with a mask of its own was not interrupted: no signal that
		// only this mask let in is handled.
		t.restoreMask()
	}
	for {
		t.k.mu.Lock()
		t.attention.Store(false)
		t.proc.unparkTimers()
		info, act, ok := t.nextHandled()
		if t.exit.dying.Load() {
			t.k.mu.Unlock()
			return false
		}
		if t.ctx.ended() {
			t.ctx = &taskContext{task: t}
		}
		if !ok && t.sig.hasSaved {
			// The call's own mask ends with it; the old one may let more in.
			t.restoreMaskLocked()
			again := t.attention.Load()
			t.k.mu.Unlock()
			t.settleRestart(nil)
			if !again {
				return true
			}
			continue
		}
		t.k.mu.Unlock()
		if !ok {
			t.settleRestart(nil)
			return true
		}
		t.settleRestart(&act)
		t.handle(&info, &act)
	}
}

// nextHandled takes the next signal that has a handler, and does what those
// before it do by default. k.mu is held, and released while the task is
// stopped.
func (t *Task) nextHandled() (abi.Siginfo, abi.Sigaction, bool) {
	p := t.proc
	for !t.exit.dying.Load() {
		if p.sig.stopSig != 0 {
			t.stopHere()
			continue
		}
		if t.sig.trace.stop {
			t.stopTraced()
			continue
		}
		info, ok := t.take(^t.sig.mask &^ t.withheld())
		if !ok {
			break
		}
		sig := syscall.Signal(info.Signo)
		a := p.sig.handlers.of(sig)
		switch {
		case a.Handler == abi.SIG_IGN:
		case a.Handler != abi.SIG_DFL:
			act := *a
			if a.Flags&abi.SA_RESETHAND != 0 {
				a.Handler = abi.SIG_DFL
			}
			return info, act, true
		case ignoredSet.Has(sig):
		case stopSignals.Has(sig):
			if sig == syscall.SIGSTOP || !p.group.orphaned() {
				p.stop(sig)
			}
		default:
			p.exitGroup(int32(sig))
		}
	}
	return abi.Siginfo{}, abi.Sigaction{}, false
}

// settleHostCall: a signal came before the host call by which a system call
// ends. One that waits has had no effect; any other is made now.
func (t *Task) settleHostCall() {
	h := &t.hostCall
	if !h.set || t.exit.dying.Load() {
		return
	}
	h.set = false
	if h.waits {
		t.hostCallInterrupted(false)
		return
	}
	ret, err := t.thread.Do1(h.nr, h.args[:]...)
	t.setResult(ret, err)
}

const syscallLength = 2 // bytes of the instruction

// settleRestart decides about an interrupted system call: act is the handler
// that runs now, nil when none does. See signal(7).
func (t *Task) settleRestart(act *abi.Sigaction) {
	code := t.restart.code
	if code == 0 {
		return
	}
	t.restart.code = 0
	r := &t.thread.Regs
	switch restartDecision(code, act) {
	case restartFails:
		t.thread.SetReturn(abi.Result(0, syscall.EINTR))
		return
	case restartBlock:
		r.RAX = unix.SYS_RESTART_SYSCALL
	}
	r.RIP -= syscallLength
	t.thread.SetDirty()
}

type decision int

const (
	restartSame  decision = iota // the same call again
	restartBlock                 // restart_syscall
	restartFails                 // EINTR
)

// restartDecision is the one place that knows what a restart code means.
func restartDecision(code syscall.Errno, act *abi.Sigaction) decision {
	switch code {
	case abi.ERESTART_RESTARTBLOCK:
		if act == nil {
			return restartBlock
		}
		return restartFails
	case abi.ERESTARTNOHAND:
		if act != nil {
			return restartFails
		}
	case abi.ERESTARTSYS:
		if act != nil && act.Flags&abi.SA_RESTART == 0 {
			return restartFails
		}
	}
	return restartSame
}

func sysRestartSyscall(t *Task, _ *Args) (uint64, error) {
	if t.restart.next == nil {
		return 0, syscall.EINTR
	}
	return t.restart.next(t)
}

// restoreMask takes the temporary mask back.
func (t *Task) restoreMask() {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	t.restoreMaskLocked()
}

func (t *Task) restoreMaskLocked() {
	t.sig.hasSaved = false
	t.setMask(t.sig.saved)
}
