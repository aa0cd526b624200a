package posix

import (
	"math"
	"time"
)

// alarmClock counts on one of the clocks and calls expire when the time is
// there. Kernel.mu guards it.
type alarmClock struct {
	k      *Kernel
	now    func() int64 // the clock, ns; k.mu is held
	expire func(n int64)
	// cpu is the process on whose processor time the clock counts, nil for a
	// clock that always goes.
	cpu *Process

	next     int64 // 0 when disarmed
	interval int64
	host     *time.Timer
	round    uint64 // of host: an old one that comes late does nothing
	last     int64  // a processor clock when last looked at
	idle     time.Duration
	parked   bool
}

// set arms the alarm for the time next, and then every interval; next 0 disarms
// it.
func (a *alarmClock) set(next, interval int64) {
	a.next, a.interval = next, interval
	a.idle = 0
	a.schedule()
}

// left returns the time until it goes off, at least 1 ns if it is armed.
func (a *alarmClock) left() int64 {
	if a.next == 0 {
		return 0
	}
	return max(a.next-a.now(), 1)
}

func (a *alarmClock) schedule() {
	a.round++
	a.parked = false
	if a.host != nil {
		a.host.Stop()
		a.host = nil
	}
	if a.next == 0 {
		return
	}
	now := a.now()
	d := time.Duration(max(a.next-now, 0))
	if a.cpu != nil {
		d = a.pace(now, d)
		if a.parked {
			return
		}
	}
	round := a.round
	a.host = time.AfterFunc(d, func() {
		a.k.mu.Lock()
		defer a.k.mu.Unlock()
		if a.round == round {
			a.check()
		}
	})
}

// pace says when to look again at a processor clock that has d to go. It cannot
// go faster than all threads together. When no thread is at work, the alarm is
// parked until one goes on; threads that wait in the host are looked at more
// and more rarely.
func (a *alarmClock) pace(now int64, d time.Duration) time.Duration {
	d /= time.Duration(max(len(a.cpu.tasks), 1))
	d = max(d, 100*time.Microsecond)
	if now != a.last {
		a.last, a.idle = now, 0
		return d
	}
	atWork := false
	for _, t := range a.cpu.tasks {
		atWork = atWork || t.running.Load()
	}
	if !atWork {
		a.parked = true
		for _, t := range a.cpu.tasks {
			t.attention.Store(true)
		}
		return 0
	}
	const rarest = 100 * time.Millisecond
	a.idle = min(max(2*a.idle, d), max(rarest, d))
	return a.idle
}

// unpark is called when a thread of the process goes on.
func (a *alarmClock) unpark() {
	if a.parked {
		a.last = -1
		a.schedule()
	}
}

func (a *alarmClock) check() {
	now := a.now()
	if now < a.next {
		a.schedule()
		return
	}
	n := int64(1)
	if a.interval > 0 {
		n += (now - a.next) / a.interval
		a.next += n * a.interval
	} else {
		a.next = 0
	}
	a.schedule()
	a.expire(n)
}

// after returns the time d after now on a clock, not beyond its end.
func after(now, d int64) int64 {
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}
