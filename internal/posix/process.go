package posix

import (
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/internal/machine"
)

// Process is a thread group. Its fields are guarded by Kernel.mu unless they
// say otherwise.
type Process struct {
	k        *Kernel
	pid      int
	parent   *Process
	children map[int]*Process
	leader   *Task
	tasks    map[int]*Task // live threads by id

	group *group // process group, which knows its session

	exit   exitState   // exit.go
	sig    procSignals // signal.go
	limits limitTable  // rlimit.go
	clocks procClocks  // timer.go

	// vfork is closed when a child made by vfork no longer needs its parent's
	// memory.
	vfork chan struct{}
	// execed: the process has called execve since it was made (setpgid).
	execed bool
	// undumpable: others may not look into it (prctl's PR_SET_DUMPABLE).
	undumpable bool
	started    time.Time
	host       HostInfo
}

// HostInfo is for looking at a process from outside: /proc.
type HostInfo struct {
	exe         atomic.Pointer[Path]
	oomScoreAdj atomic.Int32
}

// Task is a thread. Fields without a remark belong to the goroutine that runs
// the task; others look only at those that say how.
type Task struct {
	k    *Kernel
	proc *Process
	tid  int

	// thread and mem are changed by exec, under k.mu; others read them under it.
	thread *machine.Thread
	mem    *Memory

	fds *FDTable   // may be shared (CLONE_FILES); under k.mu for others
	fs  *FSContext // may be shared (CLONE_FS); under k.mu for others

	creds atomic.Pointer[Creds] // replaced, never changed
	name  atomic.Pointer[string]

	sig   taskSignals // signal.go
	sched taskSched   // sched.go
	exit  taskExit    // exit.go

	// The funnel (block.go).
	wake      chan struct{} // holds one token: look again
	attention atomic.Bool   // something concerns this task: see userReturn
	running   atomic.Bool   // the goroutine is about to run, or runs, the guest
	ctx       *taskContext
	actor     guard.Actor // with Config.Guarded: the goroutine can leave guarded servers

	// The system call under way.
	op       operation
	nr       uint64
	args     Args
	restart  restart
	window   cancelWindow
	inCall   bool     // between a tracer's Enter and Exit
	hostCall hostCall // what to do in the host instead of just returning

	personality uint32 // personality(2)
	timerSlack  uint64 // prctl(2)
	clearTID    uint64 // set_tid_address
	robustList  uint64
	rseq        rseqArea
	buf         []byte // reused between calls; see buffer
	lastPath    string // see copyInPath
}

// hostCall is a host call by which a system call is finished in the guest's own
// process: it concerns only its own memory.
type hostCall struct {
	set   bool
	waits bool
	nr    uintptr
	args  [6]uint64
}

// onHost makes nr the call's last step; its result is the call's. Handlers
// return t.onHost(...).
func (t *Task) onHost(nr uintptr, args ...uint64) (uint64, error) {
	t.hostCall = hostCall{set: true, nr: nr}
	copy(t.hostCall.args[:], args)
	return 0, nil
}

// onHostWaiting is onHost for a host call that waits, until a kick ends it.
func (t *Task) onHostWaiting(nr uintptr, args ...uint64) (uint64, error) {
	t.onHost(nr, args...)
	t.hostCall.waits = true
	return 0, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.pid }

func (k *Kernel) pidInUse(pid int) bool {
	if k.tasks[pid] != nil || k.processes[pid] != nil {
		return true
	}
	return k.groupInUse(pid)
}

// comm returns the thread's name, at most 15 bytes.
func (t *Task) comm() string {
	if s := t.name.Load(); s != nil {
		return *s
	}
	return ""
}

func (t *Task) setComm(s string) {
	if len(s) > 15 {
		s = s[:15]
	}
	t.name.Store(&s)
}
