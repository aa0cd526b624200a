package posix

import (
	"errors"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// restart is how a system call that ended with a restart code can go on.
type restart struct {
	code syscall.Errno               // 0, or one of abi.ERESTART*: set until userReturn has decided
	next func(*Task) (uint64, error) // what restart_syscall does
}

// run is the life of a task: run the guest, answer it, look after signals.
func (t *Task) run() {
	defer t.k.alive.Done()
	if tr := t.k.config.Trace; tr != nil {
		defer tr.Gone(t)
	}
	for t.userReturn() {
		t.closeStale()
		tr := t.enter()
		t.running.Store(false)
		if sp := t.thread.LastGrantSP(); sp != 0 {
			t.window.call = callSite{sp, true}
		}
		if t.op.inHost {
			t.op.inHost = false
			t.op.end()
		}
		if t.window.held == heldStep && t.stepped(tr) {
			continue
		}
		switch tr.Kind {
		case machine.TrapSyscall:
			t.syscall(tr.Arch)
		case machine.TrapInterrupted:
			t.hostCallInterrupted(tr.Local)
		case machine.TrapFault:
			t.fault(tr)
		case machine.TrapShort:
			t.finishWrite(tr.NR)
		case machine.TrapKick:
		case machine.TrapDead:
			t.hostDied()
			return
		}
	}
}

// enter runs the guest until it stops. userReturn has set running.
func (t *Task) enter() *machine.Trap {
	if t.window.held != heldNot {
		t.holdOn()
	}
	if h := &t.hostCall; h.set {
		h.set = false
		if h.waits {
			return t.thread.ResumeWait(h.nr, h.args[:]...)
		}
		return t.thread.ResumeWith(h.nr, h.args[:]...)
	}
	return t.thread.Resume()
}

// syscall answers the system call that the thread has made.
func (t *Task) syscall(arch uint32) {
	r := &t.thread.Regs
	t.nr = r.RAX
	t.args = Args{r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9}
	t.restart.code = 0
	if t.window.held == heldHandler {
		t.underHeld()
	}
	t.window.closed()
	if t.nr != unix.SYS_RESTART_SYSCALL {
		t.restart.next = nil
	}
	if arch != unix.AUDIT_ARCH_X86_64 {
		// A 32-bit call: this kernel is built without them.
		t.k.miss(t, "32-bit system call")
		t.thread.SetReturn(abi.Result(0, syscall.ENOSYS))
		return
	}
	t.op.begin(t.nr, &t.args)
	c := t.k.lookupCall(t.nr)
	tr := t.k.config.Trace
	if tr != nil {
		t.inCall = true
		tr.Enter(t)
	}
	var ret uint64
	var err error
	if c.fn == nil {
		t.k.miss(t, abi.SyscallName(t.nr))
		err = syscall.ENOSYS
	} else {
		ret, err = t.call(c)
	}
	if tr != nil {
		if h := &t.hostCall; h.set && !h.waits {
			h.set = false
			ret, err = t.thread.Do1(h.nr, h.args[:]...)
		}
		// A call that its thread's end has ended never returns: see Gone.
		if !errors.Is(err, vfs.ErrKilled) && !errors.Is(err, vfs.ErrShutdown) {
			t.inCall = false
			tr.Exit(t, ret, errnoOf(err))
		}
	}
	t.setResult(ret, err)
	if t.hostCall.set && t.hostCall.waits {
		t.op.waiting.Store(true)
		t.op.inHost = true // until the guest is back
	} else {
		t.op.end()
	}
}

// call runs a handler. A panic in it is the server's fault: it costs the guest
// an EIO and nobody else anything.
func (t *Task) call(c *call) (ret uint64, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.k.panicked(t, p)
			err = syscall.EIO
		}
	}()
	ret, err = c.fn(t, &t.args)
	switch {
	case err == nil:
	case errors.Is(err, vfs.ErrNotBegun):
		err = abi.ERESTARTNOINTR // as if the signal had come before the call
	case vfs.Interrupted(err):
		err = c.restart.code()
	}
	return ret, err
}

