package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// waitFor says which children, and which of their changes, are waited for.
type waitFor struct {
	kind    int // P_ALL, P_PID, P_PGID
	id      int
	options int // waitid's
}

// waitResult is a change of a child.
type waitResult struct {
	pid    int
	uid    uint32
	code   int32 // CLD_
	status int32 // siginfo's
	wait   int32 // wait4's
	usage  abi.Rusage
}

const waitChoice = unix.WNOHANG | unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED | unix.WNOWAIT | unix.WALL | unix.WCLONE | unix.WNOTHREAD

func sysWait4(t *Task, a *Args) (uint64, error) {
	pid, options := a.Int(0), int(a.Uint(2))
	if options&^(unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED|unix.WALL|unix.WCLONE|unix.WNOTHREAD) != 0 {
		return 0, syscall.EINVAL
	}
	w := waitFor{kind: unix.P_ALL, options: options | unix.WEXITED}
	switch {
	case pid == -1<<31:
		return 0, syscall.ESRCH
	case pid < -1:
		w.kind, w.id = unix.P_PGID, -pid
	case pid == 0:
		w.kind, w.id = unix.P_PGID, t.pgrp()
	case pid > 0:
		w.kind, w.id = unix.P_PID, pid
	}
	r, err := t.wait(w)
	if err != nil || r.pid == 0 {
		return 0, err
	}
	if a[1] != 0 {
		if err := t.copyOutUint32(a[1], uint32(r.wait)); err != nil {
			return 0, err
		}
	}
	return uint64(r.pid), t.copyOutRusage(a[3], &r.usage)
}

func sysWaitid(t *Task, a *Args) (uint64, error) {
	w := waitFor{kind: a.Int(0), id: a.Int(1), options: int(a.Uint(3))}
	if w.options&^waitChoice != 0 || w.options&(unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED) == 0 {
		return 0, syscall.EINVAL
	}
	var nonblock bool
	switch w.kind {
	case unix.P_ALL:
	case unix.P_PID:
		if w.id <= 0 {
			return 0, syscall.EINVAL
		}
	case unix.P_PGID:
		if w.id < 0 {
			return 0, syscall.EINVAL
		}
		if w.id == 0 {
			w.id = t.pgrp()
		}
	case unix.P_PIDFD:
		if w.id < 0 {
			return 0, syscall.EINVAL
		}
		p, nb, err := t.pidfd(w.id)
		if err != nil {
			return 0, err
		}
		w.kind, w.id, nonblock = unix.P_PID, p.pid, nb
	default:
		return 0, syscall.EINVAL
	}
	if nonblock {
		w.options |= unix.WNOHANG
	}
	r, err := t.wait(w)
	if err != nil {
		return 0, err
	}
	if nonblock && r.pid == 0 && a.Uint(3)&unix.WNOHANG == 0 {
		return 0, syscall.EAGAIN
	}
	if a[2] != 0 {
		// Linux writes these fields alone, as zeros when there was no change.
		var b [28]byte
		le := binary.LittleEndian
		if r.pid != 0 {
			le.PutUint32(b[0:], uint32(unix.SIGCHLD))
			le.PutUint32(b[8:], uint32(r.code))
			le.PutUint32(b[16:], uint32(r.pid))
			le.PutUint32(b[20:], r.uid)
			le.PutUint32(b[24:], uint32(r.status))
		}
		if err := t.copyOut(a[2], b[:12]); err != nil {
			return 0, err
		}
		if err := t.copyOut(a[2]+16, b[16:]); err != nil {
			return 0, err
		}
	}
	if r.pid == 0 {
		return 0, nil
	}
	return 0, t.copyOutRusage(a[4], &r.usage)
}

// wait returns a change of a child; with WNOHANG an empty one when there is
// none.
func (t *Task) wait(w waitFor) (waitResult, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	defer func() { t.exit.waits = false }()
	for {
		r, any := t.look(w)
		switch {
		case r.pid != 0:
			return r, nil
		case !any:
			return r, syscall.ECHILD
		case w.options&unix.WNOHANG != 0:
			return r, nil
		}
		t.exit.waits = true
		t.k.mu.Unlock()
		err := t.sleep(noDeadline)
		t.k.mu.Lock()
		if err != nil {
			// What came together with the signal goes before it.
			r, any := t.look(w)
			switch {
			case r.pid != 0:
				err = nil
			case !any:
				err = syscall.ECHILD
			}
			return r, err
		}
	}
}

// wakeWaiters makes who waits for children look again. k.mu is held.
func (p *Process) wakeWaiters() {
	for _, t := range p.tasks {
		if t.exit.waits {
			t.wakeUp()
		}
	}
}

// look looks once; any reports whether there is a child to wait for. Of several
// changes the oldest child's comes first. k.mu is held.
func (t *Task) look(w waitFor) (waitResult, bool) {
	r, any := t.proc.lookTraced(w)
	if r.pid != 0 {
		return r, true
	}
	var best *Process
	if w.kind == unix.P_PID {
		if c := t.proc.children[w.id]; c != nil && t.eligible(c, w) {
			any = true
			if c.changed(w.options) {
				best = c
			}
		}
	} else {
		for _, c := range t.proc.children {
			if !t.eligible(c, w) {
				continue
			}
			any = true
			if c.changed(w.options) && (best == nil || c.exit.serial < best.exit.serial) {
				best = c
			}
		}
	}
	if best == nil {
		return waitResult{}, any
	}
	return best.report(w.options), true
}

// eligible reports whether c is one of those waited for.
func (t *Task) eligible(c *Process, w waitFor) bool {
	if w.kind == unix.P_PGID && c.group.id != w.id {
		return false
	}
	if w.options&unix.WNOTHREAD != 0 && c.exit.creator != t {
		return false
	}
	// A child that does not announce its end by SIGCHLD is a "clone" child.
	return w.options&unix.WALL != 0 || (c.exit.signal != unix.SIGCHLD) == (w.options&unix.WCLONE != 0)
}

func (p *Process) changed(options int) bool {
	switch {
	case p.exit.zombie:
		return options&unix.WEXITED != 0
	case p.sig.stopNews && options&unix.WSTOPPED != 0:
		return true
	}
	return p.sig.contNews && options&unix.WCONTINUED != 0
}

// report takes note of a change, which is not reported again without WNOWAIT.
func (p *Process) report(options int) waitResult {
	r := waitResult{pid: p.pid, uid: p.uid()}
	keep := options&unix.WNOWAIT != 0
	switch {
	case p.exit.zombie:
		r.wait = p.exit.status
		r.code, r.status = p.exitCode()
		r.usage = p.usage()
		if !keep {
			// What nobody waits for counts for nobody.
			p.parent.clocks.charge(&p.clocks)
			p.reap()
		}
		return r
	case p.sig.stopNews && options&unix.WSTOPPED != 0:
		sig := int32(p.sig.stopSig)
		r.code, r.status, r.wait = abi.CLD_STOPPED, sig, sig<<8|0x7f
		p.sig.stopNews = keep
	default:
		r.code, r.status, r.wait = abi.CLD_CONTINUED, int32(unix.SIGCONT), 0xffff
		p.sig.contNews = keep
	}
	r.usage = p.usage()
	return r
}

func (t *Task) copyOutRusage(addr uint64, r *abi.Rusage) error {
	if addr == 0 {
		return nil
	}
	var b [abi.SizeRusage]byte
	r.Encode(b[:])
	return t.copyOut(addr, b[:])
}
