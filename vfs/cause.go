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

// ErrInDoubt is the outcome of an operation whose server died or was abandoned
// between start and reply: it may or may not have had its effect.
var ErrInDoubt = errors.New("vfs: outcome in doubt")

// cause is an error that counts as context.Canceled (ErrDeadline as
// context.DeadlineExceeded), so that code written for plain contexts knows it.
type cause string

func (c cause) Error() string { return "vfs: " + string(c) }

func (c cause) Is(target error) bool {
	if error(c) == ErrDeadline {
		return target == context.DeadlineExceeded
	}
	return target == context.Canceled
}

// Interrupted reports whether err is the restartable outcome.
func Interrupted(err error) bool { return errors.Is(err, ErrInterrupted) }
