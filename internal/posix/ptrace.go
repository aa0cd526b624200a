package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

// Of ptrace(2) there is what leak checkers and stack dumpers do: stop another
// process's threads, look at their registers and memory, let them go on. Who
// wants to hear of system calls, steps or signals gets EPERM, as where a
// security policy forbids it.

// traced is a thread as its tracer has it. Kernel.mu guards it.
type traced struct {
	by      *Process // nil when nobody traces it
	stop    bool     // it is to stop, or has
	stopped bool
	news    bool // the tracer has not waited for that yet
	regs    []byte
	extra   []byte // extended registers
}

// The requests that there are, and the sets of registers.
const (
	ntPrstatus = 1
	ntXState   = 0x202
)

func sysPtrace(t *Task, a *Args) (uint64, error) {
	request := a.Int(0)
	switch request {
	case unix.PTRACE_ATTACH, unix.PTRACE_DETACH, unix.PTRACE_CONT, unix.PTRACE_KILL, unix.PTRACE_GETREGS, unix.PTRACE_GETREGSET,
		unix.PTRACE_PEEKTEXT, unix.PTRACE_PEEKDATA, unix.PTRACE_POKETEXT, unix.PTRACE_POKEDATA:
	default:
		return 0, syscall.EPERM
	}
	t.k.mu.Lock()
	o := t.k.tasks[a.Int(1)]
	if o == nil || o.dying() {
		t.k.mu.Unlock()
		return 0, syscall.ESRCH
	}
	if request == unix.PTRACE_ATTACH {
		err := t.traceTask(o)
		t.k.mu.Unlock()
		return 0, err
	}
	tr := &o.sig.trace
	if tr.by != t.proc || !tr.stopped && request != unix.PTRACE_KILL {
		t.k.mu.Unlock()
		return 0, syscall.ESRCH
	}
	space := o.thread.Space()
	regs, extra := tr.regs, tr.extra
	switch request {
	case unix.PTRACE_DETACH, unix.PTRACE_CONT:
		err := o.goOn(syscall.Signal(a[3]), request == unix.PTRACE_DETACH)
		t.k.mu.Unlock()
		return 0, err
	case unix.PTRACE_KILL:
		o.proc.exitGroup(int32(unix.SIGKILL))
		t.k.mu.Unlock()
		return 0, nil
	}
	t.k.mu.Unlock()

	var word [8]byte
	switch request {
	case unix.PTRACE_GETREGS:
		return 0, t.copyOut(a[3], regs)
	case unix.PTRACE_GETREGSET:
		switch a[2] {
		case ntPrstatus:
			return 0, t.copyOutRegset(a[3], regs)
		case ntXState:
			return 0, t.copyOutRegset(a[3], extra)
		}
		return 0, syscall.EINVAL
	case unix.PTRACE_PEEKTEXT, unix.PTRACE_PEEKDATA:
		if n, err := space.Read(a[2], word[:]); err != nil || n < len(word) {
			return 0, syscall.EIO
		}
		return 0, t.copyOut(a[3], word[:])
	}
	binary.LittleEndian.PutUint64(word[:], a[3])
	if n, err := space.Write(a[2], word[:]); err != nil || n < len(word) {
		return 0, syscall.EIO
	}
	return 0, nil
}

// copyOutRegset fills a struct iovec with registers and tells their size.
func (t *Task) copyOutRegset(addr uint64, regs []byte) error {
	var b [abi.SizeIovec]byte
	if err := t.copyIn(addr, b[:]); err != nil {
		return err
	}
	var v abi.Iovec
	v.Decode(b[:])
	n := min(uint64(len(regs)), v.Len)
	if err := t.copyOut(v.Base, regs[:n]); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b[8:], n)
	return t.copyOut(addr, b[:])
}

// traceTask attaches the task's process to o, which stops. k.mu is held.
func (t *Task) traceTask(o *Task) error {
	if o.proc == t.proc || o.sig.trace.by != nil || !t.mayAccess(o.proc) {
		return syscall.EPERM
	}
	o.sig.trace = traced{by: t.proc, stop: true}
	if t.proc.sig.tracees == nil {
		t.proc.sig.tracees = map[int]*Task{}
	}
	t.proc.sig.tracees[o.tid] = o
	o.notify()
	return nil
}

