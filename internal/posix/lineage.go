package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// newInit makes process 1. It has no tasks: it adopts and reaps.
func (k *Kernel) newInit() *Process {
	k.groups, k.sessions, k.queued = map[int]*group{}, map[int]int{}, map[uint32]int{}
	p := &Process{k: k, pid: 1, children: map[int]*Process{}, tasks: map[int]*Task{}}
	p.parent = p
	p.sig.handlers = &handlers{}
	p.limits = hostLimits()
	p.exit.done = make(chan struct{})
	p.newSession()
	k.processes[1] = p
	p.group.add(p)
	return p
}

// inherit gives a new process what it has from the one it is a copy of. k.mu
// is held.
func (p *Process) inherit(from *Process, c *cloneArgs) {
	p.sig.inherit(&from.sig, c.flags)
	p.limits = from.limits
	p.group = from.group
	p.undumpable = from.undumpable
	p.exit.done = make(chan struct{})
	p.exit.signal = syscall.Signal(c.exitSignal)
	if c.flags&unix.CLONE_PARENT != 0 {
		p.exit.signal = from.exit.signal
	}
	p.clocks.borrowed = c.flags&unix.CLONE_VM != 0
	p.k.serial++
	p.exit.serial = p.k.serial
}

// enlist makes a new process, already in the tables, one of its group. k.mu is
// held.
func (p *Process) enlist() {
	p.group.add(p)
	p.watchCPULimit()
}

// execLocked resets what ends with a program, apart from signals. k.mu is held.
func (p *Process) execLocked() {
	p.exit.signal = unix.SIGCHLD
	p.clocks.borrowed, p.undumpable = false, false
	p.limitProgram()
	p.dropTimers()
}

// adoptFrom gives the children that the ended thread t has made to another
// thread of the process, if there is one. k.mu is held.
func (p *Process) adoptFrom(t *Task) {
	t.untrace()
	var heir *Task
	for _, o := range p.tasks {
		if heir == nil || o.tid < heir.tid {
			heir = o
		}
	}
	for _, c := range p.children {
		if c.exit.creator == t {
			c.exit.creator = heir
			c.tellOfDeath()
		}
	}
}

// tellOfDeath sends the signals that the process's threads asked for with
// PR_SET_PDEATHSIG. k.mu is held.
func (p *Process) tellOfDeath() {
	for _, t := range p.tasks {
		if sig := t.exit.deathSignal; sig != 0 {
			_ = p.send(nil, queuedSignal{info: abi.KillInfo(sig, abi.SI_USER, 0, 0)})
		}
	}
}

// abandonChildren gives the children of a process that has ended to another
// one. k.mu is held.
func (p *Process) abandonChildren() {
	p.freeTracees()
	if len(p.children) == 0 {
		return
	}
	heir := p.parent
	for heir != p.k.init && (!heir.exit.subreaper || heir.exit.exiting || heir.exit.zombie) {
		heir = heir.parent
	}
	children := p.children
	p.children = map[int]*Process{}
	for pid, c := range children {
		c.parent = heir
		heir.children[pid] = c
		c.exit.signal = unix.SIGCHLD
		if c.exit.zombie {
			c.tellEnd()
		}
	}
	for _, c := range children {
		c.checkOrphaned(p, false)
	}
}

// childInfo is a SIGCHLD about the process. k.mu is held.
func (p *Process) childInfo(code, status int32) abi.Siginfo {
	c := &p.clocks
	return abi.ChildInfo(code, int32(p.pid), p.uid(), status, ticks(c.user), ticks(c.system))
}

// uid is the real user of the process.
func (p *Process) uid() uint32 {
	if p.leader == nil {
		return 0
	}
	if c := p.leader.creds.Load(); c != nil {
		return c.UID
	}
	return 0
}
