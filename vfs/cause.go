package vfs

import (
	"context"
	"errors"
)

// Why an operation's ctx ended, as context.Cause tells it. ErrInterrupted alone
// is restartable: a signal handler runs and the caller may ask again. All
// others are final.
var (
	// ErrInterrupted: a handled signal ended the wait.
	ErrInterrupted error = cause("interrupted by a signal")
	// ErrKilled: the calling thread is being ended.
	ErrKilled error = cause("caller killed")
	// ErrCallerDied: the client's process or connection is gone.
	ErrCallerDied error = cause("caller died")
	// ErrShutdown: the box is closing.
	ErrShutdown error = cause("shutting down")
	// ErrDeadline: the operation's time is over.
	ErrDeadline error = cause("deadline exceeded")
)

// ErrNotBegun is an ErrInterrupted of an operation that had not begun when the signal came:
// it has not waited, and may be begun anew without anybody being able to tell.
var ErrNotBegun error = notBegun{}

type notBegun struct{}

func (notBegun) Error() string { return ErrInterrupted.Error() + " before it began" }

func (notBegun) Is(target error) bool { return target == ErrInterrupted || target == context.Canceled }

// NotBegun is the outcome of an operation whose ctx had ended before it began.
func NotBegun(ctx context.Context) error {
	err := context.Cause(ctx)
	if c, ok := err.(cause); ok {
		return c.NotBegun()
	}
	return err
}

// ErrInDoubt is the outcome of an operation whose server died or was abandoned
// between start and reply: it may or may not have had its effect.
var ErrInDoubt = errors.New("vfs: outcome in doubt")

// cause is an error that counts as context.Canceled (ErrDeadline as
// context.DeadlineExceeded), so that code written for plain contexts knows it.
type cause string

// NotBegun is the cause that package cancel gives to a call that it has not begun.
func (c cause) NotBegun() error {
	if error(c) == ErrInterrupted {
		return ErrNotBegun
	}
	return c
}

func (c cause) Error() string { return "vfs: " + string(c) }

func (c cause) Is(target error) bool {
	if error(c) == ErrDeadline {
		return target == context.DeadlineExceeded
	}
	return target == context.Canceled
}

// Interrupted reports whether err is the restartable outcome.
func Interrupted(err error) bool { return errors.Is(err, ErrInterrupted) }

// Waits is for operations that wait for others: a signal that comes before they begin is
// one that ends the wait. It makes ErrInterrupted of ErrNotBegun.
func Waits(err error) error {
	if err == ErrNotBegun {
		return ErrInterrupted
	}
	return err
}
