package guard

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/internal/fault"
	"github.com/hati-os/hati/vfs"
)

// op is a call: its arguments, and its result once do has returned.
type op interface {
	do(ctx context.Context) error
	// late disposes of the result of a call without error for which nobody waits.
	late(g *Guard)
	// about says what is called, on what.
	about() (call, object string)
}

// The states of a slot. Above them stands the call's number, so that a cancel
// that is late never strikes the next call.
const (
	idle = iota
	running
	ended
	abandoned
	stateBits = 2
)

// slot is the place of one call at a time. While the call runs its fields are the
// server's side's; when it was abandoned they stay so, for ever.
type slot struct {
	state atomic.Uint64

	// Guarded by mu while the call is being made ready, and read under it.
	mu     sync.Mutex
	guard  *Guard
	op     op
	ctx    context.Context // the server's
	caller context.Context
	file   *file // whose close must wait for the call
	since  time.Time
	watch  *watch // looks after the call's end, once it was cancelled

	watched atomic.Bool // watch is set
	number  uint64
	err     error

	actor *Actor        // of whom it is; nil: of the pool
	start chan struct{} // of the pool: the worker is to run the call
	done  chan struct{} // of the pool: it has
	spent bool          // of the pool: the worker is gone

	// The frequent calls, which so need no memory.
	stat   statOp
	lookup lookupOp
	open   openOp
	read   readOp
	write  writeOp
}

// begin returns a slot for a call, locked until [slot.call].
func (g *Guard) begin(ctx context.Context) *slot {
	var s *slot
	if a, ok := ctx.Value(ActorKey{}).(*Actor); ok && a.inside.Load() {
		s = a.take()
	} else {
		s = g.pool.get()
	}
	s.mu.Lock()
	s.guard = g
	return s
}

// call has the server do o. On nil the result is in o, and the slot the caller's
// until [slot.end]. On an error it has been given up.
func (s *slot) call(ctx context.Context, o op, f *file) error {
	s.op, s.caller, s.file, s.ctx = o, ctx, f, s.serverContext(ctx)
	s.since = time.Now()
	s.number++
	n := s.number
	if s.actor != nil {
		// It runs, and can be abandoned, only when the coroutine has stopped.
		s.state.Store(n<<stateBits | idle)
		s.mu.Unlock()
		fault.Point("guard: begun")
		s.actor.yield(s)
	} else {
		s.state.Store(n<<stateBits | running)
		s.mu.Unlock()
		fault.Point("guard: begun")
		if ctx.Err() != nil {
			err := context.Cause(ctx)
			s.finish()
			s.end()
			return err
		}
		s.start <- struct{}{}
		s.wait(ctx, n, f)
	}
	fault.Point("guard: after the server")
	if s.state.Load()&(1<<stateBits-1) == abandoned {
		if s.actor != nil {
			s.actor.slot.Store(nil)
		}
		return errAbandoned
	}
	if err := s.err; err != nil {
		s.end()
		return err
	}
	return nil
}

// end gives the slot back.
func (s *slot) end() {
	if s.actor == nil {
		s.guard.pool.put(s)
	}
}

// run is the server's side.
func (s *slot) run() {
	// The state is set, so whoever ends ctx from now on finds the call running.
	fault.Point("guard: before the server")
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx) // what was not begun never reaches the server
		return
	}
	defer s.recovered()
	s.err = errExited
	s.err = s.guard.judge(s.ctx, s.op.do(s.ctx))
}

func (s *slot) recovered() {
	if p := recover(); p != nil {
		s.err = errPanicked
		s.guard.complain(s.op, "panicked", "panic", p, "stack", string(debug.Stack()))
	}
}

// finish ends the call, unless it was abandoned.
func (s *slot) finish() bool {
	fault.Point("guard: answered")
	n := s.number
	if !s.state.CompareAndSwap(n<<stateBits|running, n<<stateBits|ended) {
		return false
	}
	if s.watched.Load() {
		s.mu.Lock()
		s.unwatch()
		s.mu.Unlock()
	}
	return true
}

// abandon gives call n up, unless it has ended.
func (s *slot) abandon(n uint64, g *Guard, f *file) bool {
	fault.Point("guard: abandoning")
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !s.state.CompareAndSwap(n<<stateBits|running, n<<stateBits|abandoned) {
		return false
	}
	g.abandoned[s] = struct{}{}
	g.lost.Add(1)
	if f != nil {
		f.lost++
	}
	return true
}

// late is the last thing that the goroutine of an abandoned call does.
func (s *slot) late() {
	if s.err == nil {
		func() {
			defer s.recovered()
			s.op.late(s.guard)
		}()
	}
	g := s.guard
	g.mu.Lock()
	if o, ok := s.op.(*lockOp); ok {
		g.lockEnds(o)
	}
	delete(g.abandoned, s)
	g.mu.Unlock()
	g.lost.Add(-1)
	if s.file != nil {
		s.file.answered()
	}
	// A goroutine that ends locked takes its thread along: the runtime has started
	// another one if this one was blocked in the host, and would keep both.
	runtime.LockOSThread()
}

// patience is how long a server may take to settle a call that ended so.
func (g *Guard) patience(cause error) time.Duration {
	switch cause {
	case vfs.ErrKilled, vfs.ErrCallerDied, vfs.ErrShutdown, vfs.ErrDeadline, context.DeadlineExceeded:
		return 0
	}
	return g.grace
}

// serverContext returns what the server gets: a ctx that does not lead to the
// caller's actor, for the server runs on another goroutine.
func (s *slot) serverContext(ctx context.Context) context.Context {
	if s.actor != nil {
		return s.actor.hide(ctx)
	}
	if ctx.Value(ActorKey{}) != nil {
		return &serverContext{ctx}
	}
	return ctx
}
