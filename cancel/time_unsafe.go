package cancel

import (
	"context"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file have a timeout and answer EINTR to every signal. They are repeated with the time that
// remains, so a wait that is interrupted a hundred times lasts as long as one that never is (clause 17).

// timer is the remaining time of a relative timeout.
type timer struct {
	end     time.Time // zero: for ever
	forever bool
	left    unix.Timespec
}

func newTimer(d time.Duration) timer {
	if d < 0 {
		return timer{forever: true}
	}
	t := timer{left: unix.NsecToTimespec(int64(d))}
	if d > 0 {
		t.end = time.Now().Add(d)
	}
	return t
}

// arg returns what the kernel is to be given: nil for ever.
func (t *timer) arg() *unix.Timespec {
	if t.forever {
		return nil
	}
	return &t.left
}

// remaining brings arg up to date and returns it as a duration.
func (t *timer) remaining() time.Duration {
	var d time.Duration
	if !t.end.IsZero() {
		d = max(0, time.Until(t.end))
	}
	t.left = unix.NsecToTimespec(int64(d))
	return d
}

// duration is ts, kept in the range of a Duration. It is negative, for ever, if ts is nil.
func duration(ts *unix.Timespec) (time.Duration, error) {
	switch {
	case ts == nil:
		return -1, nil
	case ts.Sec < 0 || ts.Nsec < 0 || ts.Nsec > 999999999:
		return 0, unix.EINVAL
	case ts.Sec > 1<<32:
		return 1 << 62, nil // 146 years
	}
	return time.Duration(ts.Nano()), nil
}

// Poll is poll(2), the timeout in milliseconds, negative for ever.
func Poll(ctx context.Context, fds []unix.PollFd, timeout int) (n int, err error) {
	d := time.Duration(-1)
	if timeout >= 0 {
		d = time.Duration(timeout) * time.Millisecond
	}
	return poll(ctx, nil, fds, d, nil)
}

// Ppoll is ppoll(2); a nil timeout is for ever. If sigmask is not nil the caller wants to see signals, and an EINTR is
// returned. A sigmask that blocks the signal of this package (see SetSignal) keeps cancels out.
func Ppoll(ctx context.Context, fds []unix.PollFd, timeout *unix.Timespec, sigmask *unix.Sigset_t) (n int, err error) {
	d, err := duration(timeout)
	if err != nil {
		return -1, err
	}
	return poll(ctx, nil, fds, d, sigmask)
}

func poll(ctx context.Context, f *File, fds []unix.PollFd, d time.Duration, sigmask *unix.Sigset_t) (n int, err error) {
	t := newTimer(d)
	for {
		c := call{trap: unix.SYS_PPOLL, eintr: true}
		c.p[0], c.a[1], c.p[2] = unsafe.Pointer(unsafe.SliceData(fds)), uintptr(len(fds)), unsafe.Pointer(t.arg())
		c.p[3], c.a[4] = unsafe.Pointer(sigmask), 8
		if f != nil {
			err = f.do(ctx, &c)
		} else {
			err = c.do(ctx)
		}
		if err != unix.EINTR || sigmask != nil {
			return c.n(err)
		}
		t.remaining()
	}
}

// EpollWait is epoll_wait(2), the timeout in milliseconds, negative for ever.
func EpollWait(ctx context.Context, epfd int, events []unix.EpollEvent, msec int) (n int, err error) {
	t := timer{forever: true}
	if msec >= 0 {
		t = newTimer(time.Duration(msec) * time.Millisecond)
	}
	for {
		c := call{trap: unix.SYS_EPOLL_PWAIT, eintr: true}
		c.a[0], c.p[1] = uintptr(epfd), unsafe.Pointer(unsafe.SliceData(events))
		c.a[2], c.a[3] = uintptr(len(events)), uintptr(msec)
		if err = c.do(ctx); err != unix.EINTR {
			return c.n(err)
		}
		if !t.forever {
			msec = int((t.remaining() + time.Millisecond - 1) / time.Millisecond)
		}
	}
}

// Nanosleep is nanosleep(2). If it is cancelled, leftover, unless nil, has the time that remained.
func Nanosleep(ctx context.Context, time *unix.Timespec, leftover *unix.Timespec) error {
	return ClockNanosleep(ctx, unix.CLOCK_MONOTONIC, 0, time, leftover)
}

// ClockNanosleep is clock_nanosleep(2), relative or, with TIMER_ABSTIME, absolute. If a relative sleep is cancelled,
// remain, unless nil, has the time that remained.
func ClockNanosleep(ctx context.Context, clockid int32, flags int, request *unix.Timespec, remain *unix.Timespec) error {
	until := *request
	if flags&unix.TIMER_ABSTIME == 0 {
		if _, err := duration(request); err != nil {
			return err
		}
		// A relative sleep goes by the time that passes, not by a clock that is set.
		if clockid == unix.CLOCK_REALTIME {
			clockid = unix.CLOCK_MONOTONIC
		}
		var now unix.Timespec
		if err := unix.ClockGettime(clockid, &now); err != nil {
			return err
		}
		until = add(now, *request)
	}
	c := call{trap: unix.SYS_CLOCK_NANOSLEEP}
	c.a[0], c.a[1], c.p[2] = uintptr(clockid), unix.TIMER_ABSTIME, unsafe.Pointer(&until)
	err := c.do(ctx)
	if err != nil && remain != nil && flags&unix.TIMER_ABSTIME == 0 {
		var now unix.Timespec
		if unix.ClockGettime(clockid, &now) == nil {
			*remain = sub(until, now)
		}
	}
	return err
}

const (
	futexWait       = 0
	futexWaitBitset = 9
	futexCommand    = 0x7f
	futexRealtime   = 0x100
	futexMatchAny   = 0xffffffff
)

// Futex is futex(2). The timeout of FUTEX_WAIT is relative, of the other waits absolute, as there. For FUTEX_REQUEUE
// and its like, whose fourth argument is a number, use [Syscall].
func Futex(ctx context.Context, addr *uint32, op int, val uint32, timeout *unix.Timespec, addr2 *uint32, val3 uint32) (n int, err error) {
	var until unix.Timespec
	if op&futexCommand == futexWait && timeout != nil {
		if _, err := duration(timeout); err != nil {
			return -1, err
		}
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return -1, err
		}
		until, timeout = add(now, *timeout), &until
		op, val3 = op&^(futexCommand|futexRealtime)|futexWaitBitset, futexMatchAny
	}
	c := call{trap: unix.SYS_FUTEX}
	c.p[0], c.a[1], c.a[2], c.p[3] = unsafe.Pointer(addr), uintptr(op), uintptr(val), unsafe.Pointer(timeout)
	c.p[4], c.a[5] = unsafe.Pointer(addr2), uintptr(val3)
	return c.n(c.do(ctx))
}

const second = 1e9

// add returns t + d, at most the largest time there is.
func add(t, d unix.Timespec) unix.Timespec {
	s, n := t.Sec+d.Sec, t.Nsec+d.Nsec
	if n >= second {
		s, n = s+1, n-second
	}
	if s < t.Sec {
		return unix.Timespec{Sec: 1<<63 - 1, Nsec: second - 1}
	}
	return unix.Timespec{Sec: s, Nsec: n}
}

// sub returns t - u, at least 0.
func sub(t, u unix.Timespec) unix.Timespec {
	s, n := t.Sec-u.Sec, t.Nsec-u.Nsec
	if n < 0 {
		s, n = s-1, n+second
	}
	if s < 0 {
		return unix.Timespec{}
	}
	return unix.Timespec{Sec: s, Nsec: n}
}
