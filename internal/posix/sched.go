package posix

import (
	"encoding/binary"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

var schedCalls = calls{
	unix.SYS_SCHED_YIELD: {fn: func(t *Task, _ *Args) (uint64, error) { return t.onHost(unix.SYS_SCHED_YIELD) }},

	unix.SYS_SCHED_GETAFFINITY:      {fn: sysSchedGetaffinity},
	unix.SYS_SCHED_SETAFFINITY:      {fn: sysSchedSetaffinity},
	unix.SYS_SCHED_GETSCHEDULER:     {fn: sysSchedGetscheduler},
	unix.SYS_SCHED_SETSCHEDULER:     {fn: sysSchedSetscheduler},
	unix.SYS_SCHED_GETPARAM:         {fn: sysSchedGetparam},
	unix.SYS_SCHED_SETPARAM:         {fn: sysSchedSetparam},
	unix.SYS_SCHED_GETATTR:          {fn: sysSchedGetattr},
	unix.SYS_SCHED_SETATTR:          {fn: sysSchedSetattr},
	unix.SYS_SCHED_GET_PRIORITY_MAX: {fn: func(_ *Task, a *Args) (uint64, error) { return priorityRange(a.Int(0), 99) }},
	unix.SYS_SCHED_GET_PRIORITY_MIN: {fn: func(_ *Task, a *Args) (uint64, error) { return priorityRange(a.Int(0), 1) }},
	unix.SYS_SCHED_RR_GET_INTERVAL:  {fn: sysSchedRRGetInterval},
}

// Policies of sched_setscheduler(2). Only the ordinary ones can be had: the
// others would be the host's to give.
const (
	schedOther       = 0
	schedFIFO        = 1
	schedRR          = 2
	schedBatch       = 3
	schedIdle        = 5
	schedDeadline    = 6
	schedResetOnFork = 0x40000000
)

// taskSched is how a thread is scheduled, as it is told. Kernel.mu guards it.
type taskSched struct {
	policy   int
	nice     int
	ioprio   int
	affinity *unix.CPUSet // nil when it was never set

	// seen is threadTime when busiest was last asked.
	seen time.Duration
}

// fork is what a child inherits.
func (s taskSched) fork() taskSched {
	if s.policy&schedResetOnFork != 0 {
		s.policy, s.nice = schedOther, max(s.nice, 0)
	}
	s.seen = 0
	return s
}

// hostNice is the server's own nice value: guests begin with it, and get no host
// thread that is scheduled before the server's.
var hostNice = sync.OnceValue(func() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - n // as the system call has it
})

// scheduleHost gives a new host thread what the old one had. k.mu is held.
func (t *Task) scheduleHost() {
	if t.sched.affinity != nil {
		_ = unix.SchedSetaffinity(t.thread.TID(), t.sched.affinity)
	}
	if t.sched.nice > hostNice() {
		_ = unix.Setpriority(unix.PRIO_PROCESS, t.thread.TID(), t.sched.nice)
	}
}

// threadByID returns the thread tid, for 0 the task itself, or ESRCH. k.mu is held.
func (t *Task) threadByID(tid int) (*Task, error) {
	if tid == 0 {
		return t, nil
	}
	if o := t.k.tasks[tid]; o != nil && o.proc.tasks[tid] == o {
		return o, nil
	}
	// A zombie still has its first thread; process 1 has none but for those who
	// ask.
	switch p := t.k.processes[tid]; {
	case p == nil:
	case p == t.k.init:
		o := &Task{k: t.k, proc: p, tid: tid}
		o.creds.Store(NewCreds(0, 0, nil))
		return o, nil
	case p.leader != nil:
		return p.leader, nil
	}
	return nil, syscall.ESRCH
}

// hostThread returns the host thread behind a thread that lives. k.mu is held.
func (t *Task) hostThread() (tid int, ok bool) {
	if t.thread == nil || t.proc.tasks[t.tid] != t {
		return 0, false
	}
	return t.thread.TID(), true
}

// maySchedule reports whether the task may change how o is scheduled. k.mu is
// held.
func (t *Task) maySchedule(o *Task, c int) bool {
	me, it := t.creds.Load(), o.creds.Load()
	return me.EUID == it.EUID || me.EUID == it.UID || me.capable(c)
}

func sysSchedGetscheduler(t *Task, a *Args) (uint64, error) {
	if a.Int(0) < 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o, err := t.threadByID(a.Int(0))
	if err != nil {
		return 0, err
	}
	return uint64(o.sched.policy), nil
}

