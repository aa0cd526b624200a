package event_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/event"
	"github.com/hati-os/hati/vfs"
)

// timerfd is what the host's and ours have in common.
type timerfd interface {
	settime(flags int, spec unix.ItimerSpec) (unix.ItimerSpec, error)
	gettime() unix.ItimerSpec
	read() (uint64, error)
	poll() vfs.Events
	wait()
	close()
}

type host struct {
	t  *testing.T
	fd int
}

func (h host) settime(flags int, spec unix.ItimerSpec) (old unix.ItimerSpec, err error) {
	err = unix.TimerfdSettime(h.fd, flags, &spec, &old)
	return old, err
}

func (h host) gettime() (spec unix.ItimerSpec) {
	if err := unix.TimerfdGettime(h.fd, &spec); err != nil {
		h.t.Fatal(err)
	}
	return spec
}

func (h host) read() (uint64, error) {
	b := make([]byte, 8)
	_, err := unix.Read(h.fd, b)
	return binary.NativeEndian.Uint64(b), err
}

func (h host) poll() vfs.Events { return hostPoll(h.t, h.fd, 0) }
func (h host) wait()            { hostPoll(h.t, h.fd, -1) }
func (h host) close()           { unix.Close(h.fd) }

type ours struct{ t *event.Timer }

func (o ours) settime(flags int, spec unix.ItimerSpec) (unix.ItimerSpec, error) {
	return o.t.Settime(flags, spec)
}
func (o ours) gettime() unix.ItimerSpec { return o.t.Gettime() }
func (o ours) read() (uint64, error) {
	b := make([]byte, 8)
	_, err := o.t.Read(ctx, b, 0)
	return binary.NativeEndian.Uint64(b), err
}
func (o ours) poll() vfs.Events { return o.t.Poll(allEvents) }
func (o ours) wait()            { wait(o.t, vfs.EventIn) }
func (o ours) close()           { o.t.Close() }

// both runs the test on the host's timers and on ours.
func both(t *testing.T, clock int, f func(t *testing.T, tm timerfd)) {
	t.Run("host", func(t *testing.T) {
		fd, err := unix.TimerfdCreate(clock, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		tm := host{t, fd}
		defer tm.close()
		f(t, tm)
	})
	t.Run("ours", func(t *testing.T) {
		o, err := event.NewTimer(clock)
		if err != nil {
			t.Fatal(err)
		}
		tm := ours{o}
		defer tm.close()
		f(t, tm)
	})
}

var clocks = map[string]int{"realtime": unix.CLOCK_REALTIME, "monotonic": unix.CLOCK_MONOTONIC, "boottime": unix.CLOCK_BOOTTIME}

func clockNow(clock int) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(clock), &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

func spec(value, interval time.Duration) unix.ItimerSpec {
	return unix.ItimerSpec{Value: unix.NsecToTimespec(int64(value)), Interval: unix.NsecToTimespec(int64(interval))}
}

func TestTimerArguments(t *testing.T) {
	for _, clock := range []int{-1, 2, 3, 10, 11, 100} {
		if _, err := event.NewTimer(clock); err != syscall.EINVAL {
			t.Errorf("clock %d: %v", clock, err)
		}
	}
	for _, clock := range []int{unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM} {
		if _, err := event.NewTimer(clock); err != nil {
			t.Errorf("clock %d: %v", clock, err)
		}
	}
	tm, _ := event.NewTimer(unix.CLOCK_MONOTONIC)
	if _, err := tm.Read(ctx, make([]byte, 7), 0); err != syscall.EINVAL {
		t.Errorf("short read: %v", err)
	}
	both(t, unix.CLOCK_REALTIME, func(t *testing.T, tm timerfd) {
		for _, c := range []struct {
			flags int
			spec  unix.ItimerSpec
			err   error
		}{
			{0, unix.ItimerSpec{Value: unix.Timespec{Sec: -1}}, syscall.EINVAL},
			{0, unix.ItimerSpec{Value: unix.Timespec{Nsec: 1e9}}, syscall.EINVAL},
			{0, unix.ItimerSpec{Value: unix.Timespec{Nsec: -1}}, syscall.EINVAL},
			{0, unix.ItimerSpec{Interval: unix.Timespec{Sec: -1}}, syscall.EINVAL},
			{0, unix.ItimerSpec{Interval: unix.Timespec{Nsec: 1e9}}, syscall.EINVAL},
			{4, unix.ItimerSpec{}, syscall.EINVAL},
			{3, unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt64}}, nil},
			{0, unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt64}, Interval: unix.Timespec{Sec: math.MaxInt64}}, nil},
			{0, unix.ItimerSpec{Interval: unix.Timespec{Sec: 1}}, nil},
		} {
			if _, err := tm.settime(c.flags, c.spec); err != c.err {
				t.Errorf("settime %d %+v: %v", c.flags, c.spec, err)
			}
			if ev := tm.poll(); ev != 0 {
				t.Errorf("settime %d %+v: poll %#x", c.flags, c.spec, ev)
			}
		}
		if _, err := tm.read(); err != syscall.EAGAIN {
			t.Errorf("read: %v", err)
		}
		// The interval of a disarmed timer stays to be seen.
		if got := tm.gettime(); got != spec(0, time.Second) {
			t.Errorf("gettime: %+v", got)
		}
	})
}

