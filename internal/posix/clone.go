package posix

import (
	"encoding/binary"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

var cloneCalls = calls{
	unix.SYS_CLONE:  {fn: sysClone, blocks: killable, restart: restartNoint},
	unix.SYS_CLONE3: {fn: sysClone3, blocks: killable, restart: restartNoint},
	unix.SYS_FORK: {fn: func(t *Task, a *Args) (uint64, error) {
		return t.clone(&cloneArgs{exitSignal: int(unix.SIGCHLD)})
	}, restart: restartNoint},
	unix.SYS_VFORK: {fn: func(t *Task, a *Args) (uint64, error) {
		return t.clone(&cloneArgs{flags: unix.CLONE_VM | unix.CLONE_VFORK, exitSignal: int(unix.SIGCHLD)})
	}, blocks: killable, restart: restartNoint},
}

// cloneArgs are clone3's arguments, whichever call they came by.
type cloneArgs struct {
	flags                      uint64
	pidFD, childTID, parentTID uint64
	exitSignal                 int
	stack, tls                 uint64
	setTID                     []int
}

const (
	cloneNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME
	cloneIgnored = unix.CLONE_PTRACE | unix.CLONE_UNTRACED | unix.CLONE_DETACHED | unix.CLONE_SYSVSEM | unix.CLONE_IO
	cloneKnown   = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_VFORK |
		unix.CLONE_PARENT | unix.CLONE_THREAD | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID |
		unix.CLONE_CHILD_CLEARTID | unix.CLONE_CHILD_SETTID | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND | cloneIgnored
)

func sysClone(t *Task, a *Args) (uint64, error) {
	c := &cloneArgs{
		flags: a[0] & 0xffffffff &^ 0xff, exitSignal: int(a[0] & 0xff),
		stack: a[1], parentTID: a[2], childTID: a[3], tls: a[4],
	}
	if c.flags&unix.CLONE_PIDFD != 0 {
		// The pidfd goes where the thread id would.
		if c.flags&(unix.CLONE_PARENT_SETTID|unix.CLONE_DETACHED) != 0 {
			return 0, syscall.EINVAL
		}
		c.pidFD = a[2]
	}
	return t.clone(c)
}

func sysClone3(t *Task, a *Args) (uint64, error) {
	const v0, v1, v2 = 64, 80, 88
	size := a[1]
	if size < v0 {
		return 0, syscall.EINVAL
	}
	if size > 4096 {
		return 0, syscall.E2BIG
	}
	b := make([]byte, max(size, v2))
	if err := t.copyIn(a[0], b[:size]); err != nil {
		return 0, err
	}
	for _, x := range b[v2:] {
		if x != 0 {
			return 0, syscall.E2BIG
		}
	}
	w := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	c := &cloneArgs{
		flags: w(0), pidFD: w(1), childTID: w(2), parentTID: w(3), exitSignal: int(w(4)), tls: w(7),
	}
	if w(4) > 64 || w(0)&0xff != 0 && w(0)&0xff != unix.CLONE_NEWTIME || w(0)&unix.CLONE_DETACHED != 0 {
		return 0, syscall.EINVAL
	}
	if c.flags&(unix.CLONE_THREAD|unix.CLONE_PARENT) != 0 && c.exitSignal != 0 {
		return 0, syscall.EINVAL
	}
	if stack, n := w(5), w(6); stack == 0 != (n == 0) {
		return 0, syscall.EINVAL
	} else if stack != 0 {
		c.stack = stack + n
	}
	if w(9) != 0 || w(10) != 0 { // set_tid and cgroup need privileges nobody has
		return 0, syscall.EPERM
	}
	return t.clone(c)
}

// clone makes a process or a thread.
func (t *Task) clone(c *cloneArgs) (uint64, error) {
	f := c.flags
	switch {
	case f&cloneNamespaces != 0:
		t.k.miss(t, "clone with a namespace flag")
		return 0, syscall.EINVAL
	case f&^uint64(cloneKnown) != 0,
		f&unix.CLONE_SIGHAND != 0 && f&unix.CLONE_VM == 0,
		f&unix.CLONE_THREAD != 0 && f&unix.CLONE_SIGHAND == 0,
		f&unix.CLONE_THREAD != 0 && f&unix.CLONE_PIDFD != 0,
		f&unix.CLONE_CLEAR_SIGHAND != 0 && f&unix.CLONE_SIGHAND != 0,
		f&unix.CLONE_PARENT != 0 && t.proc.parent == t.k.init && t.proc.pid == 1:
		return 0, syscall.EINVAL
	}
	if t.interrupted() != nil {
		return 0, abi.ERESTARTNOINTR
	}
	if err := t.mayClone(); err != nil {
		return 0, err
	}
	child := t.newTask(c)
	if err := t.k.enroll(child, t, c); err != nil {
		return 0, err
	}
	if err := t.cloneMemory(child, c); err != nil {
		t.k.unenroll(child)
		return 0, err
	}
	if err := t.cloneAnswer(child, c); err != nil {
		t.k.unenroll(child)
		child.mem.drop(child)
		return 0, err
	}
	child.fds, child.fs = t.fds, t.fs
	if f&unix.CLONE_FILES != 0 {
		child.fds.share()
	} else {
		child.fds = t.fds.fork()
	}
	t.shareGrants(child)
	if f&unix.CLONE_FS == 0 {
		child.fs = t.fs.fork()
	}
	tid := child.tid
	released := child.proc.vfork
	if err := t.k.launch(child, t); err != nil {
		return 0, err
	}
	if f&unix.CLONE_VFORK != 0 {
		t.awaitVfork(released)
	}
	return uint64(tid), nil
}

// newTask makes the task with what it inherits, but neither id nor memory.
func (t *Task) newTask(c *cloneArgs) *Task {
	child := &Task{k: t.k, wake: make(chan struct{}, 1), ctx: &taskContext{}}
	child.ctx.task = child
	child.creds.Store(t.creds.Load())
	child.name.Store(t.name.Load())
	child.sig = t.sig.fork(c.flags)
	child.sched, child.personality, child.timerSlack = t.sched.fork(), t.personality, t.timerSlack
	if c.flags&unix.CLONE_CHILD_CLEARTID != 0 {
		child.clearTID = c.childTID
	}
	return child
}

// cloneMemory gives the child its host thread, in a new process or in this one.
func (t *Task) cloneMemory(child *Task, c *cloneArgs) error {
	var th *machine.Thread
	var err error
	if c.flags&unix.CLONE_VM != 0 {
		th, err = t.thread.NewThread(c.tls, c.flags&unix.CLONE_SETTLS != 0)
		if err == nil {
			child.mem = t.mem.share()
		}
	} else {
		th, err = t.thread.Fork()
		if err == nil {
			child.rseq = t.rseq
			child.mem = t.mem.fork(th.Space())
			child.mem.inheritAttached(t.k, t.mem)
			child.mem.inheritStores(t.mem)
			if c.flags&unix.CLONE_SETTLS != 0 {
				th.Do1(unix.SYS_ARCH_PRCTL, archSetFS, c.tls)
			}
		}
	}
	if err != nil {
		if errnoOf(err) == syscall.ENOMEM {
			return syscall.ENOMEM
		}
		// Descriptors, too, are the server's to run out of.
		return syscall.EAGAIN
	}
	child.thread = th
	th.Regs = t.thread.Regs
	if c.stack != 0 {
		th.Regs.RSP = c.stack
	}
	th.SetDirty()
	th.SetReturn(0)
	return nil
}

const archSetFS = 0x1002

// cloneAnswer writes the ids where the caller wants them.
func (t *Task) cloneAnswer(child *Task, c *cloneArgs) error {
	if c.flags&unix.CLONE_PARENT_SETTID != 0 {
		if err := t.copyOutUint32(c.parentTID, uint32(child.tid)); err != nil {
			return err
		}
	}
	if c.flags&unix.CLONE_CHILD_SETTID != 0 {
		// As on Linux, a bad address is the child's own affair.
		_ = child.copyOutUint32(c.childTID, uint32(child.tid))
	}
	if c.flags&unix.CLONE_PIDFD != 0 {
		fd, err := t.installPidfd(child.proc, unix.O_CLOEXEC)
		if err != nil {
			return err
		}
		if err := t.copyOutUint32(c.pidFD, uint32(fd)); err != nil {
			t.closeFD(fd)
			return err
		}
	}
	return nil
}

// enroll gives the child its id and its process. It can be seen by others from
// launch on.
func (k *Kernel) enroll(child, t *Task, c *cloneArgs) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, err := k.newPID()
	if err != nil {
		return syscall.EAGAIN
	}
	child.tid = id
	if c.flags&unix.CLONE_THREAD != 0 {
		child.proc = t.proc
	} else {
		parent := t.proc
		if c.flags&unix.CLONE_PARENT != 0 {
			parent = t.proc.parent
		}
		child.proc = k.newProcess(child, parent, t.proc, c)
		child.proc.exit.creator = t
	}
	k.tasks[id] = child // keeps the id
	return nil
}

