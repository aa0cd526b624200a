package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
)

// glibc before 2.41 makes a cancellable call so: type asynchronous, the call,
// type back. Its cancel signal, arriving between the completed call and "type
// back", ends the thread, and what the call has done is lost (BZ 12683). hati
// decides when a signal arrives: not there. It lets the guest go on one
// instruction at a time until the wrapper has returned, or makes its next
// system call, which comes before it can wait. While another handler runs over
// the call, the signal waits for its end, or until it waits itself. See
// docs/pthread-cancel.md.

// cancelSignal is glibc's SIGCANCEL. musl, whose cancellation is exact by
// itself, uses another one.
const cancelSignal = syscall.Signal(32)

const (
	// windowDepth is how far below the stack pointer of the call what puts the
	// type back can stand: glibc's functions need 8 bytes.
	windowDepth = 64
	// windowSteps bounds the instructions until the signal is delivered whatever
	// they are. glibc needs 10 to 30.
	windowSteps = 48
)

// cancelWindow is what is known of where a thread has made its last system call
// that can wait. The thread's own.
type cancelWindow struct {
	call  callSite
	steps int      // made since the call with the signal held back
	held  withheld // what that means for the guest's next run

	// The first handler that runs over a call: the address of its frame, 0 if
	// there is none, and the call.
	over  uint64
	under callSite
}

// callSite is a system call that a thread has made; the zero value none.
type callSite struct {
	sp   uint64 // the stack pointer
	done bool   // it had its effect, or failed; else it was interrupted
}

// near reports whether what follows the call in its wrapper can have this stack
// pointer.
func (c callSite) near(sp uint64) bool { return c.sp != 0 && sp <= c.sp && c.sp-sp <= windowDepth }

// withheld says whether the cancel signal is pending and held back.
type withheld uint8

const (
	heldNot     withheld = iota
	heldStep             // until the wrapper has returned: the guest is stepped
	heldHandler          // until the handler has returned, or waits
)

// made notes what became of a system call.
func (w *cancelWindow) made(c *call, sp uint64, done bool) {
	if c.blocks != never {
		w.call = callSite{sp, done}
	}
}

// closed forgets the last call.
func (w *cancelWindow) closed() { w.call, w.steps, w.held = callSite{}, 0, heldNot }

// withheld returns the signals that must not be delivered where the thread
// stands. k.mu is held.
func (t *Task) withheld() abi.Sigset {
	w := &t.window
	w.held = heldNot
	if !(t.sig.pending.set &^ t.sig.mask).Has(cancelSignal) || !t.cancelRequested() {
		return 0
	}
	switch {
	case w.over != 0 && !t.leftHandler() && t.restart.code == 0:
		w.held = heldHandler
	case w.over == 0 && t.inWindow():
		w.held = heldStep
	default:
		w.over = 0
		return 0
	}
	return abi.SigBit(cancelSignal)
}

// cancelRequested reports whether the cancel signal was sent by the thread's own
// process to this thread, and is handled. k.mu is held.
func (t *Task) cancelRequested() bool {
	if a := t.proc.sig.handlers.of(cancelSignal); a.Handler == abi.SIG_DFL || a.Handler == abi.SIG_IGN {
		return false
	}
	for i := range t.sig.pending.items {
		s := &t.sig.pending.items[i].info
		if s.Signo == int32(cancelSignal) {
			return s.Code == abi.SI_TKILL && int(s.PID()) == t.proc.pid
		}
	}
	return false
}

// inWindow reports whether the thread may stand between a completed call and
// its wrapper's end.
func (t *Task) inWindow() bool {
	w, r := &t.window, &t.thread.Regs
	return w.call.done && w.call.near(r.RSP) && t.restart.code == 0 && w.steps < windowSteps &&
		r.EFLAGS&abi.EFLAGS_TF == 0 && !t.atFlags(r.RIP)
}

// atFlags reports whether the next instruction could see or change the trap
// flag, or cannot be read.
func (t *Task) atFlags(pc uint64) bool {
	const pushf, popf, operandSize = 0x9c, 0x9d, 0x66
	var b [2]byte
	if t.copyIn(pc, b[:1]) != nil {
		return true
	}
	if b[0] == operandSize && t.copyIn(pc+1, b[1:]) == nil {
		b[0] = b[1]
	}
	return b[0] == pushf || b[0] == popf
}

// covered notes that a handler for sig, whose frame is at frame, runs over what
// the thread did at sp.
func (w *cancelWindow) covered(sig syscall.Signal, sp, frame uint64) {
	if sig == cancelSignal {
		w.over = 0
	} else if w.over == 0 && w.call.near(sp) {
		w.over, w.under = frame, w.call
	}
	w.closed()
}

// uncovered notes that the handler of a frame has returned, to sp.
func (w *cancelWindow) uncovered(frame, sp uint64) {
	if w.over != frame {
		return
	}
	w.over = 0
	if w.under.near(sp) {
		w.call = w.under
	}
}

// leftHandler reports whether the handler over the call was left by a jump.
func (t *Task) leftHandler() bool {
	sp, s := t.thread.Regs.RSP, &t.sig.altStack
	return sp > t.window.over && !onStack(s, sp) || onStack(s, t.window.over) && !onStack(s, sp)
}

// underHeld makes the system call that begins, in a handler, end if it waits.
func (t *Task) underHeld() {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	t.attention.Store(true)
	t.ctx.end(t)
}

// holdOn prepares the guest to run with the signal held back: by one instruction
// or at most to where it would wait in the host.
func (t *Task) holdOn() {
	if t.window.held == heldStep {
		t.thread.Regs.EFLAGS |= abi.EFLAGS_TF
		t.thread.SetDirty()
	}
	t.thread.NoWait()
}

// stepped takes the trap flag away again and reports whether tr is dealt with:
// it was only the step, or a system call, before which the signal is delivered
// as if it had not been made.
func (t *Task) stepped(tr *machine.Trap) bool {
	if tr.Kind == machine.TrapDead {
		return false
	}
	w, r := &t.window, &t.thread.Regs
	r.EFLAGS &^= abi.EFLAGS_TF
	t.thread.SetDirty()
	t.attention.Store(true)
	switch {
	case tr.Kind == machine.TrapSyscall:
		r.RIP -= syscallLength
		w.closed()
		return true
	case tr.Kind == machine.TrapFault && tr.Signal == int(syscall.SIGTRAP) &&
		int32(binary.LittleEndian.Uint32(tr.Info[8:])) == abi.TRAP_TRACE:
		w.steps++
		return true
	}
	return false
}
