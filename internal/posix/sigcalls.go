package posix

import (
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

var signalCalls = calls{
	unix.SYS_RT_SIGACTION:   {fn: sysSigaction},
	unix.SYS_RT_SIGPROCMASK: {fn: sysSigprocmask},
	unix.SYS_RT_SIGPENDING:  {fn: sysSigpending},
	unix.SYS_RT_SIGRETURN:   {fn: sysSigreturn},
	unix.SYS_SIGALTSTACK:    {fn: sysSigaltstack},

	unix.SYS_RT_SIGSUSPEND:   {fn: sysSigsuspend, blocks: interruptible, restart: restartHand},
	unix.SYS_RT_SIGTIMEDWAIT: {fn: sysSigtimedwait, blocks: interruptible, restart: restartNever},
	unix.SYS_PAUSE:           {fn: sysPause, blocks: interruptible, restart: restartHand},
	unix.SYS_RESTART_SYSCALL: {fn: sysRestartSyscall, blocks: interruptible},

	unix.SYS_KILL:              {fn: sysKill},
	unix.SYS_TKILL:             {fn: sysTkill},
	unix.SYS_TGKILL:            {fn: sysTgkill},
	unix.SYS_RT_SIGQUEUEINFO:   {fn: sysSigqueueinfo},
	unix.SYS_RT_TGSIGQUEUEINFO: {fn: sysTgsigqueueinfo},
}

func validSignal(n int) bool { return n >= 1 && n <= abi.NumSignals }

func (t *Task) copyInSigset(addr, size uint64) (abi.Sigset, error) {
	if size != abi.SizeSigset {
		return 0, syscall.EINVAL
	}
	v, err := t.copyInUint64(addr)
	return abi.Sigset(v), err
}

func sysSigaction(t *Task, a *Args) (uint64, error) {
	n := a.Int(0)
	if a[3] != abi.SizeSigset {
		return 0, syscall.EINVAL
	}
	var b [abi.SizeSigaction]byte
	var act abi.Sigaction
	if a[1] != 0 {
		if err := t.copyIn(a[1], b[:]); err != nil {
			return 0, err
		}
		act.Decode(b[:])
	}
	sig := syscall.Signal(n)
	if !validSignal(n) || a[1] != 0 && unblockable.Has(sig) {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	h := t.proc.sig.handlers
	old := *h.of(sig)
	if a[1] != 0 {
		act.Flags &= abi.SA_ALL
		act.Mask &^= unblockable
		*h.of(sig) = act
		if h.ignores(sig) {
			// Also what is blocked and pending goes, as POSIX wants it.
			t.proc.dropPending(abi.SigBit(sig))
		}
	}
	t.k.mu.Unlock()
	if a[2] == 0 {
		return 0, nil
	}
	old.Encode(b[:])
	return 0, t.copyOut(a[2], b[:])
}

func sysSigprocmask(t *Task, a *Args) (uint64, error) {
	if a[3] != abi.SizeSigset {
		return 0, syscall.EINVAL
	}
	old := t.sig.mask
	if a[1] != 0 {
		set, err := t.copyInSigset(a[1], a[3])
		if err != nil {
			return 0, err
		}
		switch a.Int(0) {
		case unix.SIG_BLOCK:
			set |= old
		case unix.SIG_UNBLOCK:
			set = old &^ set
		case unix.SIG_SETMASK:
		default:
			return 0, syscall.EINVAL
		}
		if set != old {
			t.k.mu.Lock()
			t.setMask(set)
			t.k.mu.Unlock()
		}
	}
	if a[2] == 0 {
		return 0, nil
	}
	return 0, t.copyOutUint64(a[2], uint64(old))
}

func sysSigpending(t *Task, a *Args) (uint64, error) {
	if a[1] > abi.SizeSigset {
		return 0, syscall.EINVAL
	}
	var b [abi.SizeSigset]byte
	(t.pendingSignals() & t.sig.mask).Encode(b[:])
	return 0, t.copyOut(a[0], b[:a[1]])
}

func sysSigaltstack(t *Task, a *Args) (uint64, error) {
	old := t.sig.altStack
	sp := t.thread.Regs.RSP
	var b [abi.SizeStackT]byte
	if a[0] != 0 {
		if err := t.copyIn(a[0], b[:]); err != nil {
			return 0, err
		}
		var s abi.StackT
		s.Decode(b[:])
		if err := t.setAltStack(s, sp); err != nil {
			return 0, err
		}
	}
	if a[1] == 0 {
		return 0, nil
	}
	flags := old.Flags & abi.SS_AUTODISARM
	if old.Size == 0 {
		flags |= abi.SS_DISABLE
	} else if onStack(&old, sp) {
		flags |= abi.SS_ONSTACK
	}
	old.Flags = flags
	old.Encode(b[:])
	return 0, t.copyOut(a[1], b[:])
}

// setAltStack sets the alternate stack, for a thread whose stack pointer is sp.
func (t *Task) setAltStack(s abi.StackT, sp uint64) error {
	if onStack(&t.sig.altStack, sp) {
		return syscall.EPERM
	}
	mode := s.Flags &^ abi.SS_AUTODISARM
	switch mode {
	case abi.SS_DISABLE:
		s.SP, s.Size = 0, 0
	case 0, abi.SS_ONSTACK:
		if s.Size < t.k.minSigStack() {
			return syscall.ENOMEM
		}
	default:
		return syscall.EINVAL
	}
	t.sig.altStack = s
	return nil
}

// minSigStack is the least size of an alternate stack (sigaltstack(2)): Linux
// insists on what it always wanted, though a frame can need more.
func (k *Kernel) minSigStack() uint64 { return abi.MINSIGSTKSZ }

// setTemporaryMask gives the thread a mask for the duration of a call.
func (t *Task) setTemporaryMask(mask abi.Sigset) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	t.sig.saved, t.sig.hasSaved = t.sig.mask, true
	t.setMask(mask)
	t.attention.Store(true) // the mask is given back whatever ends the wait
}

// withSigmask runs f, a wait, with the mask at addr, as pselect6, ppoll and
// epoll_pwait want it; with addr 0 under the mask as it is. The old mask is back
// when the call returns; if a signal ended the wait, when its handler has been
// entered (userReturn does that).
func (t *Task) withSigmask(addr, size uint64, f func() (uint64, error)) (uint64, error) {
	if addr != 0 {
		mask, err := t.copyInSigset(addr, size)
		if err != nil {
			return 0, err
		}
		t.setTemporaryMask(mask)
	}
	return f()
}

func sysSigsuspend(t *Task, a *Args) (uint64, error) {
	mask, err := t.copyInSigset(a[0], a[1])
	if err != nil {
		return 0, err
	}
	t.setTemporaryMask(mask)
	return sysPause(t, a)
}

func sysPause(t *Task, _ *Args) (uint64, error) {
	for {
		if err := t.sleep(noDeadline); err != nil {
			return 0, err
		}
	}
}

func sysSigtimedwait(t *Task, a *Args) (uint64, error) {
	set, err := t.copyInSigset(a[0], a[3])
	if err != nil {
		return 0, err
	}
	var deadline time.Time
	wait := true
	if a[2] != 0 {
		d, err := t.copyInTimespec(a[2])
		if err != nil {
			return 0, err
		}
		wait = d > 0
		deadline = time.Now().Add(d)
	}
	info, err := t.awaitSignal(set&^unblockable, wait, deadline)
	if err != nil {
		return 0, err
	}
	if a[1] != 0 {
		var b [abi.SizeSiginfo]byte
		info.Encode(b[:])
		if err := t.copyOut(a[1], b[:]); err != nil {
			return 0, err
		}
	}
	return uint64(info.Signo), nil
}

// awaitSignal takes a pending signal of set, and if wait is set waits for one.
// Another signal that is not blocked ends the wait.
func (t *Task) awaitSignal(set abi.Sigset, wait bool, deadline time.Time) (abi.Siginfo, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	info, ok := t.take(set)
	if ok {
		return info, nil
	}
	if !wait {
		return info, syscall.EAGAIN
	}
	mask := t.sig.mask
	t.sig.awaited = mask & set
	t.sig.mask &^= set
	t.k.mu.Unlock()
	var err error
	for err == nil {
		err = t.sleep(deadline)
	}
	t.k.mu.Lock()
	t.sig.awaited = 0
	t.setMask(mask)
	if info, ok = t.take(set); ok {
		return info, nil
	}
	if err == errTimeout {
		return info, syscall.EAGAIN
	}
	return info, err
}
