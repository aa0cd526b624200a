package posix

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

// procClocks is what a process has used, and its timers. Kernel.mu guards it.
type procClocks struct {
	borrowed bool // the memory, and the host process with its clock, is the parent's

	// Of host processes that this process has left by exec or by its end; left
	// is the last of them.
	user, system time.Duration
	faults       faultCounts
	left         int
	children     usage

	timers timerTable
}

// usage is an amount of processor time and of what getrusage counts besides.
type usage struct {
	user, system time.Duration
	faults       faultCounts
}

type faultCounts struct {
	maxRSS, minor, major int64
}

// monotonic returns the host's CLOCK_MONOTONIC, which guests see, too.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// Processor clocks of other processes, as clock_getcpuclockid(3) makes them.
const (
	cpuClockProf  = 0 // user and system time
	cpuClockVirt  = 1 // user time
	cpuClockSched = 2 // the same as the first, exactly
)

func cpuClockID(pid, which int) int32 { return int32(^uint32(pid))<<3 | int32(which) }

// hostCPU returns the processor time of a host process, 0 when it is gone.
func hostCPU(pid int) (user, system time.Duration) {
	if pid == 0 {
		return 0, 0
	}
	var all, virt unix.Timespec
	if unix.ClockGettime(cpuClockID(pid, cpuClockProf), &all) != nil ||
		unix.ClockGettime(cpuClockID(pid, cpuClockVirt), &virt) != nil {
		return 0, 0
	}
	user = time.Duration(virt.Nano())
	return user, max(time.Duration(all.Nano())-user, 0)
}

// chargeCPU notes what the task's host process has used, before it leaves it.
func (p *Process) chargeCPU(t *Task) {
	if p.clocks.borrowed {
		return
	}
	pid := t.thread.Space().PID()
	u, s := hostCPU(pid)
	var f faultCounts
	if u+s > 5*time.Millisecond {
		// Reading these costs as much as a short process.
		f = t.hostFaults()
	}
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	p.clocks.faults.add(f)
	p.clocks.user += u
	p.clocks.system += s
	p.clocks.left = pid
}

// used returns what the process itself has used until now. k.mu is held.
func (p *Process) used() usage {
	c := &p.clocks
	u := usage{user: c.user, system: c.system, faults: c.faults}
	if c.borrowed || p.exit.zombie {
		return u
	}
	if t := p.anyTask(); t != nil {
		if pid := t.thread.Space().PID(); pid != c.left {
			user, system := hostCPU(pid)
			u.user += user
			u.system += system
		}
	}
	return u
}

// charge adds a reaped child's use, and that of its own children.
func (c *procClocks) charge(child *procClocks) {
	c.children.user += child.user + child.children.user
	c.children.system += child.system + child.children.system
	f := &c.children.faults
	f.maxRSS = max(f.maxRSS, child.faults.maxRSS, child.children.faults.maxRSS)
	f.minor += child.faults.minor + child.children.faults.minor
	f.major += child.faults.major + child.children.faults.major
}

// usage is what wait4 tells: the process's own use and its children's.
func (p *Process) usage() abi.Rusage {
	u := p.used()
	c := procClocks{children: p.clocks.children}
	c.charge(&procClocks{user: u.user, system: u.system, faults: u.faults})
	return c.children.rusage()
}

func (u usage) rusage() abi.Rusage {
	return abi.Rusage{
		Utime: abi.TimevalOf(u.user), Stime: abi.TimevalOf(u.system),
		Maxrss: u.faults.maxRSS, Minflt: u.faults.minor, Majflt: u.faults.major,
	}
}

func ticks(d time.Duration) int64 { return int64(d / (time.Second / abi.ClockTicks)) }

// cpuTime is the process's processor time, ns. k.mu is held.
func (p *Process) cpuTime() int64 {
	c := &p.clocks
	if t := p.anyTask(); t != nil && !c.borrowed {
		if pid := t.thread.Space().PID(); pid != 0 && pid != c.left {
			var ts unix.Timespec
			if unix.ClockGettime(cpuClockID(pid, cpuClockSched), &ts) == nil {
				return int64(c.user+c.system) + ts.Nano()
			}
		}
	}
	return int64(c.user + c.system)
}

func (p *Process) anyTask() *Task {
	for _, t := range p.tasks {
		return t
	}
	return nil
}

