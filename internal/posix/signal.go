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
		return vfs.ErrKilled
	case t.proc.sig.stopSig != 0,
		(t.sig.pending.set|t.proc.sig.pending.set)&^t.sig.mask != 0:
		return vfs.ErrInterrupted
	}
	return nil
}

// signal sends a signal to the thread.
func (t *Task) signal(info abi.Siginfo) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	_ = t.proc.send(t, queuedSignal{info: info})
}

// signal sends a signal to the process.
func (p *Process) signal(info abi.Siginfo) {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	_ = p.send(nil, queuedSignal{info: info})
}

// send makes a signal pending for the process, or for its thread t alone, and
// tells a thread that takes it. EAGAIN when the receiver's queue is full.
// k.mu is held.
func (p *Process) send(t *Task, s queuedSignal) error {
	sig := syscall.Signal(s.info.Signo)
	if p == p.k.init || p.exit.zombie || p.exit.exiting || t != nil && t.exit.dying.Load() {
		return nil
	}
	switch {
	case stopSignals.Has(sig):
		p.dropPending(contSet)
	case sig == syscall.SIGCONT:
		p.dropPending(stopSignals)
		p.resume()
	}
	who := t
	if who == nil {
		who = p.leader
	}
	if p.sig.handlers.ignores(sig) && !(who.sig.mask | who.sig.awaited).Has(sig) {
		return nil
	}
	return p.queue(t, s)
}

// queue is send without what may discard the signal. k.mu is held.
func (p *Process) queue(t *Task, s queuedSignal) error {
	sig := syscall.Signal(s.info.Signo)
	q := &p.sig.pending
	if t != nil {
		q = &t.sig.pending
	}
	if sig < abi.SIGRTMIN && q.set.Has(sig) && s.timer == nil {
		return nil
	}
	s.uid = p.uid()
	switch {
	case s.timer != nil:
		s.timer.queued = true
		q.add(s)
	case !p.k.chargeSignal(p, &s):
		if sig >= abi.SIGRTMIN && s.info.Code != abi.SI_USER {
			return syscall.EAGAIN
		}
		q.set |= abi.SigBit(sig)
	default:
		q.add(s)
	}
	if !p.sig.watchers.Empty() {
		p.sig.watchers.Notify(vfs.EventsIn)
	}
	p.tell(t, sig)
	return nil
}

// tell wakes a thread that takes sig, or ends the process if that is what sig
// does. k.mu is held.
func (p *Process) tell(t *Task, sig syscall.Signal) {
	if t = p.choose(t, sig); t == nil {
		return
	}
	if p.sig.handlers.kills(sig) && !t.sig.awaited.Has(sig) {
		p.exitGroup(int32(sig))
		return
	}
	t.notify()
}

// choose returns the thread that takes sig: t, or when t is nil the first
// thread or any other one that does not block it. k.mu is held.
func (p *Process) choose(t *Task, sig syscall.Signal) *Task {
	wants := func(t *Task) bool {
		return !t.exit.dying.Load() && (!t.sig.mask.Has(sig) && !t.sig.stopped || sig == syscall.SIGKILL)
	}
	if t != nil {
		if wants(t) {
			return t
		}
		return nil
	}
	if p.tasks[p.pid] == p.leader && wants(p.leader) {
		return p.leader
	}
	var best *Task
	for _, c := range p.tasks {
		if !wants(c) {
			continue
		}
		// One that has nothing to do for signals yet, so that several signals
		// go to several threads.
		if best == nil || best.attention.Load() && !c.attention.Load() ||
			best.attention.Load() == c.attention.Load() && c.tid < best.tid {
			best = c
		}
	}
	return best
}

// chargeSignal counts a queued signal against its owner's limit. k.mu is held.
func (k *Kernel) chargeSignal(p *Process, s *queuedSignal) bool {
	free := s.info.Signo < abi.SIGRTMIN && s.info.Code >= 0
	if !free && uint64(k.queued[s.uid]) >= p.limits[rlimitSigpending].Cur {
		return false
	}
	k.queued[s.uid]++
	return true
}

func (k *Kernel) unchargeSignal(s *queuedSignal) {
	if k.queued[s.uid]--; k.queued[s.uid] <= 0 {
		delete(k.queued, s.uid)
	}
}

// dropPending forgets pending signals of the process and of all its threads.
// k.mu is held.
func (p *Process) dropPending(set abi.Sigset) {
	p.k.forget(p.sig.pending.drop(set))
	for _, t := range p.tasks {
		p.k.forget(t.sig.pending.drop(set))
	}
}

func (k *Kernel) forget(dropped []queuedSignal) {
	for i := range dropped {
		if s := &dropped[i]; s.timer != nil {
			s.timer.taken(nil)
		} else {
			k.unchargeSignal(s)
		}
	}
}

// take removes the next pending signal of set, the thread's own first. k.mu is
// held.
func (t *Task) take(set abi.Sigset) (abi.Siginfo, bool) {
	for _, q := range [2]*sigQueue{&t.sig.pending, &t.proc.sig.pending} {
		if sig := first(q.set & set); sig != 0 {
			s := q.take(sig)
			if s.timer != nil {
				s.timer.taken(&s.info)
			} else {
				t.k.unchargeSignal(&s)
			}
			return s.info, true
		}
	}
	return abi.Siginfo{}, false
}

// takeSignal removes and returns the next pending signal of set: signalfd.
func (t *Task) takeSignal(set abi.Sigset) (abi.Siginfo, bool) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return t.take(set &^ unblockable)
}

// pendingSignals are those that are pending for the thread or its process.
func (t *Task) pendingSignals() abi.Sigset {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return t.sig.pending.set | t.proc.sig.pending.set
}

// signalQueue is where a signalfd hears of signals that may concern it.
func (p *Process) signalQueue() *vfs.Queue { return &p.sig.watchers }

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

// retell finds other threads for signals that t does not take. k.mu is held.
func (p *Process) retell(t *Task, set abi.Sigset) {
	for sig := first(set); sig != 0; sig = first(set) {
		set &^= abi.SigBit(sig)
		if c := p.choose(nil, sig); c != nil && c != t {
			c.notify()
		}
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
