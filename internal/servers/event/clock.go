package event

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// now returns the time in ns of one of baseOf's clocks. The runtime's clock is
// read without a system call, so the two most wanted ones are.
func now(clock int32) int64 {
	switch clock {
	case unix.CLOCK_MONOTONIC:
		m := monotonic()
		return int64(time.Since(m.start)) + m.offset
	case unix.CLOCK_REALTIME:
		return time.Now().UnixNano()
	}
	return hostClock(clock)
}

func hostClock(clock int32) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(clock, &ts) != nil {
		return 0 // not with a clock that every host has
	}
	return ts.Nano()
}

// mapping is how the runtime's monotonic clock, which shows only differences,
// lies to CLOCK_MONOTONIC.
type mapping struct {
	start  time.Time
	offset int64
}

// monotonic finds the mapping. The runtime's clock is read after the host's, so
// that ours is never ahead of that: no timer is early.
var monotonic = sync.OnceValue(func() mapping {
	m := mapping{start: time.Now(), offset: math.MinInt64}
	for range 10 {
		// The best of some: we may be preempted between the two.
		m.offset = max(m.offset, hostClock(unix.CLOCK_MONOTONIC)-int64(time.Since(m.start)))
	}
	return m
})
