package posix

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var exitCalls = calls{
	unix.SYS_EXIT:       {fn: sysExit},
	unix.SYS_EXIT_GROUP: {fn: sysExitGroup},
	unix.SYS_WAIT4:      {fn: sysWait4, blocks: interruptible},
	unix.SYS_WAITID:     {fn: sysWaitid, blocks: interruptible},
}

// exitState is what concerns a process's end. Kernel.mu guards it.
type exitState struct {
	exiting bool           // the whole process ends, with status
	zombie  bool           // no thread runs any more
	status  int32          // as wait4 gives it
	signal  syscall.Signal // what the parent gets
	serial  uint64         // processes made later have larger ones
	ending  int            // threads that have begun to end
	overdue *time.Timer    // see endHost

	execing   *Task // waits in killSiblings
	subreaper bool
	creator   *Task // the parent's thread that made the process

	done chan struct{} // closed at the end
	ends vfs.Queue     // hears of the end: pidfd
}

// taskExit is what concerns a thread's end.
type taskExit struct {
	dying  atomic.Bool // set under k.mu: the thread is to end
	left   atomic.Bool // it uses its memory no more
	status int32       // exit's argument
	waits  bool        // k.mu: it is in wait4 or waitid

	deathSignal syscall.Signal // PR_SET_PDEATHSIG
}

// dying reports whether the task is to end: exit_group, a fatal signal, another
// thread's exec.
func (t *Task) dying() bool { return t.exit.dying.Load() }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.exit.done }

