package cancel

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// do makes the call, again as long as it ends with an EINTR that no cancel stands behind. It returns the errno of the
// call, or the cause of the cancel: then the call had no effect.
func (c *call) do(ctx context.Context) error {
	done := ctx.Done()
	if done == nil {
		return c.plain()
	}
	for {
		w, err := begin(ctx, done)
		if err != nil {
			return err
		}
		o := w.claim()
		invoke(o, c)
		again, err := c.outcome(ctx, o)
		w.release(o)
		if !again {
			return err
		}
	}
}

// begin returns the watcher of ctx, or its cause if it has ended: what was not begun never reaches the kernel.
func begin(ctx context.Context, done <-chan struct{}) (*watcher, error) {
	select {
	case <-done:
		return nil, notBegun(ctx)
	default:
		return watch(ctx, done)
	}
}

// notBegun is the error of a call that never reached the kernel: ctx's cause, or what a cause with a method
// NotBegun says instead, for programs that want to know.
func notBegun(ctx context.Context) error {
	err := context.Cause(ctx)
	if c, ok := err.(interface{ NotBegun() error }); ok {
		return c.NotBegun()
	}
	return err
}

// outcome judges the call that invoke made as o. An EINTR means that nothing happened, as left does; so if the call
// was struck, it was cancelled.
func (c *call) outcome(ctx context.Context, o *op) (again bool, err error) {
	if c.r1 < ^uintptr(4094) {
		return false, nil
	}
	errno := unix.Errno(-c.r1)
	switch {
	case c.r1 == left, errno == unix.EINTR && o.state.Load() == opStruck:
		if o.cause.Load() == causeClosed {
			return false, os.ErrClosed
		}
		if c.r1 == left {
			return false, notBegun(ctx)
		}
		return false, context.Cause(ctx)
	case errno == unix.EINTR && !c.eintr:
		return true, nil
	}
	return false, errno
}

// n is the result as a count or descriptor.
func (c *call) n(err error) (int, error) {
	if err != nil {
		return -1, err
	}
	return int(c.r1), nil
}
