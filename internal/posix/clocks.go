package posix

import (
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// procClocks is what a process has used, and its timers. Kernel.mu guards it.
type procClocks struct {
	began    int64 // on the monotonic clock, ns
	borrowed bool  // the memory, and the host process with its clock, is the parent's

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
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	p.clocks.user += u
	p.clocks.system += s
	p.clocks.left = pid
}

// now returns what the process itself has used until now. k.mu is held.
func (p *Process) used() usage {
	c := &p.clocks
	u := usage{user: c.user, system: c.system, faults: c.faults}
	if c.borrowed || p.exit.zombie {
		return u
	}
	for _, t := range p.tasks {
		if pid := t.thread.Space().PID(); pid != c.left {
			user, system := hostCPU(pid)
			u.user += user
			u.system += system
		}
		break
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
