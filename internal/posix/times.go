package posix

import (
	"math"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var timeCalls = calls{
	unix.SYS_NANOSLEEP:       {fn: sysNanosleep, blocks: interruptible},
	unix.SYS_CLOCK_NANOSLEEP: {fn: sysClockNanosleep, blocks: interruptible, restart: restartHand},
	unix.SYS_CLOCK_GETTIME:   {fn: sysClockGettime},
	unix.SYS_CLOCK_GETRES:    {fn: sysClockGetres},
	unix.SYS_CLOCK_SETTIME:   {fn: sysClockSettime},
	unix.SYS_GETTIMEOFDAY: {fn: func(t *Task, a *Args) (uint64, error) {
		return t.onHost(unix.SYS_GETTIMEOFDAY, a[:2]...)
	}},
	unix.SYS_TIME:          {fn: func(t *Task, a *Args) (uint64, error) { return t.onHost(unix.SYS_TIME, a[0]) }},
	unix.SYS_SETTIMEOFDAY:  {fn: func(*Task, *Args) (uint64, error) { return 0, syscall.EPERM }},
	unix.SYS_ADJTIMEX:      {fn: sysAdjtimex},
	unix.SYS_CLOCK_ADJTIME: {fn: sysClockAdjtime},
	unix.SYS_TIMES:         {fn: sysTimes},
	unix.SYS_GETRUSAGE:     {fn: sysGetrusage},
}

// copyInTimespec copies a time to wait.
func (t *Task) copyInTimespec(addr uint64) (time.Duration, error) {
	var b [abi.SizeTimespec]byte
	if err := t.copyIn(addr, b[:]); err != nil {
		return 0, err
	}
	var ts abi.Timespec
	ts.Decode(b[:])
	if !ts.Valid() {
		return 0, syscall.EINVAL
	}
	return ts.Duration(), nil
}

func (t *Task) copyOutTimespec(addr uint64, d time.Duration) error {
	var b [abi.SizeTimespec]byte
	abi.TimespecOf(d).Encode(b[:])
	return t.copyOut(addr, b[:])
}

func sysNanosleep(t *Task, a *Args) (uint64, error) {
	d, err := t.copyInTimespec(a[0])
	if err != nil {
		return 0, err
	}
	return t.sleepFor(time.Now().Add(d), a[1])
}

func sysClockNanosleep(t *Task, a *Args) (uint64, error) {
	id := int32(a[0])
	switch id {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI:
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return 0, syscall.EINVAL
	case unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_MONOTONIC_COARSE, unix.CLOCK_REALTIME_COARSE:
		return 0, syscall.EOPNOTSUPP
	case unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		return 0, syscall.EPERM
	default:
		return t.cpuNanosleep(id, a)
	}
	d, err := t.copyInTimespec(a[2])
	if err != nil {
		return 0, err
	}
	if a.Int(1)&unix.TIMER_ABSTIME == 0 {
		return t.sleepFor(time.Now().Add(d), a[3])
	}
	// The call is restarted as it is.
	deadline := time.Now().Add(d - time.Duration(hostClock(id)))
	for {
		if err := t.sleep(deadline); err != nil {
			if err == errTimeout {
				err = nil
			}
			return 0, err
		}
	}
}

// sleepFor sleeps until deadline. Interrupted, it says how much was left at rem,
// and a restart sleeps until the same deadline.
func (t *Task) sleepFor(deadline time.Time, rem uint64) (uint64, error) {
	for {
		err := t.sleep(deadline)
		switch {
		case err == nil:
			continue
		case err == errTimeout:
			return 0, nil
		case !vfs.Interrupted(err):
			return 0, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return 0, nil
		}
		if rem != 0 {
			if err := t.copyOutTimespec(rem, left); err != nil {
				return 0, err
			}
		}
		return t.restartBlock(func(t *Task) (uint64, error) { return t.sleepFor(deadline, rem) })
	}
}

// cpuNanosleep sleeps on a processor clock.
func (t *Task) cpuNanosleep(id int32, a *Args) (uint64, error) {
	t.k.mu.Lock()
	now, cpu, err := t.timerClock(id)
	t.k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	d, err := t.copyInTimespec(a[2])
	if err != nil {
		return 0, err
	}
	next := int64(d)
	if a.Int(1)&unix.TIMER_ABSTIME == 0 {
		t.k.mu.Lock()
		next = after(now(), next)
		t.k.mu.Unlock()
		return t.cpuSleepUntil(next, a[3], now, cpu)
	}
	return t.cpuSleepUntil(next, 0, now, cpu)
}

func (t *Task) cpuSleepUntil(next int64, rem uint64, now func() int64, cpu *Process) (uint64, error) {
	done := false
	c := &alarmClock{k: t.k, now: now, cpu: cpu}
	c.expire = func(int64) { done = true; t.wakeUp() }
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	c.set(max(next, 1), 0)
	defer c.set(0, 0)
	for !done {
		t.k.mu.Unlock()
		err := t.sleep(time.Time{})
		t.k.mu.Lock()
		if err == nil {
			continue
		}
		left := next - now()
		if !vfs.Interrupted(err) || left <= 0 {
			return 0, err
		}
		if rem != 0 {
			if err := t.copyOutTimespec(rem, time.Duration(left)); err != nil {
				return 0, err
			}
		}
		return t.restartBlock(func(t *Task) (uint64, error) { return t.cpuSleepUntil(next, rem, now, cpu) })
	}
	return 0, nil
}

func sysClockGettime(t *Task, a *Args) (uint64, error) {
	id := int32(a[0])
	switch {
	case id == unix.CLOCK_PROCESS_CPUTIME_ID:
		t.k.mu.Lock()
		d := time.Duration(t.proc.cpuTime())
		t.k.mu.Unlock()
		return 0, t.copyOutTimespec(a[1], d)
	case id >= 0:
		return t.onHost(unix.SYS_CLOCK_GETTIME, a[:2]...)
	}
	t.k.mu.Lock()
	c, err := t.cpuClock(id)
	if err != nil {
		t.k.mu.Unlock()
		return 0, err
	}
	if c.thread == t {
		t.k.mu.Unlock()
		return t.onHost(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, a[1])
	}
	d := time.Duration(c.now())
	t.k.mu.Unlock()
	return 0, t.copyOutTimespec(a[1], d)
}

func sysClockGetres(t *Task, a *Args) (uint64, error) {
	id := int32(a[0])
	if id >= 0 {
		return t.onHost(unix.SYS_CLOCK_GETRES, a[:2]...)
	}
	t.k.mu.Lock()
	_, err := t.cpuClock(id)
	t.k.mu.Unlock()
	if err != nil || a[1] == 0 {
		return 0, err
	}
	return 0, t.copyOutTimespec(a[1], 1)
}

// sysClockSettime: the clocks are the host's.
func sysClockSettime(t *Task, a *Args) (uint64, error) {
	if _, err := t.copyInTimespec(a[1]); err != nil {
		return 0, err
	}
	switch id := int32(a[0]); {
	case id == unix.CLOCK_REALTIME, id < 0, id == unix.CLOCK_PROCESS_CPUTIME_ID, id == unix.CLOCK_THREAD_CPUTIME_ID:
		return 0, syscall.EPERM
	}
	return 0, syscall.EINVAL
}

func sysTimes(t *Task, a *Args) (uint64, error) {
	// The time since boot, in ticks; only differences mean something.
	now := uint64(monotonic() / (1e9 / abi.ClockTicks))
	if a[0] == 0 {
		return now, nil
	}
	t.k.mu.Lock()
	u, c := t.proc.used(), t.proc.clocks.children
	t.k.mu.Unlock()
	tms := abi.Tms{Utime: ticks(u.user), Stime: ticks(u.system), Cutime: ticks(c.user), Cstime: ticks(c.system)}
	var b [abi.SizeTms]byte
	tms.Encode(b[:])
	return now, t.copyOut(a[0], b[:])
}

func sysGetrusage(t *Task, a *Args) (uint64, error) {
	var u usage
	switch a.Int(0) {
	case unix.RUSAGE_SELF:
		host := t.hostFaults()
		t.k.mu.Lock()
		u = t.proc.used()
		t.k.mu.Unlock()
		u.faults.add(host)
	case unix.RUSAGE_CHILDREN:
		t.k.mu.Lock()
		u = t.proc.clocks.children
		t.k.mu.Unlock()
	case unix.RUSAGE_THREAD:
		u = t.threadUsage()
	default:
		return 0, syscall.EINVAL
	}
	r := u.rusage()
	var b [abi.SizeRusage]byte
	r.Encode(b[:])
	return 0, t.copyOut(a[1], b[:])
}

// hostClock reads one of the host's clocks.
func hostClock(id int32) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return math.MaxInt64
	}
	return ts.Nano()
}
