package lane

import (
	"context"
	"slices"
	"sync"
	"time"
)

// reqCtx is a handler's context. It costs nothing until somebody waits for it:
// the channel and the deadline's timer are made by the first Done. Its Err is
// its cause, which context.Cause finds, also in contexts derived from it.
type reqCtx struct {
	mu       sync.Mutex
	err      error
	done     chan struct{}
	deadline int64 // CLOCK_MONOTONIC nanoseconds, 0 none
	timer    *time.Timer
	late     error // the cause when the deadline passes
	after    []*afterCancel
	watched  bool // somebody may still hold it after the request: not to be used again
}

var _ context.Context = (*reqCtx)(nil)

// Deadline implements context.Context.
func (c *reqCtx) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return fromMono(c.deadline), true
}

// Done implements context.Context.
func (c *reqCtx) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchLocked()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// watchLocked starts the deadline's timer. Whoever only asks Err is told of the
// deadline by the requester's cancel.
func (c *reqCtx) watchLocked() {
	c.watched = true
	if c.deadline != 0 && c.timer == nil && c.err == nil {
		c.timer = time.AfterFunc(time.Until(fromMono(c.deadline)), func() { c.cancel(c.late) })
	}
}

// Err implements context.Context; what it returns is the cause.
func (c *reqCtx) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context. A request carries no values.
func (c *reqCtx) Value(any) any { return nil }

// AfterFunc lets package context derive from c without a goroutine.
func (c *reqCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	c.watchLocked()
	if c.err != nil {
		c.mu.Unlock()
		go f()
		return func() bool { return false }
	}
	a := &afterCancel{f}
	c.after = append(c.after, a)
	c.mu.Unlock()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.after, a)
		if i < 0 {
			return false
		}
		c.after = slices.Delete(c.after, i, i+1)
		return true
	}
}

// OneRequest says that c ends with one request: who watches a context for many
// calls need not remember it.
func (c *reqCtx) OneRequest() {}

// afterCancel is what AfterFunc was given.
type afterCancel struct{ f func() }

// cancel ends c once; later causes change nothing.
func (c *reqCtx) cancel(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	after := c.after
	c.after = nil
	c.mu.Unlock()
	for _, a := range after {
		a.f()
	}
}

// finish lets go of whoever still watches and reports whether c can be used for
// another request.
func (c *reqCtx) finish() bool {
	c.mu.Lock()
	watched := c.watched
	c.mu.Unlock()
	if watched {
		c.cancel(context.Canceled)
	}
	return !watched
}

// reset prepares an unwatched c.
func (c *reqCtx) reset(deadline int64, late error) {
	c.err, c.deadline, c.late = nil, deadline, late
}

// finalKey finds the second context of WithFinal.
type finalKey struct{}

// WithFinal returns ctx, accompanied by a context that may yet end the call for
// good after ctx has been interrupted: a thread that waits for its interrupt to
// be acknowledged can still be killed at once.
func WithFinal(ctx, final context.Context) context.Context {
	return context.WithValue(ctx, finalKey{}, final)
}

func finalOf(ctx context.Context) context.Context {
	if f, ok := ctx.Value(finalKey{}).(context.Context); ok {
		return f
	}
	return context.Background()
}

// Killable returns a context for an operation that no signal interrupts: it ends
// for ctx's final causes only, which are those of the context that WithFinal put
// beside it. ctx's deadline goes along to the server.
func Killable(ctx context.Context) context.Context { return killable{finalOf(ctx), ctx} }

type killable struct {
	context.Context
	of context.Context
}

// Deadline implements context.Context: the earlier of the two.
func (k killable) Deadline() (time.Time, bool) {
	a, ok := k.Context.Deadline()
	b, okb := k.of.Deadline()
	if okb && (!ok || b.Before(a)) {
		return b, true
	}
	return a, ok
}