// cpuTicks returns the processor time of the process and of its children that
// it has waited for, in ticks. It takes k.mu.
func (p *Process) cpuTicks() (user, system, childUser, childSystem int64) {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	u, c := p.used(), p.clocks.children
	return ticks(u.user), ticks(u.system), ticks(c.user), ticks(c.system)
}

// cpuClock is a clock that a number of clock_getcpuclockid(3) or
// pthread_getcpuclockid(3) names.
type cpuClock struct {
	now    func() int64 // k.mu is held
	proc   *Process
	thread *Task
}

// cpuClock takes such a number apart. k.mu is held.
func (t *Task) cpuClock(id int32) (cpuClock, error) {
	const perThread, which = 4, 3
	pid := int(^(id >> 3))
	if id >= 0 || id&which > cpuClockSched {
		return cpuClock{}, syscall.EINVAL
	}
	if id&perThread != 0 {
		o := t
		if pid != 0 {
			o = t.proc.tasks[pid]
		}
		if o == nil {
			return cpuClock{}, syscall.EINVAL
		}
		return cpuClock{func() int64 { return int64(o.threadTime()) }, t.proc, o}, nil
	}
	p := t.process(pid)
	if p == nil || p == t.k.init {
		return cpuClock{}, syscall.EINVAL
	}
	return cpuClock{now: p.cpuTime, proc: p}, nil
}

// threadTime is the thread's processor time, from the host. Anyone may ask.
func (t *Task) threadTime() time.Duration {
	b, err := t.hostFile("schedstat")
	if err != nil {
		return 0
	}
	f, _, _ := bytes.Cut(b, []byte(" "))
	n, _ := strconv.ParseInt(string(f), 10, 64)
	return time.Duration(n)
}

// busiest returns the thread that used the processor most since it was last
// asked for, nil when there is no choice: a timer on the process's time ran out
// in that one, and profilers count on it that it is told. k.mu is held.
func (p *Process) busiest() *Task {
	if len(p.tasks) == 1 {
		return nil
	}
	var best *Task
	var most time.Duration
	for _, t := range p.tasks {
		if !t.running.Load() {
			continue
		}
		now := t.threadTime()
		if d := now - t.sched.seen; d > most {
			best, most = t, d
		}
		t.sched.seen = now
	}
	return best
}

// hostFile reads a file about the thread from the host's /proc.
func (t *Task) hostFile(name string) ([]byte, error) {
	return os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/%s", t.thread.Space().PID(), t.thread.TID(), name))
}

// threadUsage is the thread's own use: the stub asks the host.
func (t *Task) threadUsage() usage {
	mem, at := t.thread.Scratch()
	all, virt := cpuClockID(0, cpuClockProf)|4, cpuClockID(0, cpuClockVirt)|4
	c := []machine.Call{
		{NR: unix.SYS_CLOCK_GETTIME, Args: [6]uint64{uint64(uint32(all)), at}},
		{NR: unix.SYS_CLOCK_GETTIME, Args: [6]uint64{uint64(uint32(virt)), at + abi.SizeTimespec}},
	}
	if t.thread.Do(c) != nil || c[0].Ret != 0 || c[1].Ret != 0 {
		return usage{}
	}
	var a, v abi.Timespec
	a.Decode(mem)
	v.Decode(mem[abi.SizeTimespec:])
	u := usage{user: v.Duration()}
	u.system = max(a.Duration()-u.user, 0)
	u.faults = t.hostFaults()
	return u
}

// hostFaults is what the host counts for the task's host process.
func (t *Task) hostFaults() (f faultCounts) {
	pid := t.thread.Space().PID()
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		if _, s, ok := bytes.Cut(b, []byte("VmHWM:")); ok {
			s, _, _ = bytes.Cut(bytes.TrimSpace(s), []byte(" "))
			f.maxRSS, _ = strconv.ParseInt(string(s), 10, 64)
		}
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		w := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(w) > 9 {
			f.minor, _ = strconv.ParseInt(string(w[7]), 10, 64)
			f.major, _ = strconv.ParseInt(string(w[9]), 10, 64)
		}
	}
	return f
}

func (f *faultCounts) add(o faultCounts) {
	f.maxRSS = max(f.maxRSS, o.maxRSS)
	f.minor += o.minor
	f.major += o.major
}
