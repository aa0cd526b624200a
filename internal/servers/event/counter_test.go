package event_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/event"
	"github.com/hati-os/hati/vfs"
)

var ctx = context.Background()

const allEvents = vfs.EventsIn | vfs.EventsOut | vfs.EventPri | vfs.EventRdHup

func hostPoll(t *testing.T, fd int, timeout int) vfs.Events {
	p := []unix.PollFd{{Fd: int32(fd), Events: int16(allEvents)}}
	for {
		_, err := unix.Poll(p, timeout)
		if err == nil {
			return vfs.Events(uint16(p[0].Revents))
		}
		if err != unix.EINTR { // Go's preemption signals
			t.Fatal(err)
		}
	}
}

func result(n int, err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e.Error()
	}
	return fmt.Sprint(n)
}

// wait returns when one of events holds on f.
func wait(f vfs.Pollable, events vfs.Events) {
	came := make(chan struct{}, 1)
	w := &vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case came <- struct{}{}:
		default:
		}
	}}
	f.Watch(w)
	defer f.Unwatch(w)
	for f.Poll(events) == 0 {
		<-came
	}
}

func u64(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }

// TestCounterAgainstHost does the same to an eventfd of the host and to ours.
func TestCounterAgainstHost(t *testing.T) {
	values := [...]uint64{0, 1, 2, 1000, 1 << 32, math.MaxUint64 - 2, math.MaxUint64 - 1, math.MaxUint64}
	lengths := [...]int{8, 8, 8, 8, 0, 7}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		semaphore := seed%2 == 0
		flags := unix.EFD_NONBLOCK | unix.EFD_CLOEXEC
		if semaphore {
			flags |= unix.EFD_SEMAPHORE
		}
		start := uint(rng.IntN(3))
		fd, err := unix.Eventfd(start, flags)
		if err != nil {
			t.Fatal(err)
		}
		c := event.NewCounter(uint32(start), semaphore)
		for step := range 60 {
			var what, host, ours string
			if rng.IntN(2) == 0 {
				b := u64(values[rng.IntN(len(values))])[:lengths[rng.IntN(len(lengths))]]
				what = fmt.Sprint("write ", b)
				host, ours = result(unix.Write(fd, b)), result(c.Write(ctx, b, 0))
			} else {
				h := make([]byte, lengths[rng.IntN(len(lengths))]*2)
				o := make([]byte, len(h))
				what = fmt.Sprint("read ", len(h))
				host, ours = result(unix.Read(fd, h)), result(c.Read(ctx, o, 0))
				host, ours = host+fmt.Sprint(h), ours+fmt.Sprint(o)
			}
			if host != ours {
				t.Fatalf("seed %d step %d: %s: host %s, ours %s", seed, step, what, host, ours)
			}
			if h, o := hostPoll(t, fd, 0), c.Poll(allEvents); h != o {
				t.Fatalf("seed %d step %d: %s: poll: host %#x, ours %#x", seed, step, what, h, o)
			}
		}
		unix.Close(fd)
		c.Close()
	}
}

func TestCounterOverflow(t *testing.T) {
	c := event.NewCounter(5, false)
	c.Signal(math.MaxUint64)
	if ev := c.Poll(allEvents); ev != vfs.EventIn|vfs.EventErr || c.Count() != math.MaxUint64 {
		t.Errorf("poll %#x, count %d", ev, c.Count())
	}
}

func TestCounterWaits(t *testing.T) {
	c := event.NewCounter(0, true)
	var wg sync.WaitGroup
	const takers, each = 3, 200
	for range takers {
		wg.Go(func() {
			for i := 0; i < each; {
				if _, err := c.Read(ctx, make([]byte, 8), 0); err == nil {
					i++
					continue
				}
				wait(c, vfs.EventIn)
			}
		})
	}
	for range takers * each {
		c.Write(ctx, u64(1), 0)
	}
	wg.Wait()
	if c.Count() != 0 {
		t.Errorf("%d left", c.Count())
	}
}

func BenchmarkCounter(b *testing.B) {
	c := event.NewCounter(0, false)
	p := u64(1)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(ctx, p, 0)
		c.Read(ctx, p, 0)
	}
}
