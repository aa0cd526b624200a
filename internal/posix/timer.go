package posix

import (
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

var timerCalls = calls{
	unix.SYS_ALARM:     {fn: sysAlarm},
	unix.SYS_GETITIMER: {fn: sysGetitimer},
	unix.SYS_SETITIMER: {fn: sysSetitimer},

	unix.SYS_TIMER_CREATE:     {fn: sysTimerCreate},
	unix.SYS_TIMER_SETTIME:    {fn: sysTimerSettime},
	unix.SYS_TIMER_GETTIME:    {fn: sysTimerGettime},
	unix.SYS_TIMER_GETOVERRUN: {fn: sysTimerGetoverrun},
	unix.SYS_TIMER_DELETE:     {fn: sysTimerDelete},
}

// timerTable is a process's timers. Kernel.mu guards it.
type timerTable struct {
	interval [3]*alarmClock // ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF
	cpuLimit *alarmClock    // RLIMIT_CPU
	posix    map[int32]*posixTimer
	lastID   int32
}

// itimer returns one of setitimer's timers.
func (p *Process) itimer(which int) *alarmClock {
	slot := &p.clocks.timers.interval[which]
	if *slot == nil {
		a := &alarmClock{k: p.k, now: monotonic}
		sig := syscall.SIGALRM
		switch which {
		case unix.ITIMER_VIRTUAL:
			sig, a.cpu, a.now = syscall.SIGVTALRM, p, func() int64 { return int64(p.used().user) }
		case unix.ITIMER_PROF:
			sig, a.cpu, a.now = syscall.SIGPROF, p, p.cpuTime
		}
		a.expire = func(int64) {
			s := queuedSignal{info: abi.KillInfo(sig, abi.SI_KERNEL, 0, 0)}
			if which != unix.ITIMER_REAL {
				s.near = p.busiest()
			}
			_ = p.send(nil, s)
		}
		*slot = a
	}
	return *slot
}

func (t *timerTable) each(f func(*alarmClock)) {
	for _, a := range t.interval {
		if a != nil {
			f(a)
		}
	}
	if t.cpuLimit != nil {
		f(t.cpuLimit)
	}
	for _, pt := range t.posix {
		f(&pt.alarmClock)
	}
}

// stopTimers ends all timers with the process. k.mu is held.
func (p *Process) stopTimers() {
	p.clocks.timers.each(func(a *alarmClock) { a.set(0, 0) })
	p.clocks.timers.posix = nil
}

// dropTimers deletes the timers that a new program does not inherit. k.mu is
// held.
func (p *Process) dropTimers() {
	for _, pt := range p.clocks.timers.posix {
		pt.set(0, 0)
	}
	p.clocks.timers.posix = nil
}

// unparkTimers is called when a thread goes on. k.mu is held.
func (p *Process) unparkTimers() {
	p.clocks.timers.each((*alarmClock).unpark)
}

// watchCPULimit arms what sends SIGXCPU. k.mu is held.
func (p *Process) watchCPULimit() {
	l := p.limits[unix.RLIMIT_CPU]
	if l.Cur == unlimited && p.clocks.timers.cpuLimit == nil {
		return
	}
	a := p.clocks.timers.cpuLimit
	if a == nil {
		a = &alarmClock{k: p.k, cpu: p, now: p.cpuTime}
		a.expire = func(int64) {
			sig := syscall.SIGXCPU
			if max := p.limits[unix.RLIMIT_CPU].Max; uint64(p.cpuTime()/int64(time.Second)) >= max {
				sig = syscall.SIGKILL
			}
			_ = p.send(nil, queuedSignal{info: abi.KillInfo(sig, abi.SI_KERNEL, 0, 0)})
		}
		p.clocks.timers.cpuLimit = a
	}
	if l.Cur == unlimited {
		a.set(0, 0)
		return
	}
	a.set(after(0, int64(min(max(l.Cur, 1), 1<<33))*int64(time.Second)), int64(time.Second))
}

func itimerval(a *alarmClock) abi.Itimerval {
	return abi.Itimerval{
		Interval: abi.TimevalOf(time.Duration(a.interval)),
		// Rounded up: an armed timer never shows 0.
		Value: abi.TimevalOf(time.Duration(a.left() + 999)),
	}
}

func sysGetitimer(t *Task, a *Args) (uint64, error) {
	which := a.Int(0)
	if which < 0 || which > 2 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	v := itimerval(t.proc.itimer(which))
	t.k.mu.Unlock()
	var b [abi.SizeItimerval]byte
	v.Encode(b[:])
	return 0, t.copyOut(a[1], b[:])
}

func sysSetitimer(t *Task, a *Args) (uint64, error) {
	which := a.Int(0)
	var b [abi.SizeItimerval]byte
	var v abi.Itimerval
	if a[1] != 0 {
		if err := t.copyIn(a[1], b[:]); err != nil {
			return 0, err
		}
		v.Decode(b[:])
	}
	if which < 0 || which > 2 || !v.Value.Valid() || !v.Interval.Valid() {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	it := t.proc.itimer(which)
	old := itimerval(it)
	it.arm(v.Value.Duration(), v.Interval.Duration())
	t.k.mu.Unlock()
	if a[2] == 0 {
		return 0, nil
	}
	old.Encode(b[:])
	return 0, t.copyOut(a[2], b[:])
}

// arm is set with a time from now on.
func (a *alarmClock) arm(d, interval time.Duration) {
	if d == 0 {
		a.set(0, 0)
		return
	}
	a.set(after(a.now(), int64(d)), int64(interval))
}

func sysAlarm(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	it := t.proc.itimer(unix.ITIMER_REAL)
	left := time.Duration(it.left())
	it.arm(time.Duration(a.Uint(0))*time.Second, 0)
	sec := left / time.Second
	if rest := left % time.Second; rest >= time.Second/2 || sec == 0 && rest > 0 {
		sec++
	}
	return uint64(sec), nil
}
