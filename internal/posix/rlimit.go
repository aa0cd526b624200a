package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
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

// initialLimits are the host's, as hati itself runs under them.
func initialLimits() (l limitTable) {
	for i := range l {
		l[i] = abi.Rlimit{Cur: unlimited, Max: unlimited}
		var h unix.Rlimit
		if unix.Getrlimit(i, &h) == nil {
			l[i] = abi.Rlimit{Cur: h.Cur, Max: h.Max}
		}
	}
	// What the Go runtime has raised for itself is not the user's wish.
	if n := &l[unix.RLIMIT_NOFILE]; n.Cur > 1024 {
		n.Cur = min(1024, n.Max)
	}
	return l
}

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
	if res == unix.RLIMIT_CPU {
		p.watchCPULimit()
	}
	return old, nil
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
