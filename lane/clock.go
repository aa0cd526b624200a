package lane

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Deadlines cross a lane as CLOCK_MONOTONIC, which all processes of a host share.
var (
	clockStart = time.Now()
	clockMono  = func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return 1
		}
		return ts.Nano()
	}()
)

func monoNow() int64 { return clockMono + int64(time.Since(clockStart)) }

func fromMono(ns int64) time.Time { return clockStart.Add(time.Duration(ns - clockMono)) }

// deadlineOf returns ctx's deadline for the wire, 0 for none.
func deadlineOf(ctx context.Context) int64 {
	t, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(1, clockMono+int64(t.Sub(clockStart)))
}
