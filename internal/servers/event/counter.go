// Package event serves event counters (eventfd(2)) and timers (timerfd_create(2))
// as pollable files. It imports vfs, anon and x/sys only.
//
// Lock order: the file's lock, then its vfs.Queue's.
package event

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
)

// Counter is an eventfd. All methods may be called concurrently; none waits.
type Counter struct {
	vfs.Queue
	semaphore bool

	mu    sync.Mutex
	count uint64
}

var (
	_ vfs.File     = (*Counter)(nil)
	_ vfs.Reader   = (*Counter)(nil)
	_ vfs.Writer   = (*Counter)(nil)
	_ vfs.Streamer = (*Counter)(nil)
	_ vfs.Pollable = (*Counter)(nil)
)

// NewCounter returns an eventfd that starts at count; with semaphore reads take
// one at a time (EFD_SEMAPHORE).
func NewCounter(count uint32, semaphore bool) *Counter {
	return &Counter{count: uint64(count), semaphore: semaphore}
}

// Node implements vfs.File.
func (c *Counter) Node() vfs.Node { return anon.Inode }

// Close implements vfs.File.
func (c *Counter) Close() error { return nil }

// IsStream implements vfs.Streamer.
func (c *Counter) IsStream() bool { return true }

// Count returns the counter (/proc's eventfd-count).
func (c *Counter) Count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Read takes the counter, or one of a semaphore. EAGAIN when it is zero, EINVAL
// when p has less than 8 bytes.
func (c *Counter) Read(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) < 8 {
		return 0, syscall.EINVAL
	}
	c.mu.Lock()
	n := c.count
	if n == 0 {
		c.mu.Unlock()
		return 0, syscall.EAGAIN
	}
	if c.semaphore {
		n = 1
	}
	c.count -= n
	c.mu.Unlock()
	c.Notify(vfs.EventOut)
	binary.NativeEndian.PutUint64(p, n)
	return 8, nil
}

// Write adds to the counter. EAGAIN when it would pass the maximum, EINVAL when
// p is not 8 bytes or is that maximum plus one.
func (c *Counter) Write(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) != 8 {
		return 0, syscall.EINVAL
	}
	n := binary.NativeEndian.Uint64(p)
	if n == math.MaxUint64 {
		return 0, syscall.EINVAL
	}
	c.mu.Lock()
	if n >= math.MaxUint64-c.count {
		c.mu.Unlock()
		return 0, syscall.EAGAIN
	}
	c.count += n
	c.mu.Unlock()
	c.Notify(vfs.EventIn)
	return 8, nil
}

// Signal adds n as a kernel service does (aio, KVM): past the maximum the counter
// overflows, which poll shows as an error.
func (c *Counter) Signal(n uint64) {
	c.mu.Lock()
	c.count += min(n, math.MaxUint64-c.count)
	ev := vfs.EventIn
	if c.count == math.MaxUint64 {
		ev |= vfs.EventErr
	}
	c.mu.Unlock()
	c.Notify(ev)
}

// Poll implements vfs.Pollable.
func (c *Counter) Poll(mask vfs.Events) vfs.Events {
	c.mu.Lock()
	n := c.count
	c.mu.Unlock()
	var ev vfs.Events
	if n > 0 {
		ev |= vfs.EventIn
	}
	if n == math.MaxUint64 {
		ev |= vfs.EventErr
	}
	if n < math.MaxUint64-1 {
		ev |= vfs.EventOut
	}
	return ev & (mask | vfs.EventErr | vfs.EventHup)
}
