package cancel_test

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// BenchmarkCost compares what reading a byte costs in each way. The ways take turns in rounds of a thousand calls, and of
// each the best round counts: so what else the machine does disturbs the comparison least. Its figures are "ns/way";
// run it with -benchtime 5000x, which is the number of rounds.
func BenchmarkCost(b *testing.B) {
	const calls = 1000
	fd, p := zero(b), make([]byte, 1)
	ctx, bg := cancellable(b), context.Background()
	f, err := cancel.OpenFile(ctx, "/dev/zero", os.O_RDONLY, 0)
	check(err)
	defer f.Close()
	ways := []struct {
		name string
		read func()
	}{
		{"syscall.Syscall", func() { syscallRead(fd, p) }},
		{"unix.Read", func() { _, _ = unix.Read(fd, p) }},
		{"Read/background", func() { _, _ = cancel.Read(bg, fd, p) }},
		{"Read", func() { _, _ = cancel.Read(ctx, fd, p) }},
		{"Syscall/background", func() { cancelRead(bg, fd, p) }},
		{"Syscall", func() { cancelRead(ctx, fd, p) }},
		{"syscall.Syscall6(pread)", func() { syscallPread(fd, p) }},
		{"Pread/background", func() { _, _ = cancel.Pread(bg, fd, p, 0) }},
		{"File.Read", func() { _, _ = f.Read(ctx, p) }},
		{"poll+read", func() {
			fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, _ = unix.Poll(fds[:], -1)
			_, _ = unix.Read(fd, p)
		}},
	}
	best := make([]time.Duration, len(ways))
	for i := range best {
		best[i] = math.MaxInt64
	}
	for b.Loop() {
		for i, way := range ways {
			start := time.Now()
			for range calls {
				way.read()
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	for i, way := range ways {
		b.ReportMetric(float64(best[i])/calls, "ns/"+way.name)
	}
	b.ReportMetric(0, "ns/op")
}