// setPolicy checks and sets a policy with its priority. k.mu is held.
func (t *Task) setPolicy(o *Task, policy int, priority int32) error {
	if !t.maySchedule(o, unix.CAP_SYS_NICE) {
		return syscall.EPERM
	}
	switch policy &^ schedResetOnFork {
	case schedOther, schedBatch, schedIdle:
		if priority != 0 {
			return syscall.EINVAL
		}
	case schedFIFO, schedRR:
		if priority < 1 || priority > 99 {
			return syscall.EINVAL
		}
		return syscall.EPERM
	case schedDeadline:
		return syscall.EPERM
	default:
		return syscall.EINVAL
	}
	o.sched.policy = policy
	return nil
}

func (t *Task) copyInPriority(addr uint64) (int32, error) {
	if addr == 0 {
		return 0, syscall.EINVAL
	}
	v, err := t.copyInUint32(addr)
	return int32(v), err
}

func sysSchedSetscheduler(t *Task, a *Args) (uint64, error) {
	if a.Int(0) < 0 || a.Int(1) < 0 {
		return 0, syscall.EINVAL
	}
	prio, err := t.copyInPriority(a[2])
	if err != nil {
		return 0, err
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o, err := t.threadByID(a.Int(0))
	if err != nil {
		return 0, err
	}
	return 0, t.setPolicy(o, a.Int(1), prio)
}

func sysSchedSetparam(t *Task, a *Args) (uint64, error) {
	if a.Int(0) < 0 {
		return 0, syscall.EINVAL
	}
	prio, err := t.copyInPriority(a[1])
	if err != nil {
		return 0, err
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o, err := t.threadByID(a.Int(0))
	if err != nil {
		return 0, err
	}
	return 0, t.setPolicy(o, o.sched.policy, prio)
}

func sysSchedGetparam(t *Task, a *Args) (uint64, error) {
	if a.Int(0) < 0 || a[1] == 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	_, err := t.threadByID(a.Int(0))
	t.k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return 0, t.copyOutUint32(a[1], 0)
}

// sizeSchedAttr is the first version of struct sched_attr; a later one adds 8
// bytes.
const sizeSchedAttr = 48

func sysSchedGetattr(t *Task, a *Args) (uint64, error) {
	size := a.Uint(2)
	if a[1] == 0 || size < sizeSchedAttr || size > 4096 || a.Int(0) < 0 || a[3] != 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	o, err := t.threadByID(a.Int(0))
	var s taskSched
	if err == nil {
		s = o.sched
	}
	t.k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n := min(size, sizeSchedAttr+8)
	var b [sizeSchedAttr + 8]byte
	le := binary.LittleEndian
	le.PutUint32(b[0:], n)
	le.PutUint32(b[4:], uint32(s.policy&^schedResetOnFork))
	if s.policy&schedResetOnFork != 0 {
		le.PutUint64(b[8:], 1)
	}
	le.PutUint32(b[16:], uint32(s.nice))
	return 0, t.copyOut(a[1], b[:n])
}

func sysSchedSetattr(t *Task, a *Args) (uint64, error) {
	if a[1] == 0 || a.Int(0) < 0 || a[2] != 0 {
		return 0, syscall.EINVAL
	}
	size, err := t.copyInUint32(a[1])
	if err != nil {
		return 0, err
	}
	if size == 0 {
		size = sizeSchedAttr
	}
	if size < sizeSchedAttr || size > 4096 {
		return 0, syscall.E2BIG
	}
	b := make([]byte, size)
	if err := t.copyIn(a[1], b); err != nil {
		return 0, err
	}
	if len(b) > sizeSchedAttr+8 && !isZero(b[sizeSchedAttr+8:]) {
		return 0, syscall.E2BIG
	}
	le := binary.LittleEndian
	policy, flags := int(int32(le.Uint32(b[4:]))), le.Uint64(b[8:])
	nice, prio := int(int32(le.Uint32(b[16:]))), int32(le.Uint32(b[20:]))
	if policy < 0 || flags&^0x7f != 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o, err := t.threadByID(a.Int(0))
	if err != nil {
		return 0, err
	}
	if flags&1 != 0 {
		policy |= schedResetOnFork
	}
	if err := t.setPolicy(o, policy, prio); err != nil {
		return 0, err
	}
	if policy&^schedResetOnFork != schedIdle {
		return 0, t.renice(o, nice)
	}
	return 0, nil
}

func priorityRange(policy int, v uint64) (uint64, error) {
	switch policy {
	case schedFIFO, schedRR:
		return v, nil
	case schedOther, schedBatch, schedIdle, schedDeadline:
		return 0, nil
	}
	return 0, syscall.EINVAL
}

func sysSchedRRGetInterval(t *Task, a *Args) (uint64, error) {
	if a.Int(0) < 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	_, err := t.threadByID(a.Int(0))
	t.k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	var b [abi.SizeTimespec]byte
	abi.Timespec{Nsec: 4e6}.Encode(b[:])
	return 0, t.copyOut(a[1], b[:])
}
