package posix

import (
	"context"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Terminals is what terminals need of the processes (tty.Job). It is made
// before the Kernel, which finds it in its Config.
type Terminals struct{ kernel atomic.Pointer[Kernel] }

// Signal sends a signal to a process group.
func (j *Terminals) Signal(pgrp int, sig syscall.Signal) {
	if k := j.kernel.Load(); k != nil {
		k.SignalGroup(pgrp, sig)
	}
}

// Hangup tells a session that its terminal is gone.
func (j *Terminals) Hangup(line vfs.Line, sid, _ int) {
	k := j.kernel.Load()
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.processes[sid]
	if p == nil || p.group == nil {
		return
	}
	s := p.group.session
	if s.tty != line || s.leader == nil {
		return
	}
	s.tty = nil
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGCONT} {
		s.leader.send(nil, queuedSignal{info: abi.KillInfo(sig, abi.SI_KERNEL, 0, 0)})
	}
}

// Privileged reports whether the caller is the superuser.
func (j *Terminals) Privileged(ctx context.Context) bool {
	t := callerOf(ctx)
	return t != nil && t.capable(unix.CAP_SYS_ADMIN)
}

// Owner returns the caller's user, whose the terminals are that it makes.
func (j *Terminals) Owner(ctx context.Context) uint32 {
	if t := callerOf(ctx); t != nil {
		return t.creds.Load().FSUID
	}
	return 0
}
