package posix

import (
	"math"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// posixTimer is a timer of timer_create(2). Kernel.mu guards it.
type posixTimer struct {
	alarmClock
	proc   *Process
	thread *Task // SIGEV_THREAD_ID
	id     int32
	event  abi.Sigevent

	queued  bool  // its signal is pending
	missed  int64 // expirations since it was queued
	overrun int32 // of the last signal delivered
}

// expired sends the timer's signal, or counts what it misses.
func (p *posixTimer) expired(n int64) {
	if p.event.Notify&^abi.SIGEV_THREAD_ID != abi.SIGEV_SIGNAL {
		return
	}
	if p.queued {
		p.missed += n
		return
	}
	p.missed = n - 1
	info := abi.TimerInfo(syscall.Signal(p.event.Signo), p.id, 0, p.event.Value)
	if p.thread != nil && p.thread.dying() {
		return
	}
	s := queuedSignal{info: info, timer: p}
	if p.cpu != nil && p.thread == nil {
		s.near = p.proc.busiest()
	}
	_ = p.proc.send(p.thread, s)
}

// taken is called when the timer's signal is delivered (info) or dropped (nil).
func (p *posixTimer) taken(info *abi.Siginfo) {
	p.queued = false
	if info == nil {
		return
	}
	p.overrun = int32(min(p.missed, math.MaxInt32))
	info.SetOverrun(p.overrun)
}

// timerClock returns a clock for timers, and the process whose processor time
// it is, if it is such a one. k.mu is held.
func (t *Task) timerClock(id int32) (now func() int64, cpu *Process, err error) {
	switch id {
	case unix.CLOCK_MONOTONIC:
		return monotonic, nil, nil
	case unix.CLOCK_REALTIME, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI:
		return func() int64 { return hostClock(id) }, nil, nil
	case unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		return nil, nil, syscall.EPERM
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		return t.proc.cpuTime, t.proc, nil
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return func() int64 { return int64(t.threadTime()) }, t.proc, nil
	case unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_MONOTONIC_COARSE, unix.CLOCK_REALTIME_COARSE:
		return nil, nil, syscall.EOPNOTSUPP
	}
	c, err := t.cpuClock(id)
	if err != nil {
		return nil, nil, err
	}
	return c.now, c.proc, nil
}

func sysTimerCreate(t *Task, a *Args) (uint64, error) {
	e := abi.Sigevent{Notify: abi.SIGEV_SIGNAL, Signo: int32(unix.SIGALRM)}
	if a[1] != 0 {
		var b [abi.SizeSigevent]byte
		if err := t.copyIn(a[1], b[:]); err != nil {
			return 0, err
		}
		e.Decode(b[:])
	}
	p := t.proc
	t.k.mu.Lock()
	now, cpu, err := t.timerClock(int32(a[0]))
	if err != nil {
		t.k.mu.Unlock()
		return 0, err
	}
	pt := &posixTimer{proc: p, event: e}
	pt.alarmClock = alarmClock{k: t.k, now: now, cpu: cpu, expire: pt.expired}
	if err := pt.receiver(); err != nil {
		t.k.mu.Unlock()
		return 0, err
	}
	tt := &p.clocks.timers
	if uint64(len(tt.posix)+t.k.queued[p.uid()]) >= p.limits[rlimitSigpending].Cur {
		t.k.mu.Unlock()
		return 0, syscall.EAGAIN
	}
	if tt.posix == nil {
		tt.posix = map[int32]*posixTimer{}
	}
	for pt.id = tt.lastID; tt.posix[pt.id] != nil; {
		pt.id = (pt.id + 1) & math.MaxInt32
	}
	tt.lastID = (pt.id + 1) & math.MaxInt32
	if a[1] == 0 {
		pt.event.Value = uint64(pt.id)
	}
	tt.posix[pt.id] = pt
	t.k.mu.Unlock()
	if err := t.copyOutUint32(a[2], uint32(pt.id)); err != nil {
		t.k.mu.Lock()
		delete(tt.posix, pt.id)
		t.k.mu.Unlock()
		return 0, err
	}
	return 0, nil
}

// receiver checks who is to get the signal. k.mu is held.
func (p *posixTimer) receiver() error {
	switch p.event.Notify {
	case abi.SIGEV_NONE:
		return nil
	case abi.SIGEV_SIGNAL | abi.SIGEV_THREAD_ID:
		if p.thread = p.proc.tasks[int(p.event.TID)]; p.thread == nil {
			return syscall.EINVAL
		}
	case abi.SIGEV_SIGNAL, abi.SIGEV_THREAD:
	default:
		return syscall.EINVAL
	}
	if !validSignal(int(p.event.Signo)) {
		return syscall.EINVAL
	}
	return nil
}

func (p *posixTimer) state() abi.Itimerspec {
	return abi.Itimerspec{
		Interval: abi.TimespecOf(time.Duration(p.interval)),
		Value:    abi.TimespecOf(time.Duration(p.left())),
	}
}

func (t *Task) posixTimer(id int) *posixTimer { return t.proc.clocks.timers.posix[int32(id)] }

func sysTimerSettime(t *Task, a *Args) (uint64, error) {
	var b [abi.SizeItimerspec]byte
	if a[2] == 0 {
		return 0, syscall.EINVAL
	}
	if err := t.copyIn(a[2], b[:]); err != nil {
		return 0, err
	}
	var v abi.Itimerspec
	v.Decode(b[:])
	if !v.Value.Valid() || !v.Interval.Valid() {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	p := t.posixTimer(a.Int(0))
	if p == nil {
		t.k.mu.Unlock()
		return 0, syscall.EINVAL
	}
	old := p.state()
	p.missed = 0
	d := v.Value.Duration()
	switch {
	case d == 0:
		p.set(0, 0)
	case a.Int(1)&unix.TIMER_ABSTIME != 0:
		p.set(int64(d), int64(v.Interval.Duration()))
	default:
		p.set(after(p.now(), int64(d)), int64(v.Interval.Duration()))
	}
	t.k.mu.Unlock()
	if a[3] == 0 {
		return 0, nil
	}
	old.Encode(b[:])
	return 0, t.copyOut(a[3], b[:])
}

func sysTimerGettime(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	p := t.posixTimer(a.Int(0))
	if p == nil {
		t.k.mu.Unlock()
		return 0, syscall.EINVAL
	}
	v := p.state()
	t.k.mu.Unlock()
	var b [abi.SizeItimerspec]byte
	v.Encode(b[:])
	return 0, t.copyOut(a[1], b[:])
}

func sysTimerGetoverrun(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	p := t.posixTimer(a.Int(0))
	if p == nil {
		return 0, syscall.EINVAL
	}
	return uint64(p.overrun), nil
}

func sysTimerDelete(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	p := t.posixTimer(a.Int(0))
	if p == nil {
		return 0, syscall.EINVAL
	}
	p.set(0, 0)
	delete(t.proc.clocks.timers.posix, p.id)
	return 0, nil
}