// TestTimerPast sets intervals that began long ago: all expirations are counted.
func TestTimerPast(t *testing.T) {
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			both(t, clock, func(t *testing.T, tm timerfd) {
				const interval = 7 * time.Millisecond
				start := clockNow(clock) - int64(100*interval) - 1
				tm.settime(unix.TFD_TIMER_ABSTIME, spec(time.Duration(start), interval))
				for i := range uint64(3) {
					tm.wait()
					if ev := tm.poll(); ev != vfs.EventIn {
						t.Errorf("poll: %#x", ev)
					}
					before := count(start, clockNow(clock), interval)
					n, err := tm.read()
					after := count(start, clockNow(clock), interval)
					if err != nil || n < before || n > after {
						t.Errorf("read %d: %d, %v, not between %d and %d", i, n, err, before, after)
					}
					start += int64(n) * int64(interval)
				}
				// One that is over and has no interval.
				tm.settime(unix.TFD_TIMER_ABSTIME, spec(1, 0))
				tm.wait()
				if n, err := tm.read(); n != 1 || err != nil {
					t.Errorf("once: %d, %v", n, err)
				}
				if _, err := tm.read(); err != syscall.EAGAIN || tm.poll() != 0 {
					t.Errorf("once and again: %v", err)
				}
				if got := tm.gettime(); got != (unix.ItimerSpec{}) {
					t.Errorf("gettime after the end: %+v", got)
				}
			})
		})
	}
}

// count returns how often a timer that first expired at start has by now.
func count(start, now int64, interval time.Duration) uint64 {
	if now < start {
		return 0
	}
	return uint64((now-start)/int64(interval)) + 1
}

// TestTimerRuns lets an interval timer run; it is never early.
func TestTimerRuns(t *testing.T) {
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			both(t, clock, func(t *testing.T, tm timerfd) {
				const interval = 2 * time.Millisecond
				begin := clockNow(clock)
				tm.settime(0, spec(interval, interval))
				var n uint64
				for n < 10 {
					tm.wait()
					got, err := tm.read()
					if n += got; err != nil {
						t.Fatal(err)
					}
				}
				if most := count(begin+int64(interval), clockNow(clock), interval); n > most {
					t.Errorf("%d expirations, at most %d were possible", n, most)
				}
				// Gettime of a timer that was not read goes on, too, and loses nothing.
				tm.wait()
				got := tm.gettime()
				if v := got.Value.Nano(); got.Interval.Nano() != int64(interval) || v <= 0 || v > int64(interval) {
					t.Errorf("gettime: %+v", got)
				}
				if n, err := tm.read(); n == 0 || err != nil {
					t.Errorf("read after gettime: %d, %v", n, err)
				}
			})
		})
	}
}

func TestTimerOldValue(t *testing.T) {
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			both(t, clock, func(t *testing.T, tm timerfd) {
				begin := clockNow(clock)
				old, _ := tm.settime(0, spec(100*time.Second, 3*time.Second))
				if old != (unix.ItimerSpec{}) {
					t.Errorf("the first: %+v", old)
				}
				old, _ = tm.settime(unix.TFD_TIMER_ABSTIME, spec(time.Duration(begin)+200*time.Second, 0))
				near(t, "old", old, 100*time.Second, 3*time.Second, begin, clock)
				near(t, "gettime", tm.gettime(), 200*time.Second, 0, begin, clock)
				// An expiration that nobody read is forgotten.
				ago := min(500*time.Second, time.Duration(begin)/2) // the machine may have started a minute ago
				if _, err := tm.settime(unix.TFD_TIMER_ABSTIME, spec(time.Duration(begin)-ago, time.Hour)); err != nil {
					t.Fatal(err)
				}
				tm.wait()
				old, _ = tm.settime(0, unix.ItimerSpec{})
				near(t, "old of an expired interval", old, time.Hour-ago, time.Hour, begin, clock)
				if _, err := tm.read(); err != syscall.EAGAIN || tm.poll() != 0 {
					t.Errorf("after disarming: %v", err)
				}
			})
		})
	}
}

// near checks a remaining time that was want when the clock stood at begin.
func near(t *testing.T, what string, got unix.ItimerSpec, want, interval time.Duration, begin int64, clock int) {
	t.Helper()
	least := int64(want) - (clockNow(clock) - begin)
	// The clocks of setting and asking may differ by their ticks.
	if v := got.Value.Nano(); v < least || v > int64(want)+int64(10*time.Millisecond) || got.Interval.Nano() != int64(interval) {
		t.Errorf("%s: %+v, want %v to %v and %v", what, got, time.Duration(least), want, interval)
	}
}

func TestTimerClose(t *testing.T) {
	tm, _ := event.NewTimer(unix.CLOCK_MONOTONIC)
	tm.Settime(0, spec(time.Hour, time.Hour))
	if got := fmt.Sprint(tm.Info().Clock, tm.Info().Ticks, tm.Info().Spec.Interval.Sec); got != "1 0 3600" {
		t.Error(got)
	}
	tm.Close()
	if tm.Poll(allEvents) != 0 {
		t.Error("ready after close")
	}
}

func BenchmarkTimerSettime(b *testing.B) {
	tm, _ := event.NewTimer(unix.CLOCK_MONOTONIC)
	s := spec(time.Hour, 0)
	b.ReportAllocs()
	for b.Loop() {
		tm.Settime(0, s)
	}
	tm.Close()
}

func BenchmarkTimerPoll(b *testing.B) {
	tm, _ := event.NewTimer(unix.CLOCK_MONOTONIC)
	tm.Settime(0, spec(time.Hour, 0))
	b.ReportAllocs()
	for b.Loop() {
		tm.Poll(allEvents)
	}
	tm.Close()
}
