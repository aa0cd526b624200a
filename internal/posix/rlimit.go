package posix

import (
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/early"
	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

const (
	numLimits = 16
	unlimited = ^uint64(0)

	rlimitSigpending = 11
	rlimitMsgqueue   = 12
	rlimitNice       = 13
	rlimitRtprio     = 14
)

// limitTable is a process's resource limits. Kernel.mu guards it.
type limitTable [numLimits]abi.Rlimit

var limitCalls = calls{
	unix.SYS_GETRLIMIT: {fn: sysGetrlimit},
	unix.SYS_SETRLIMIT: {fn: sysSetrlimit},
	unix.SYS_PRLIMIT64: {fn: sysPrlimit},
}

// hostLimits are the host's, as hati itself runs under them.
var hostLimits = sync.OnceValue(func() (l limitTable) {
	for i := range l {
		l[i] = abi.Rlimit{Cur: unlimited, Max: unlimited}
		var h unix.Rlimit
		if unix.Getrlimit(i, &h) == nil {
			l[i] = abi.Rlimit{Cur: h.Cur, Max: h.Max}
		}
	}
	// What the Go runtime has raised for itself is not the user's wish.
	n := &l[unix.RLIMIT_NOFILE]
	n.Cur = min(early.OpenFiles.Cur, n.Max)
	return l
})

// limit returns the process's soft limit of a resource. Anyone may call it
// without Kernel.mu.
func (p *Process) limit(res int) uint64 {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	return p.limits[res].Cur
}

// get returns the soft and the hard limit. It takes k.mu.
func (l *limitTable) get(k *Kernel, res int) (soft, hard uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return l[res].Cur, l[res].Max
}

func sysGetrlimit(t *Task, a *Args) (uint64, error) {
	res := a.Int(0)
	if res < 0 || res >= numLimits {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	l := t.proc.limits[res]
	t.k.mu.Unlock()
	var b [abi.SizeRlimit]byte
	l.Encode(b[:])
	return 0, t.copyOut(a[1], b[:])
}

func sysSetrlimit(t *Task, a *Args) (uint64, error) {
	var b [abi.SizeRlimit]byte
	if err := t.copyIn(a[1], b[:]); err != nil {
		return 0, err
	}
	var l abi.Rlimit
	l.Decode(b[:])
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	_, err := t.setLimit(t.proc, a.Int(0), &l)
	return 0, err
}

func sysPrlimit(t *Task, a *Args) (uint64, error) {
	var b [abi.SizeRlimit]byte
	var l *abi.Rlimit
	if a[2] != 0 {
		if err := t.copyIn(a[2], b[:]); err != nil {
			return 0, err
		}
		l = &abi.Rlimit{}
		l.Decode(b[:])
	}
	t.k.mu.Lock()
	p := t.process(a.Int(0))
	if p == nil || p.exit.zombie {
		t.k.mu.Unlock()
		return 0, syscall.ESRCH
	}
	if p != t.proc && !t.sameUser(p) {
		t.k.mu.Unlock()
		return 0, syscall.EPERM
	}
	old, err := t.setLimit(p, a.Int(1), l)
	t.k.mu.Unlock()
	if err != nil || a[3] == 0 {
		return 0, err
	}
	old.Encode(b[:])
	return 0, t.copyOut(a[3], b[:])
}

// setLimit changes a limit, unless l is nil, and returns the old one. k.mu is
// held.
func (t *Task) setLimit(p *Process, res int, l *abi.Rlimit) (abi.Rlimit, error) {
	if res < 0 || res >= numLimits {
		return abi.Rlimit{}, syscall.EINVAL
	}
	old := p.limits[res]
	if l == nil {
		return old, nil
	}
	if l.Cur > l.Max {
		return old, syscall.EINVAL
	}
	if l.Max > old.Max && !t.capable(unix.CAP_SYS_RESOURCE) {
		return old, syscall.EPERM
	}
	if res == unix.RLIMIT_NOFILE && l.Max > maxOpenFiles {
		return old, syscall.EPERM
	}
	p.limits[res] = *l
	switch res {
	case unix.RLIMIT_FSIZE:
		if l.Cur != unlimited {
			p.k.revokeGrants()
		}
	case unix.RLIMIT_CPU:
		p.watchCPULimit()
	case unix.RLIMIT_AS, unix.RLIMIT_DATA, unix.RLIMIT_MEMLOCK:
		p.limitHost(res)
	}
	return old, nil
}

// limitHost makes the host apply a limit on memory, which guests map and lock
// without asking the server. The child of a vfork uses its parent's memory until
// it executes a program. k.mu is held.
func (p *Process) limitHost(res int) {
	t := p.anyTask()
	if t == nil || p.clocks.borrowed {
		return
	}
	var host unix.Rlimit
	pid := t.thread.Space().PID()
	if pid == 0 || unix.Getrlimit(res, &host) != nil {
		return
	}
	cur := p.limits[res].Cur
	// What is hati's own in there, and the stack, which does not grow.
	if own := uint64(machine.OwnSize) + t.mem.stackEnd - t.mem.stackStart; res != unix.RLIMIT_MEMLOCK && cur < unlimited-own {
		cur += own
	}
	host.Cur = min(cur, host.Max)
	if res == unix.RLIMIT_MEMLOCK {
		host.Cur = min(cur, host.Cur)
	}
	if err := unix.Prlimit(pid, res, &host, nil); err != nil {
		p.k.logf("process %d: limit %d is not applied: %v", p.pid, res, err)
	}
}

// limitProgram is limitHost for a new program. k.mu is held.
func (p *Process) limitProgram() {
	start := hostLimits()
	for _, res := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA, unix.RLIMIT_MEMLOCK} {
		if p.limits[res].Cur != start[res].Cur {
			p.limitHost(res)
		}
	}
}

// maxOpenFiles is what /proc/sys/fs/nr_open says.
const maxOpenFiles = 1 << 20

// mayClone checks RLIMIT_NPROC: EAGAIN when the user has as many threads as it
// may.
func (t *Task) mayClone() error {
	c := t.creds.Load()
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	limit := t.proc.limits[unix.RLIMIT_NPROC].Cur
	if uint64(len(t.k.tasks)) < limit || c.UID == 0 || c.capable(unix.CAP_SYS_RESOURCE) || c.capable(unix.CAP_SYS_ADMIN) {
		return nil
	}
	n := uint64(0)
	for _, o := range t.k.tasks {
		if o.creds.Load().UID == c.UID {
			n++
		}
	}
	if n < limit {
		return nil
	}
	return syscall.EAGAIN
}
