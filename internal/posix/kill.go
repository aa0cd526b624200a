package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// userInfo is what a receiver learns of the sender.
func (t *Task) userInfo(n int, code int32) abi.Siginfo {
	return abi.KillInfo(syscall.Signal(n), code, int32(t.proc.pid), t.creds.Load().UID)
}

// sendTo sends a signal to a process, or with to to that thread, if the task
// may; the signal 0 only asks. k.mu is held.
func (t *Task) sendTo(p *Process, to *Task, info abi.Siginfo) error {
	n := int(info.Signo)
	if n < 0 || n > abi.NumSignals {
		return syscall.EINVAL
	}
	// What the kernel itself may say needs no permission of the sender.
	if !t.mayKill(p, n) {
		return syscall.EPERM
	}
	if n == 0 {
		return nil
	}
	return p.send(to, queuedSignal{info: info})
}

func sysKill(t *Task, a *Args) (uint64, error) {
	pid := a.Int(0)
	info := t.userInfo(a.Int(1), abi.SI_USER)
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return 0, t.kill(pid, info)
}

// kill is kill(2) for all forms of pid. k.mu is held.
func (t *Task) kill(pid int, info abi.Siginfo) error {
	switch {
	case pid > 0:
		p := t.k.processes[pid]
		if p == nil {
			// A thread's id names its process, as on Linux.
			if o := t.k.tasks[pid]; o != nil && o.proc.tasks[pid] == o {
				p = o.proc
			}
		}
		if p == nil {
			return syscall.ESRCH
		}
		return t.sendTo(p, nil, info)
	case pid == -1<<31:
		return syscall.ESRCH
	case pid == -1:
		found, last := false, error(nil)
		for _, p := range t.k.processes {
			if p == t.k.init || p == t.proc {
				continue
			}
			found = true
			if err := t.sendTo(p, nil, info); err != syscall.EPERM {
				last = err
			}
		}
		if !found {
			return syscall.ESRCH
		}
		return last
	}
	g := t.proc.group
	if pid != 0 {
		g = t.k.groups[-pid]
	}
	if g == nil {
		return syscall.ESRCH
	}
	last, ok := error(syscall.ESRCH), false
	for _, p := range g.members {
		if err := t.sendTo(p, nil, info); err != nil {
			last = err
		} else {
			ok = true
		}
	}
	if ok {
		return nil
	}
	return last
}

func sysTkill(t *Task, a *Args) (uint64, error) {
	if a.Int(0) <= 0 {
		return 0, syscall.EINVAL
	}
	return t.tgkill(0, a.Int(0), t.userInfo(a.Int(1), abi.SI_TKILL))
}

func sysTgkill(t *Task, a *Args) (uint64, error) {
	if a.Int(0) <= 0 || a.Int(1) <= 0 {
		return 0, syscall.EINVAL
	}
	return t.tgkill(a.Int(0), a.Int(1), t.userInfo(a.Int(2), abi.SI_TKILL))
}

// tgkill sends a signal to the thread tid, which must be of process tgid unless
// that is 0.
func (t *Task) tgkill(tgid, tid int, info abi.Siginfo) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o := t.k.tasks[tid]
	if o == nil || o.proc.tasks[tid] != o {
		// A zombie still has its first thread.
		p := t.k.processes[tid]
		if p == nil || p.leader == nil || tgid != 0 && tgid != tid {
			return 0, syscall.ESRCH
		}
		o = p.leader
	}
	if tgid != 0 && o.proc.pid != tgid {
		return 0, syscall.ESRCH
	}
	if o.dying() {
		if !validSignal(int(info.Signo)) && info.Signo != 0 {
			return 0, syscall.EINVAL
		}
		if !t.mayKill(o.proc, int(info.Signo)) {
			return 0, syscall.EPERM
		}
		return 0, nil
	}
	return 0, t.sendTo(o.proc, o, info)
}

func (t *Task) copyInSiginfo(addr uint64, sig int) (abi.Siginfo, error) {
	var b [abi.SizeSiginfo]byte
	var info abi.Siginfo
	if err := t.copyIn(addr, b[:]); err != nil {
		return info, err
	}
	info.Decode(b[:])
	info.Signo = int32(sig)
	return info, nil
}

func sysSigqueueinfo(t *Task, a *Args) (uint64, error) {
	info, err := t.copyInSiginfo(a[2], a.Int(1))
	if err != nil {
		return 0, err
	}
	pid := a.Int(0)
	// Nobody but the kernel and kill(2) may say what these codes say.
	if (info.Code >= 0 || info.Code == abi.SI_TKILL) && pid != t.proc.pid {
		return 0, syscall.EPERM
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	if pid <= 0 {
		return 0, syscall.ESRCH
	}
	return 0, t.kill(pid, info)
}

func sysTgsigqueueinfo(t *Task, a *Args) (uint64, error) {
	info, err := t.copyInSiginfo(a[3], a.Int(2))
	if err != nil {
		return 0, err
	}
	tgid, tid := a.Int(0), a.Int(1)
	if tgid <= 0 || tid <= 0 {
		return 0, syscall.EINVAL
	}
	if (info.Code >= 0 || info.Code == abi.SI_TKILL) && tid != t.tid {
		return 0, syscall.EPERM
	}
	return t.tgkill(tgid, tid, info)
}