// setResult puts a call's outcome where the guest, or a restart, finds it.
func (t *Task) setResult(ret uint64, err error) {
	if t.hostCall.set {
		return
	}
	e := errnoOf(err)
	t.window.made(t.k.lookupCall(t.nr), t.thread.Regs.RSP, !endsWait(e))
	if err == nil {
		t.thread.SetReturn(ret)
		return
	}
	switch e {
	case abi.ERESTARTSYS, abi.ERESTARTNOINTR, abi.ERESTARTNOHAND, abi.ERESTART_RESTARTBLOCK:
		// RAX keeps the number: userReturn restarts the call or makes it EINTR.
		t.restart.code = e
		t.attention.Store(true)
	default:
		t.thread.SetReturn(abi.Result(0, e))
	}
}

// endsWait reports whether a call with this result was interrupted before it had
// an effect.
func endsWait(e syscall.Errno) bool {
	switch e {
	case syscall.EINTR, abi.ERESTARTSYS, abi.ERESTARTNOINTR, abi.ERESTARTNOHAND, abi.ERESTART_RESTARTBLOCK:
		return true
	}
	return false
}

// hostCallInterrupted: a wait that the stub did in the host was ended by a kick
// and had no effect.
func (t *Task) hostCallInterrupted(local bool) {
	if local {
		// A wait of which the server did not know: for a futex, or on a granted
		// descriptor.
		r := &t.thread.Regs
		t.nr, t.args = r.RAX, Args{r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9}
		t.restart.next = nil
		if t.nr == unix.SYS_FUTEX && t.args[3] != 0 {
			// The timeout is absolute: it can be waited for again as it is.
			args := t.args
			t.restart.next = func(t *Task) (uint64, error) { return t.onHostWaiting(unix.SYS_FUTEX, args[:]...) }
		}
	}
	t.window.made(t.k.lookupCall(t.nr), t.thread.Regs.RSP, false)
	t.restart.code = abi.ERESTARTSYS
	switch {
	case t.restart.next != nil:
		t.restart.code = abi.ERESTART_RESTARTBLOCK
	case local && t.nr != unix.SYS_FUTEX && !t.wouldWait():
		t.restart.code = abi.ERESTARTNOINTR // the signal was there before the call
	}
	t.attention.Store(true)
}

// wouldWait reports whether a call on a granted descriptor, made now, would wait. Where
// the kick met it in the host's code or before is not to be seen; one that would not wait
// has not waited, and Linux lets no signal end that.
func (t *Task) wouldWait() bool {
	d, err := t.fds.get(t.args.Int(0))
	if err != nil {
		return false
	}
	defer d.release()
	p := t.pollable(d.file)
	if p == nil {
		return vfs.IsStream(d.file)
	}
	events := vfs.EventOut
	switch t.nr {
	case unix.SYS_READ, unix.SYS_READV, unix.SYS_PREAD64, unix.SYS_PREADV, unix.SYS_PREADV2, unix.SYS_RECVFROM, unix.SYS_RECVMSG:
		events = vfs.EventIn
	}
	return p.Poll(events|vfs.EventErr|vfs.EventHup) == 0
}

// restartBlock says how the call goes on after a signal without a handler:
// restart_syscall calls next. Handlers return t.restartBlock(...).
func (t *Task) restartBlock(next func(*Task) (uint64, error)) (uint64, error) {
	t.restart.next = next
	return 0, abi.ERESTART_RESTARTBLOCK
}

// errnoOf turns a handler's error into what the guest gets.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok { // nearly always
		return e
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	switch {
	case vfs.Interrupted(err):
		return syscall.EINTR
	case errors.Is(err, vfs.ErrDeadline):
		return syscall.ETIMEDOUT
	}
	return syscall.EIO
}

const errAgain = syscall.EAGAIN
