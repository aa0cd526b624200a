package abi

import (
	"math"
	"time"
)

// Sizes of the time structures.
const (
	SizeTimespec   = 16
	SizeTimeval    = 16
	SizeItimerspec = 32
	SizeItimerval  = 32
	SizeTms        = 32
)

// Timespec is struct timespec. It converts from and to unix.Timespec and
// syscall.Timespec.
type Timespec struct {
	Sec, Nsec int64
}

// TimespecOf returns d as a Timespec with 0 <= Nsec < 1e9.
func TimespecOf(d time.Duration) Timespec {
	s, n := int64(d/time.Second), int64(d%time.Second)
	if n < 0 {
		s, n = s-1, n+1e9
	}
	return Timespec{s, n}
}

// Valid reports whether t is one that the kernel accepts as a time to wait.
func (t Timespec) Valid() bool { return t.Sec >= 0 && t.Nsec >= 0 && t.Nsec < 1e9 }

// Duration returns a Valid t, at most the largest Duration (292 years).
func (t Timespec) Duration() time.Duration { return duration(t.Sec, t.Nsec) }

// Encode writes t to b.
func (t Timespec) Encode(b []byte) { put2(b, t.Sec, t.Nsec) }

// Decode reads t from b.
func (t *Timespec) Decode(b []byte) { t.Sec, t.Nsec = get2(b) }

// Timeval is struct timeval.
type Timeval struct {
	Sec, Usec int64
}

// TimevalOf returns d as a Timeval with 0 <= Usec < 1e6, rounded down.
func TimevalOf(d time.Duration) Timeval {
	t := TimespecOf(d)
	return Timeval{t.Sec, t.Nsec / 1000}
}

// Valid reports whether t is one that the kernel accepts as a time to wait.
func (t Timeval) Valid() bool { return t.Sec >= 0 && t.Usec >= 0 && t.Usec < 1e6 }

// Duration returns a Valid t, at most the largest Duration (292 years).
func (t Timeval) Duration() time.Duration { return duration(t.Sec, t.Usec*1000) }

// Encode writes t to b.
func (t Timeval) Encode(b []byte) { put2(b, t.Sec, t.Usec) }

// Decode reads t from b.
func (t *Timeval) Decode(b []byte) { t.Sec, t.Usec = get2(b) }

// Itimerspec is struct itimerspec.
type Itimerspec struct {
	Interval, Value Timespec
}

// Encode writes t to b.
func (t Itimerspec) Encode(b []byte) {
	t.Interval.Encode(b)
	t.Value.Encode(b[SizeTimespec:])
}

// Decode reads t from b.
func (t *Itimerspec) Decode(b []byte) {
	t.Interval.Decode(b)
	t.Value.Decode(b[SizeTimespec:])
}

// Itimerval is struct itimerval.
type Itimerval struct {
	Interval, Value Timeval
}

// Encode writes t to b.
func (t Itimerval) Encode(b []byte) {
	t.Interval.Encode(b)
	t.Value.Encode(b[SizeTimeval:])
}

// Decode reads t from b.
func (t *Itimerval) Decode(b []byte) {
	t.Interval.Decode(b)
	t.Value.Decode(b[SizeTimeval:])
}

// ClockTicks is the number of times(2)'s ticks in a second (AT_CLKTCK).
const ClockTicks = 100

// Tms is struct tms, in ticks.
type Tms struct {
	Utime, Stime, Cutime, Cstime int64
}

// Encode writes t to b.
func (t *Tms) Encode(b []byte) {
	put2(b, t.Utime, t.Stime)
	put2(b[16:], t.Cutime, t.Cstime)
}

func duration(sec, nsec int64) time.Duration {
	const last = math.MaxInt64 / int64(time.Second)
	if sec > last || sec == last && nsec > math.MaxInt64%int64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(sec)*time.Second + time.Duration(nsec)
}

func put2(b []byte, x, y int64) {
	_ = b[15]
	le.PutUint64(b, uint64(x))
	le.PutUint64(b[8:], uint64(y))
}

func get2(b []byte) (x, y int64) {
	_ = b[15]
	return int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
}
