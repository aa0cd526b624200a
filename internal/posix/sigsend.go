package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
)

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
	p.tell(t, s.near, sig)
	return nil
}

// tell wakes a thread that takes sig, or ends the process if that is what sig
// does. k.mu is held.
func (p *Process) tell(t, near *Task, sig syscall.Signal) {
	if t = p.choose(t, near, sig); t == nil {
		return
	}
	if p.sig.handlers.kills(sig) && !t.sig.awaited.Has(sig) {
		p.exitGroup(int32(sig))
		return
	}
	t.notify()
}

// choose returns the thread that takes sig: t, or when t is nil the near one,
// the first thread or any other one that does not block it. k.mu is held.
func (p *Process) choose(t, near *Task, sig syscall.Signal) *Task {
	wants := func(t *Task) bool {
		return !t.exit.dying.Load() && (!t.sig.mask.Has(sig) && !t.sig.stopped || sig == syscall.SIGKILL)
	}
	if t != nil {
		if wants(t) {
			return t
		}
		return nil
	}
	if near != nil && wants(near) {
		return near
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

// retell finds other threads for signals that t does not take. k.mu is held.
func (p *Process) retell(t *Task, set abi.Sigset) {
	for sig := first(set); sig != 0; sig = first(set) {
		set &^= abi.SigBit(sig)
		if c := p.choose(nil, nil, sig); c != nil && c != t {
			c.notify()
		}
	}
}
