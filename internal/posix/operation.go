package posix

import (
	"sync"
	"sync/atomic"
	"time"
)

// operation is a task's system call as others see it. To keep it costs a call
// that does not wait two stores, a lock that nobody else wants, and a look at the
// clock.
type operation struct {
	active  atomic.Bool
	waiting atomic.Bool // the task went to sleep in it
	asleep  atomic.Bool // it has not been woken since, or a server sees to that
	inHost  bool        // it goes on in the guest's own process; the task's own

	mu    sync.Mutex // a leaf; guards the rest
	nr    uint64
	args  Args
	path  string // the last one that the call named
	since time.Time

	// The wait on a granted descriptor that somebody last saw, and when first.
	granted      uint32
	grantedSince time.Time
}

// seeGranted returns since when, at least, the thread has been in such a wait.
func (o *operation) seeGranted(serial uint32) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.granted != serial {
		o.granted, o.grantedSince = serial, time.Now()
	}
	return o.grantedSince
}

// begin notes that a system call begins.
func (o *operation) begin(nr uint64, args *Args) {
	now := time.Now()
	o.mu.Lock()
	o.nr, o.args, o.path, o.since = nr, *args, "", now
	o.mu.Unlock()
	o.active.Store(true)
}

// end notes its end.
func (o *operation) end() {
	o.active.Store(false)
	if o.waiting.Load() {
		o.waiting.Store(false)
	}
	if o.asleep.Load() {
		o.asleep.Store(false)
	}
}

// names notes a path that the call was given.
func (o *operation) names(path string) {
	o.mu.Lock()
	o.path = path
	o.mu.Unlock()
}
