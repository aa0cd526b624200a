package cancel

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

var (
	// ErrAbandoned is wrapped by the error of a call that has not ended although it was cancelled: it may yet have
	// an effect.
	ErrAbandoned = errors.New("cancel: call abandoned, its outcome is in doubt")

	// ErrReclaimed is returned to those who ask for a late result that has been disposed of.
	ErrReclaimed = errors.New("cancel: late result reclaimed")

	// ErrExited is the result of a call that ended its goroutine (runtime.Goexit).
	ErrExited = errors.New("cancel: call exited")
)

// Abandonable runs call, whose wait perhaps even a cancel cannot end: fsync on a disk that hangs, open on a mount whose
// server is gone. It returns call's result. If ctx ends and call does not return within grace, Abandonable returns an
// *Abandoned[T], which wraps ErrAbandoned and the cause, and call is left behind.
//
// When the late result arrives it goes to whoever waits for it at that moment in [Abandoned.Wait]. If nobody does, and
// call succeeded, it is given to reclaim, unless nil, to close the descriptor or release the lock.
//
// The call runs on a goroutine of its own, which costs about a microsecond; a thread is given up for it only if it is
// abandoned, and ends with it. An abandoned call may still use its memory: do not let it share buffers with the caller. A
// panic of call ends the program, as in any goroutine that nobody recovers in.
//
//	fd, err := cancel.Abandonable(ctx, time.Second,
//		func(ctx context.Context) (int, error) { return cancel.Open(ctx, name, unix.O_RDONLY, 0) },
//		func(fd int) { unix.Close(fd) })
func Abandonable[T any](ctx context.Context, grace time.Duration, call func(context.Context) (T, error), reclaim func(T)) (T, error) {
	if ctx.Done() == nil {
		return call(ctx)
	}
	a := &Abandoned[T]{ended: make(chan struct{}), reclaim: reclaim, keepers: 1}
	go a.run(ctx, call)
	select {
	case <-a.ended:
		return a.take()
	case <-ctx.Done():
	}
	if grace > 0 {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-a.ended:
			return a.take()
		case <-t.C:
		}
	}
	if a.abandon(context.Cause(ctx)) {
		var zero T
		return zero, a
	}
	return a.take()
}

// Abandoned is an abandoned call: an error, and the handle to its late result.
type Abandoned[T any] struct {
	ended   chan struct{} // closed when the result is there
	reclaim func(T)

	mu      sync.Mutex
	cause   error // not nil: abandoned
	keepers int   // those who want the result; one of them gets it
	taken   bool
	value   T
	err     error
}

// Error describes the abandoned call.
func (a *Abandoned[T]) Error() string { return fmt.Sprintf("%v: %v", ErrAbandoned, a.cause) }

// Unwrap returns ErrAbandoned and the cause of the cancel.
func (a *Abandoned[T]) Unwrap() []error { return []error{ErrAbandoned, a.cause} }

// Ended returns a channel that is closed when the call has ended.
func (a *Abandoned[T]) Ended() <-chan struct{} { return a.ended }

// Wait waits for the late result, which then belongs to the caller. It returns ErrReclaimed if the result came when
// nobody waited, or another Wait got it, and ctx's cause if ctx ends first.
func (a *Abandoned[T]) Wait(ctx context.Context) (T, error) {
	a.mu.Lock()
	a.keepers++
	a.mu.Unlock()
	select {
	case <-a.ended:
		return a.take()
	case <-ctx.Done():
	}
	a.drop()
	var zero T
	return zero, context.Cause(ctx)
}

// run makes the call.
func (a *Abandoned[T]) run(ctx context.Context, call func(context.Context) (T, error)) {
	value, err := *new(T), ErrExited
	defer func() {
		a.mu.Lock()
		a.value, a.err = value, err
		late := a.cause != nil
		close(a.ended)
		a.mu.Unlock()
		a.reclaimUnwanted()
		if late {
			// A goroutine that ends locked takes its thread along. The runtime started one more for as long as this one
			// was away, and would keep both.
			runtime.LockOSThread()
		}
	}()
	value, err = call(ctx)
}

// abandon gives the call up, unless it has ended.
func (a *Abandoned[T]) abandon(cause error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.ended:
		return false
	default:
	}
	a.cause = cause
	a.keepers--
	return true
}

// take returns the result to one of the keepers, after the end.
func (a *Abandoned[T]) take() (T, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keepers--
	if a.taken {
		var zero T
		return zero, ErrReclaimed
	}
	a.taken = true
	return a.value, a.err
}

// drop is for a keeper who does not want the result any more.
func (a *Abandoned[T]) drop() {
	a.mu.Lock()
	a.keepers--
	a.mu.Unlock()
	a.reclaimUnwanted()
}

// reclaimUnwanted disposes of a result that is there and that nobody wants.
func (a *Abandoned[T]) reclaimUnwanted() {
	a.mu.Lock()
	select {
	case <-a.ended:
	default:
		a.mu.Unlock()
		return
	}
	dispose := !a.taken && a.keepers == 0
	if dispose {
		a.taken = true
	}
	a.mu.Unlock()
	if dispose && a.err == nil && a.reclaim != nil {
		a.reclaim(a.value)
	}
}
