package lane_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

// cpuTime returns the processor time that a process has used, in ns.
func cpuTime(pid int) int64 {
	var ts unix.Timespec
	unix.ClockGettime(int32(^pid<<3|2), &ts) // the process's clock: CPUCLOCK_SCHED
	return ts.Nano()
}

// BenchmarkProcess calls a server in another process. On a machine that does
// other things, its cpu-ns/op tells more than the time.
func BenchmarkProcess(b *testing.B) {
	p := startServer(b)
	c := dial(b, p, lane.Config{}).Lane
	for _, callers := range []int{1, 8, 64} {
		b.Run("callers="+string(rune('0'+callers/10))+string(rune('0'+callers%10)), func(b *testing.B) {
			used := cpuTime(os.Getpid()) + cpuTime(p.Process.Pid)
			b.ReportAllocs()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					req := lane.Message{Op: opEcho, Data: make([]byte, 64)}
					rep := lane.Message{Data: make([]byte, 0, 64)}
					for range b.N/callers + 1 {
						if err := c.Call(context.Background(), &req, &rep); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			used = cpuTime(os.Getpid()) + cpuTime(p.Process.Pid) - used
			b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
		})
	}
}