// goOn lets a stopped tracee run, with a signal unless that is 0. k.mu is held.
func (t *Task) goOn(sig syscall.Signal, free bool) error {
	if sig != 0 && !validSignal(int(sig)) {
		return syscall.EIO
	}
	if free {
		t.untrace()
	}
	t.sig.trace.stop = false
	if sig != 0 {
		_ = t.proc.send(t, queuedSignal{info: abi.KillInfo(sig, abi.SI_USER, 0, 0)})
	}
	t.wakeUp()
	return nil
}

// untrace makes a thread that goes on, or ends, nobody's tracee. k.mu is held.
func (t *Task) untrace() {
	tr := &t.sig.trace
	if tr.by == nil {
		return
	}
	delete(tr.by.sig.tracees, t.tid)
	tr.by.wakeWaiters()
	*tr = traced{stopped: tr.stopped}
	t.wakeUp()
}

// stopTraced waits until the tracer lets the thread go on, or it ends. It
// releases k.mu meanwhile.
func (t *Task) stopTraced() {
	t.k.mu.Unlock()
	regs, extra := t.userRegs(), append([]byte(nil), t.thread.FPState()...)
	t.k.mu.Lock()
	tr := &t.sig.trace
	if !tr.stop {
		return
	}
	tr.regs, tr.extra, tr.stopped, tr.news = regs, extra, true, true
	if a := tr.by.sig.handlers.of(unix.SIGCHLD); a.Handler != abi.SIG_IGN && a.Flags&abi.SA_NOCLDSTOP == 0 {
		_ = tr.by.send(nil, queuedSignal{info: t.proc.childInfo(abi.CLD_TRAPPED, int32(unix.SIGSTOP))})
	}
	tr.by.wakeWaiters()
	for tr.stop && !t.exit.dying.Load() {
		t.k.mu.Unlock()
		<-t.wake
		t.k.mu.Lock()
	}
	tr.stopped, tr.news, tr.regs, tr.extra = false, false, nil, nil
}

// userRegs are the registers as struct user_regs_struct has them. Only the
// thread itself may ask.
func (t *Task) userRegs() []byte {
	const getFS, getGS = 0x1003, 0x1004
	var fs, gs uint64
	mem, at := t.thread.Scratch()
	c := []machine.Call{{NR: unix.SYS_ARCH_PRCTL, Args: [6]uint64{getFS, at}}, {NR: unix.SYS_ARCH_PRCTL, Args: [6]uint64{getGS, at + 8}}}
	if t.thread.Do(c) == nil {
		fs, gs = binary.LittleEndian.Uint64(mem), binary.LittleEndian.Uint64(mem[8:])
	}
	r := &t.thread.Regs
	orig, rax := ^uint64(0), r.RAX
	if t.restart.code != 0 {
		orig, rax = t.nr, abi.Result(0, t.restart.code)
	}
	sel := func(i int) uint64 { return r.CSGSFS >> (16 * i) & 0xffff }
	var b []byte
	for _, v := range []uint64{r.R15, r.R14, r.R13, r.R12, r.RBP, r.RBX, r.R11, r.R10, r.R9, r.R8, rax, r.RCX, r.RDX, r.RSI, r.RDI,
		orig, r.RIP, sel(0), r.EFLAGS, r.RSP, sel(3), fs, gs, 0, 0, sel(2), sel(1)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// lookTraced is look for tracees that have stopped. k.mu is held.
func (p *Process) lookTraced(w waitFor) (r waitResult, any bool) {
	for _, o := range p.sig.tracees {
		switch {
		case w.kind == unix.P_PID && w.id != o.tid, w.kind == unix.P_PGID && w.id != o.proc.group.id:
			continue
		}
		any = true
		if tr := &o.sig.trace; tr.news {
			tr.news = w.options&unix.WNOWAIT != 0
			return waitResult{pid: o.tid, uid: o.proc.uid(), code: abi.CLD_TRAPPED, status: int32(unix.SIGSTOP),
				wait: int32(unix.SIGSTOP)<<8 | 0x7f}, true
		}
	}
	return r, any
}

// freeTracees lets go on what a process that ends has traced. k.mu is held.
func (p *Process) freeTracees() {
	for _, o := range p.sig.tracees {
		o.untrace()
	}
}
