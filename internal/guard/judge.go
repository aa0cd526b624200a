package guard

import (
	"context"
	"errors"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// doubt is why a call is in doubt.
type doubt string

func (d doubt) Error() string { return "guard: " + string(d) + ": the outcome is in doubt" }

func (d doubt) Is(target error) bool { return target == vfs.ErrInDoubt }

var (
	errAbandoned error = doubt("the server did not answer")
	errPanicked  error = doubt("the server panicked")
	errExited    error = doubt("the server ended its goroutine")
	errNonsense  error = doubt("the server answered nonsense")
)

// lastErrno is the largest that a guest may see: what lies behind means
// something inside of POSIX.
const lastErrno = syscall.Errno(133)

// judge makes an error of a server's one that callers can rely on: an errno, the
// cause of ctx when that has ended, or in doubt.
func (g *Guard) judge(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	e, ok := err.(syscall.Errno) // nearly always
	if !ok && !errors.As(err, &e) {
		switch {
		case errors.Is(err, vfs.ErrInDoubt):
			return err
		case !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
			g.logf("an error that is no errno", err)
			return syscall.EIO
		}
		e = syscall.EINTR
	}
	switch {
	case e == syscall.EINTR:
		// It says that it was interrupted and did nothing. Only the caller's ctx
		// interrupts.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		g.logf("an interruption that nobody asked for", err)
		return errNonsense
	case e == 0 || e > lastErrno:
		g.logf("an errno that there is not", err)
		return errNonsense
	case ok:
		return err
	}
	return e
}

// count checks a result that counts bytes of a buffer. What was done is done,
// whatever the error.
func (g *Guard) count(n, most int, err error) (int, error) {
	if n < 0 || n > most {
		g.logf("a count that cannot be", errNonsense)
		return 0, errNonsense
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

func (g *Guard) logf(what string, err error) {
	if g.log != nil {
		g.log.Warn("server "+g.name+" returned "+what, "error", err)
	}
}

func (g *Guard) complain(o op, what string, more ...any) {
	if g.log != nil {
		call, object := o.about()
		g.log.Error("server "+g.name+" "+what, append([]any{"call", call, "object", object}, more...)...)
	}
}
