package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// stop makes all threads of the process stop. k.mu is held.
func (p *Process) stop(sig syscall.Signal) {
	if p.sig.stopSig != 0 || p.exit.exiting {
		return
	}
	p.sig.stopSig = sig
	for _, t := range p.tasks {
		if !t.dying() {
			t.notify()
		}
	}
	p.checkStopped()
}

// checkStopped tells the parent when the last thread has stopped. k.mu is held.
func (p *Process) checkStopped() {
	if p.sig.stopSig == 0 || p.sig.stopped || len(p.tasks) == 0 {
		return
	}
	for _, t := range p.tasks {
		if !t.sig.stopped && !t.exit.dying.Load() {
			return
		}
	}
	p.sig.stopped, p.sig.stopNews, p.sig.contNews = true, true, false
	p.tellParent(abi.CLD_STOPPED, int32(p.sig.stopSig))
}

// stopHere waits until the process goes on or ends. It releases k.mu meanwhile.
func (t *Task) stopHere() {
	p := t.proc
	t.sig.stopped = true
	p.checkStopped()
	for p.sig.stopSig != 0 && !t.exit.dying.Load() {
		t.k.mu.Unlock()
		<-t.wake
		t.k.mu.Lock()
	}
	t.sig.stopped = false
}

// resume is what SIGCONT does at once, even when it is blocked or ignored.
// k.mu is held.
func (p *Process) resume() {
	if p.sig.stopSig == 0 {
		return
	}
	sig := p.sig.stopSig
	p.sig.stopSig = 0
	if p.sig.stopped {
		p.sig.stopped, p.sig.stopNews, p.sig.contNews = false, false, true
		p.tellParent(abi.CLD_CONTINUED, int32(unix.SIGCONT))
	} else {
		p.tellParent(abi.CLD_STOPPED, int32(sig))
	}
	for _, t := range p.tasks {
		t.wakeUp()
	}
}

// tellParent sends a SIGCHLD about a stop or its end, and wakes who waits.
// k.mu is held.
func (p *Process) tellParent(code, status int32) {
	parent := p.parent
	if parent == p.k.init {
		return
	}
	if a := parent.sig.handlers.of(unix.SIGCHLD); a.Handler != abi.SIG_IGN && a.Flags&abi.SA_NOCLDSTOP == 0 {
		_ = parent.send(nil, queuedSignal{info: p.childInfo(code, status)})
	}
	parent.wakeWaiters()
}
