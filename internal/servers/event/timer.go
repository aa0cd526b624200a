package event

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
)

// Timer is a timerfd. All methods may be called concurrently; none waits.
//
// It keeps one runtime timer, which runs until the first expiration only; those
// of the interval after it are counted when somebody asks, so an unread timer
// costs nothing. The runtime's timers follow CLOCK_MONOTONIC: when another clock
// is set forward, or the machine sleeps, an expiration of that clock is late.
type Timer struct {
	vfs.Queue
	clock int // as asked for; ALARM clocks do not wake the machine

	mu       sync.Mutex
	runtime  *time.Timer
	base     int32 // the clock that deadline is on
	deadline int64 // ns; the next expiration that is not counted in ticks
	interval int64 // ns, 0: once
	armed    bool  // deadline is to come
	expired  bool  // the deadline is over and counted; the interval goes on from it
	ticks    uint64
	flags    int
	closed   bool
}

var (
	_ vfs.File     = (*Timer)(nil)
	_ vfs.Reader   = (*Timer)(nil)
	_ vfs.Streamer = (*Timer)(nil)
	_ vfs.Pollable = (*Timer)(nil)
)

// NewTimer returns a disarmed timer on clock: CLOCK_REALTIME, CLOCK_MONOTONIC,
// CLOCK_BOOTTIME or one of the ALARM clocks (for which the caller checks the
// privilege); EINVAL for others.
func NewTimer(clock int) (*Timer, error) {
	switch clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		return &Timer{clock: clock}, nil
	}
	return nil, syscall.EINVAL
}

// baseOf returns the host's clock behind clock. A relative time does not follow
// when CLOCK_REALTIME is set.
func baseOf(clock int, relative bool) int32 {
	switch clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM:
		if relative {
			return unix.CLOCK_MONOTONIC
		}
		return unix.CLOCK_REALTIME
	case unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		return unix.CLOCK_BOOTTIME
	}
	return unix.CLOCK_MONOTONIC
}

// nanos converts ts; false when it is not a valid time. Times that are too far
// away are the farthest.
func nanos(ts unix.Timespec) (int64, bool) {
	if ts.Sec < 0 || ts.Nsec < 0 || ts.Nsec >= 1e9 {
		return 0, false
	}
	if ts.Sec >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64, true
	}
	return ts.Sec*1e9 + ts.Nsec, true
}

// Settime arms the timer, or with a zero spec.Value disarms it, and returns what
// Gettime would have returned (timerfd_settime(2)). Expirations that were not
// read are forgotten. flags: TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET (taken,
// but the host's clocks are not watched). EINVAL for other flags or times.
func (t *Timer) Settime(flags int, spec unix.ItimerSpec) (old unix.ItimerSpec, err error) {
	value, ok1 := nanos(spec.Value)
	interval, ok2 := nanos(spec.Interval)
	if !ok1 || !ok2 || flags&^(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET) != 0 {
		return old, syscall.EINVAL
	}
	t.mu.Lock()
	old = t.get(false)
	t.ticks, t.expired, t.armed = 0, false, false
	t.interval, t.flags = interval, flags
	if t.runtime != nil {
		t.runtime.Stop()
	}
	due := false
	if value != 0 && !t.closed {
		relative := flags&unix.TFD_TIMER_ABSTIME == 0
		t.base = baseOf(t.clock, relative)
		t.deadline = value
		if relative {
			t.deadline = addSat(now(t.base), value)
		}
		t.armed = true
		if due = t.expire(); !due {
			t.start()
		}
	}
	t.mu.Unlock()
	if due {
		t.Notify(vfs.EventIn)
	}
	return old, nil
}

func addSat(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// start has the runtime call fire at the deadline. The caller holds mu.
func (t *Timer) start() {
	d := time.Duration(t.deadline - now(t.base))
	if t.runtime == nil {
		t.runtime = time.AfterFunc(d, t.fire)
	} else {
		t.runtime.Reset(d)
	}
}

// fire may also come for a setting that is no more: the clock tells. Somebody
// who asked may have counted the expiration already.
func (t *Timer) fire() {
	t.mu.Lock()
	t.expire()
	due := t.ticks != 0
	if t.armed {
		t.start()
	}
	t.mu.Unlock()
	if due {
		t.Notify(vfs.EventIn)
	}
}

// expire counts the deadline, if it is over, and reports whether it was. The
// caller holds mu.
func (t *Timer) expire() bool {
	if !t.armed || now(t.base) < t.deadline {
		return false
	}
	t.armed, t.expired = false, true
	t.ticks++
	return true
}

// forward moves the deadline of an expired interval timer past now and returns
// by how many intervals. The caller holds mu.
func (t *Timer) forward() uint64 {
	late := now(t.base) - t.deadline
	if late < 0 {
		return 0
	}
	n := late/t.interval + 1
	t.deadline = addSat(t.deadline, n*t.interval)
	return uint64(n)
}

// resume counts the expirations since the first one and goes on. The caller
// holds mu.
func (t *Timer) resume() {
	if !t.expired || t.interval == 0 {
		return
	}
	// The first of them, the deadline itself, is counted already.
	t.ticks += t.forward() - 1
	t.expired, t.armed = false, true
	t.start()
}

// Gettime returns the time until the next expiration and the interval
// (timerfd_gettime(2)).
func (t *Timer) Gettime() unix.ItimerSpec {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(true)
}

func (t *Timer) get(restart bool) unix.ItimerSpec {
	t.expire()
	if restart {
		t.resume()
	} else if t.expired && t.interval != 0 {
		t.forward()
		t.armed = true // for the line below; the caller sets the timer anew
	}
	spec := unix.ItimerSpec{Interval: unix.NsecToTimespec(t.interval)}
	if t.armed {
		spec.Value = unix.NsecToTimespec(max(1, t.deadline-now(t.base)))
	}
	return spec
}

// Read returns the number of expirations since the last Read or Settime. EAGAIN
// when there are none, EINVAL when p has less than 8 bytes.
func (t *Timer) Read(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) < 8 {
		return 0, syscall.EINVAL
	}
	t.mu.Lock()
	t.expire()
	if t.ticks == 0 {
		t.mu.Unlock()
		return 0, syscall.EAGAIN
	}
	t.resume()
	n := t.ticks
	t.ticks, t.expired = 0, false
	t.mu.Unlock()
	binary.NativeEndian.PutUint64(p, n)
	return 8, nil
}

// Poll implements vfs.Pollable.
func (t *Timer) Poll(mask vfs.Events) vfs.Events {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expire(); t.ticks == 0 {
		return 0
	}
	return mask & vfs.EventIn
}

// Info is what /proc's fdinfo shows of a timer.
type Info struct {
	Clock, Flags int
	Ticks        uint64
	Spec         unix.ItimerSpec
}

// Info returns the timer's state without changing it.
func (t *Timer) Info() Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := Info{Clock: t.clock, Flags: t.flags, Ticks: t.ticks}
	i.Spec.Interval = unix.NsecToTimespec(t.interval)
	if t.armed {
		i.Spec.Value = unix.NsecToTimespec(max(0, t.deadline-now(t.base)))
	}
	return i
}

// Node implements vfs.File.
func (t *Timer) Node() vfs.Node { return anon.Inode }

// IsStream implements vfs.Streamer.
func (t *Timer) IsStream() bool { return true }

// Close disarms the timer.
func (t *Timer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed, t.closed = false, true
	if t.runtime != nil {
		t.runtime.Stop()
	}
	return nil
}