// unenroll undoes enroll.
func (k *Kernel) unenroll(child *Task) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tasks, child.tid)
}

// newProcess makes the process that leader leads, a copy of from where
// processes inherit. k.mu is held.
func (k *Kernel) newProcess(leader *Task, parent, from *Process, c *cloneArgs) *Process {
	p := &Process{
		k: k, pid: leader.tid, parent: parent, leader: leader,
		children: map[int]*Process{}, tasks: map[int]*Task{}, started: time.Now(),
	}
	p.inherit(from, c)
	p.host.exe.Store(from.host.exe.Load())
	p.host.oomScoreAdj.Store(from.host.oomScoreAdj.Load())
	if c.flags&unix.CLONE_VFORK != 0 {
		p.vfork = make(chan struct{})
	}
	return p
}

// launch makes the child known and lets it run; not when its process, or the
// box, is ending.
func (k *Kernel) launch(child, t *Task) error {
	k.mu.Lock()
	p := child.proc
	if k.closing || t.interruptedLocked() != nil {
		// As on Linux a signal comes before or after the child, not between.
		delete(k.tasks, child.tid)
		k.mu.Unlock()
		child.mem.drop(child)
		child.fds.drop()
		return abi.ERESTARTNOINTR
	}
	p.tasks[child.tid] = child
	if p.leader == child {
		k.processes[p.pid] = p
		p.parent.children[p.pid] = p
		p.enlist()
	}
	k.alive.Add(1)
	k.mu.Unlock()
	if k.config.Guarded {
		go child.actor.Run(child.run)
	} else {
		go child.run()
	}
	return nil
}

// awaitVfork waits until the child has let go of this task's memory. Only the
// task's own end makes it go on before.
func (t *Task) awaitVfork(released <-chan struct{}) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-released:
			t.wakeUp()
		case <-stop:
		}
	}()
	defer func() { close(stop); <-done }()
	for {
		select {
		case <-released:
			return
		default:
		}
		if t.sleepKillable() != nil {
			return
		}
	}
}
