package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// group is a process group. Kernel.mu guards it. It is in Kernel.groups as long
// as it has members.
type group struct {
	id      int
	session *session
	members map[int]*Process
}

// session is a session. Kernel.mu guards it.
type session struct {
	id     int
	leader *Process // nil when it has ended
	tty    vfs.Line // the controlling terminal, or nil
}

var jobCalls = calls{
	unix.SYS_SETPGID: {fn: sysSetpgid},
	unix.SYS_GETPGID: {fn: sysGetpgid},
	unix.SYS_GETPGRP: {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.pgrp()), nil }},
	unix.SYS_SETSID:  {fn: sysSetsid},
	unix.SYS_GETSID:  {fn: sysGetsid},
}

// newSession gives a process a session and a group of its own. k.mu is held.
func (p *Process) newSession() {
	s := &session{id: p.pid, leader: p}
	p.group = &group{id: p.pid, session: s, members: map[int]*Process{}}
}

func (g *group) add(p *Process) {
	g.members[p.pid] = p
	if k := p.k; k.groups[g.id] == nil {
		k.groups[g.id] = g
		k.sessions[g.session.id]++
	}
}

func (g *group) remove(p *Process) {
	delete(g.members, p.pid)
	k := p.k
	if len(g.members) != 0 || k.groups[g.id] != g {
		return
	}
	delete(k.groups, g.id)
	if k.sessions[g.session.id]--; k.sessions[g.session.id] == 0 {
		delete(k.sessions, g.session.id)
	}
}

// groupInUse reports whether a process group or a session has the id. k.mu is
// held.
func (k *Kernel) groupInUse(id int) bool { return k.groups[id] != nil || k.sessions[id] != 0 }

// orphanedWithout reports whether the group has no member whose parent is in
// another group of the same session: nobody would continue it. except does not
// count as a member.
func (g *group) orphanedWithout(except *Process) bool {
	for _, p := range g.members {
		if p == except || p.exit.zombie || p.parent == p.k.init {
			continue
		}
		if o := p.parent.group; o != g && o.session == g.session {
			return false
		}
	}
	return true
}

func (g *group) orphaned() bool { return g.orphanedWithout(nil) }

// checkOrphaned is called when parent, which may have been what kept the
// process's group from being orphaned, has ended; or with ended set, when the
// process itself has. Stopped members are then told and continued. k.mu is
// held.
func (p *Process) checkOrphaned(parent *Process, ended bool) {
	g := p.group
	var except *Process
	if ended {
		except = p
	}
	if parent == p.k.init || parent.group == g || parent.group.session != g.session || !g.orphanedWithout(except) {
		return
	}
	for _, m := range g.members {
		if m.sig.stopped && !m.exit.exiting {
			g.signal(queuedSignal{info: abi.KillInfo(unix.SIGHUP, abi.SI_KERNEL, 0, 0)})
			g.signal(queuedSignal{info: abi.KillInfo(unix.SIGCONT, abi.SI_KERNEL, 0, 0)})
			return
		}
	}
}

// signal sends a signal to all members. k.mu is held.
func (g *group) signal(s queuedSignal) {
	for _, p := range g.members {
		_ = p.send(nil, s)
	}
}

// leaveSession is called when a process ends: a session's leader takes the
// controlling terminal along. k.mu is held.
func (p *Process) leaveSession() {
	s := p.group.session
	if s.leader != p {
		return
	}
	s.leader = nil
	s.loseTerminal(p.k, false)
}

// dropTerminal is what TIOCNOTTY does for a session's leader. k.mu is held.
func (s *session) dropTerminal(k *Kernel) { s.loseTerminal(k, true) }

// loseTerminal takes the terminal away from the session and tells the
// foreground group; with goOn it continues it, too. k.mu is held.
func (s *session) loseTerminal(k *Kernel, goOn bool) {
	line := s.tty
	if line == nil {
		return
	}
	s.tty = nil
	if g := k.groups[line.Foreground()]; g != nil && g.session == s {
		g.signal(queuedSignal{info: abi.KillInfo(unix.SIGHUP, abi.SI_KERNEL, 0, 0)})
		if goOn {
			g.signal(queuedSignal{info: abi.KillInfo(unix.SIGCONT, abi.SI_KERNEL, 0, 0)})
		}
	}
	line.SetSession(0)
	line.SetForeground(0)
}

// SignalGroup sends a signal to a process group, as a terminal does (SIGINT,
// SIGHUP, SIGWINCH). It reports whether there is such a group. Anyone may call
// it, with no lock that a Waiter may take.
func (k *Kernel) SignalGroup(id int, sig syscall.Signal) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.groups[id]
	if g == nil {
		return false
	}
	g.signal(queuedSignal{info: abi.KillInfo(sig, abi.SI_KERNEL, 0, 0)})
	return true
}

// pgrp returns the id of the task's process group.
func (t *Task) pgrp() int {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return t.proc.group.id
}

// process returns the process pid, for 0 the task's own, or nil. k.mu is held.
func (t *Task) process(pid int) *Process {
	if pid == 0 {
		return t.proc
	}
	return t.k.processes[pid]
}

func sysSetpgid(t *Task, a *Args) (uint64, error) {
	pid, pgid := a.Int(0), a.Int(1)
	if pid == 0 {
		pid = t.proc.pid
	}
	if pgid == 0 {
		pgid = pid
	}
	if pgid < 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	p := t.k.processes[pid]
	switch {
	case p == nil, p != t.proc && p.parent != t.proc:
		return 0, syscall.ESRCH
	case p != t.proc && p.group.session != t.proc.group.session:
		return 0, syscall.EPERM
	case p != t.proc && p.execed:
		return 0, syscall.EACCES
	case p.group.session.leader == p:
		return 0, syscall.EPERM
	case p.group.id == pgid:
		return 0, nil
	}
	g := &group{id: pgid, session: p.group.session, members: map[int]*Process{}}
	if pgid != pid {
		g = t.k.groups[pgid]
		if g == nil || g.session != p.group.session {
			return 0, syscall.EPERM
		}
	} else if o := t.k.groups[pgid]; o != nil {
		g = o // it led the group before and left it
	}
	p.group.remove(p)
	p.group = g
	g.add(p)
	return 0, nil
}

func sysGetpgid(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	p := t.process(a.Int(0))
	if p == nil {
		return 0, syscall.ESRCH
	}
	return uint64(p.group.id), nil
}

func sysSetsid(t *Task, _ *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	p := t.proc
	if p.group.session.leader == p || t.k.groups[p.pid] != nil {
		return 0, syscall.EPERM
	}
	p.group.remove(p)
	p.newSession()
	p.group.add(p)
	return uint64(p.pid), nil
}

func sysGetsid(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	p := t.process(a.Int(0))
	if p == nil {
		return 0, syscall.ESRCH
	}
	return uint64(p.group.session.id), nil
}