// Wait waits for the process's end and returns how it ended. Anyone may call
// it, also when the parent in the box has waited for the process, too.
func (p *Process) Wait(ctx context.Context) (syscall.WaitStatus, error) {
	select {
	case <-p.exit.done:
		return syscall.WaitStatus(p.exit.status), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func sysExit(t *Task, a *Args) (uint64, error) {
	t.exit.status = int32(a[0]&0xff) << 8
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	t.die()
	return 0, nil
}

func sysExitGroup(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	t.proc.exitGroup(int32(a[0]&0xff) << 8)
	return 0, nil
}

// exitGroup ends all threads. The first to ask chooses the status. k.mu is
// held.
func (p *Process) exitGroup(status int32) {
	if p.exit.exiting || p.exit.zombie {
		return
	}
	p.exit.exiting, p.exit.status = true, status
	for _, t := range p.tasks {
		t.die()
	}
	p.exit.overdue = time.AfterFunc(endGrace, p.endHost)
}

// endGrace is how long the threads of a process that ends may go on in the guest.
const endGrace = time.Second

// endHost ends the host process of one whose threads do not stop to end: a hostile
// guest can mask the kick, and a host call, or a fault of a page, may not return.
// One that is others' as well (vfork) goes on until they are to end, too.
func (p *Process) endHost() {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	for _, t := range p.tasks {
		if !t.exit.left.Load() { // all of them use the same memory
			if t.thread != nil && p.k.allEnd(t.mem) { // nil: it never ran
				t.thread.Space().Kill()
			}
			return
		}
	}
}

// allEnd reports whether all who use the memory are threads of processes that end.
// k.mu is held.
func (k *Kernel) allEnd(m *Memory) bool {
	for _, p := range k.processes {
		for _, t := range p.tasks {
			if t.mem == m && !p.exit.exiting {
				return false
			}
		}
	}
	return true
}

// killLocked ends the process as by SIGKILL. k.mu is held.
func (p *Process) killLocked() { p.exitGroup(int32(unix.SIGKILL)) }

// die makes the thread end. k.mu is held.
func (t *Task) die() {
	t.exit.dying.Store(true)
	t.notify()
}

// hostDied: the host process ended behind the server's back.
func (t *Task) hostDied() {
	how := "a thread of it ended, or its shared memory makes no sense"
	if st, ok := t.thread.Space().Ended(); ok {
		how = fmt.Sprintf("exit status %d", st.ExitStatus())
		if st.Signaled() {
			how = st.Signal().String()
		}
	}
	t.k.mu.Lock()
	if !t.dying() {
		t.k.logf("process %d (%s): its host process is gone (%s)", t.proc.pid, t.comm(), how)
		t.proc.killLocked()
	}
	t.die()
	t.k.mu.Unlock()
	t.end()
}

// end is the last thing that a task's goroutine does. The order is Linux's:
// locks and memory first, then descriptors, and the parent hears last.
func (t *Task) end() {
	k, p := t.k, t.proc
	k.mu.Lock()
	p.exit.ending++
	dead := p.exit.ending == len(p.tasks)
	if dead {
		p.stopTimers()
	} else {
		p.retell(t, p.sig.pending.set&^t.sig.mask)
	}
	k.mu.Unlock()
	if dead {
		p.chargeCPU(t)
	}
	t.leaveMemory()
	lastFDs := t.leaveFDs(t.fds)
	t.mem.drop(t)
	t.exit.left.Store(true)
	if dead {
		k.undoSemaphores(p)
		k.mu.Lock()
		p.releaseVfork()
		k.mu.Unlock()
	}
	if t.mem.over() {
		t.fds.grants.Load().awaitGone()
	}
	if lastFDs {
		t.fds.closeAll()
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tasks, t.tid)
	delete(p.tasks, t.tid)
	p.exit.ending--
	k.forget(t.sig.pending.drop(^abi.Sigset(0)))
	p.adoptFrom(t)
	if e := p.exit.execing; e != nil {
		e.wakeUp()
	}
	if len(p.tasks) == 0 {
		p.finish()
		return
	}
	p.checkStopped()
}

// finish makes the process a zombie and tells its parent. k.mu is held.
func (p *Process) finish() {
	k := p.k
	if !p.exit.exiting {
		p.exit.status = p.leader.exit.status
	}
	p.exit.zombie = true
	if p.exit.overdue != nil {
		p.exit.overdue.Stop()
	}
	k.forget(p.sig.pending.drop(^abi.Sigset(0)))
	p.leaveSession()
	p.abandonChildren()
	p.checkOrphaned(p.parent, true)
	close(p.exit.done)
	p.exit.ends.Notify(vfs.EventsIn)
	p.tellEnd()
}

// tellEnd tells the parent of a zombie, or reaps it when nobody will wait for
// it. k.mu is held.
func (p *Process) tellEnd() {
	parent := p.parent
	if parent == p.k.init {
		p.reap()
		return
	}
	a := parent.sig.handlers.of(unix.SIGCHLD)
	forgotten := p.exit.signal == unix.SIGCHLD && (a.Handler == abi.SIG_IGN || a.Flags&abi.SA_NOCLDWAIT != 0)
	if sig := p.exit.signal; sig != 0 && !(sig == unix.SIGCHLD && a.Handler == abi.SIG_IGN) {
		code, status := p.exitCode()
		info := p.childInfo(code, status)
		info.Signo = int32(sig)
		_ = parent.send(nil, queuedSignal{info: info})
	}
	if forgotten {
		p.reap()
	}
	parent.wakeWaiters()
}

// exitCode splits the status as siginfo has it.
func (p *Process) exitCode() (code, status int32) {
	if sig := p.exit.status & 0x7f; sig != 0 {
		return abi.CLD_KILLED, sig
	}
	return abi.CLD_EXITED, p.exit.status >> 8 & 0xff
}

// reap forgets a zombie. k.mu is held.
func (p *Process) reap() {
	delete(p.k.processes, p.pid)
	delete(p.parent.children, p.pid)
	p.group.remove(p)
}

// releaseVfork lets the parent of a vfork child go on. k.mu is held.
func (p *Process) releaseVfork() {
	if p.vfork != nil {
		close(p.vfork)
		p.vfork = nil
	}
}

// killSiblings ends all other threads of the process and waits until they are
// gone, for exec. It fails when the task itself is to end.
func (t *Task) killSiblings() error {
	k, p := t.k, t.proc
	k.mu.Lock()
	if t.dying() || p.exit.execing != nil {
		k.mu.Unlock()
		return syscall.EAGAIN
	}
	p.exit.execing = t
	for _, s := range p.tasks {
		if s != t {
			s.die()
		}
	}
	var err error
	for len(p.tasks) > 1 {
		k.mu.Unlock()
		err = t.sleepKillable()
		k.mu.Lock()
		if err != nil {
			break
		}
	}
	p.exit.execing = nil
	k.mu.Unlock()
	if err != nil {
		return err
	}
	p.chargeCPU(t)
	return nil
}
