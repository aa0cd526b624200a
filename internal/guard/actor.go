package guard

import (
	"context"
	"iter"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/internal/fault"
)

// ActorKey is the key under which a ctx has the [Actor] on whose coroutine it is
// used. Such a ctx must not be used on any other goroutine while the actor runs.
type ActorKey struct{}

// Actor is somebody who runs on a coroutine, and so can leave calls at little
// cost. The zero Actor is ready for [Actor.Run].
type Actor struct {
	inside atomic.Bool // the coroutine has begun, and not ended
	slot   atomic.Pointer[slot]
	server *serverContext

	next  func() (*slot, bool)
	yield func(*slot) bool
}

// Run runs body as a coroutine, on the calling goroutine first, and returns when
// body has ended or a call of its was abandoned; the rest of body is then run by
// another goroutine.
func (a *Actor) Run(body func()) {
	a.next, _ = iter.Pull(func(yield func(*slot) bool) {
		a.yield = yield
		a.inside.Store(true)
		defer a.inside.Store(false)
		body()
	})
	a.drive()
}

// drive runs the coroutine, and the calls that it makes.
func (a *Actor) drive() {
	var s *slot
	defer func() {
		if s == nil {
			return
		}
		// The server ended the goroutine.
		if s.finish() {
			go a.drive()
		} else {
			s.late()
		}
	}()
	for {
		next, more := a.next()
		if !more {
			return
		}
		s = next
		s.state.Store(s.number<<stateBits | running)
		s.run()
		if !s.finish() {
			lost := s
			s = nil
			lost.late()
			return
		}
		s = nil
	}
}

// take returns the actor's slot. Only the coroutine calls it.
func (a *Actor) take() *slot {
	s := a.slot.Load()
	if s == nil {
		s = &slot{actor: a}
		a.slot.Store(s)
	}
	return s
}

// Cancelled is called after a ctx of the actor's has ended, and again when the
// end has become final. It does not block; anyone may call it.
func (a *Actor) Cancelled() {
	s := a.slot.Load()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state.Load()
	if n&(1<<stateBits-1) != running {
		return
	}
	n >>= stateBits
	if w := s.watch; w != nil && w.number == n {
		select {
		case w.urge <- struct{}{}:
		default:
		}
		return
	}
	s.unwatch()
	w := &watch{number: n, guard: s.guard, file: s.file, ctx: s.caller, urge: make(chan struct{}, 1), done: make(chan struct{})}
	s.watch = w
	s.watched.Store(true)
	fault.Point("guard: watched")
	if s.state.Load() != n<<stateBits|running {
		s.unwatch() // it ended before it could see the watch
		return
	}
	go a.settle(s, w)
}

// watch looks after a call whose ctx has ended.
type watch struct {
	number uint64
	guard  *Guard
	file   *file
	ctx    context.Context
	urge   chan struct{} // the cause has changed
	done   chan struct{} // closed when the call has ended
}

// unwatch ends the watch. mu is held.
func (s *slot) unwatch() {
	if s.watch != nil {
		close(s.watch.done)
		s.watch = nil
		s.watched.Store(false)
	}
}

// settle gives the call up when its grace time is over, and then drives the
// actor.
func (a *Actor) settle(s *slot, w *watch) {
	var over <-chan time.Time
	for {
		d := w.guard.patience(context.Cause(w.ctx))
		if d <= 0 {
			// The server has heard of it, too: it may be about to settle.
			runtime.Gosched()
			break
		}
		if over == nil {
			t := time.NewTimer(d)
			defer t.Stop()
			over = t.C
		}
		select {
		case <-w.done:
			return
		case <-w.urge:
			continue
		case <-over:
		}
		break
	}
	if s.abandon(w.number, w.guard, w.file) {
		a.drive()
	}
}

// serverContext is a ctx without its actor.
type serverContext struct{ context.Context }

// Value hides the actor.
func (c *serverContext) Value(key any) any {
	if _, ok := key.(ActorKey); ok {
		return nil
	}
	return c.Context.Value(key)
}

// AfterFunc is for package context: it spares a goroutine.
func (c *serverContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, f)
}

// hide returns ctx without the actor. Only the coroutine calls it.
func (a *Actor) hide(ctx context.Context) context.Context {
	if a.server == nil || a.server.Context != ctx {
		a.server = &serverContext{ctx}
	}
	return a.server
}
