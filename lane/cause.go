package lane

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Why a request was cancelled, as context.Cause tells the handler.
// ErrInterrupted alone is restartable; all others are final.
var (
	// ErrInterrupted: a handled signal ended the wait; the caller may ask again.
	ErrInterrupted error = cause("interrupted by a signal")
	// ErrKilled: the caller is being ended and does not wait for an answer.
	ErrKilled error = cause("caller killed")
	// ErrDeadline: the request's time is over.
	ErrDeadline error = cause("deadline exceeded")
	// ErrCallerDied: the caller's process or its end of the lane is gone.
	ErrCallerDied error = cause("caller died")
	// ErrShutdown: the server is closing.
	ErrShutdown error = cause("shutting down")
)

// What ends a call, or a whole lane.
var (
	// ErrInDoubt: the server died or was abandoned between start and reply.
	ErrInDoubt = errors.New("lane: outcome in doubt")
	// ErrClosed: this end was closed.
	ErrClosed = errors.New("lane: closed")
	// ErrPeerDied: the other end is closed or its process is gone.
	ErrPeerDied = errors.New("lane: the other end is gone")
	// ErrProtocol: the other end broke the rules.
	ErrProtocol = errors.New("lane: the other end broke the protocol")
	// ErrVersion: the ends speak different versions, or different protocols.
	ErrVersion = errors.New("lane: version or protocol mismatch")
	// ErrTooBig: the message, or the room asked for its answer, exceeds what the
	// lane can carry. Use a Memory object.
	ErrTooBig = fmt.Errorf("lane: more than the lane's arena (or objects than a message) can carry: %w", syscall.EMSGSIZE)
	// ErrRights: the object lacks a right that the operation needs.
	ErrRights = fmt.Errorf("lane: insufficient rights: %w", syscall.EPERM)
	// ErrBusy: a lane that has been used cannot be passed on.
	ErrBusy = fmt.Errorf("lane: an end in use cannot be passed on: %w", syscall.EBUSY)
)

// cause is an error that counts as context.Canceled (ErrDeadline as
// context.DeadlineExceeded), so that code written for plain contexts knows it.
type cause string

func (c cause) Error() string { return "lane: " + string(c) }

func (c cause) Is(target error) bool {
	if error(c) == ErrDeadline {
		return target == context.DeadlineExceeded
	}
	return target == context.Canceled
}

// Outcome is one of the four ways in which a call ends.
type Outcome uint8

// The outcomes.
const (
	Done        Outcome = iota // completed, in full or in part, or failed with an error
	Interrupted                // a restartable cause ended it; nothing happened
	Cancelled                  // a final cause ended it; nothing happened
	InDoubt                    // nobody can tell
)

func (o Outcome) String() string {
	return [...]string{"done", "interrupted", "cancelled", "in doubt"}[o&3]
}

// OutcomeOf tells from a Call's error how the call ended. Errors of the server
// itself ([syscall.Errno], [*RemoteError]) are outcomes of a call that is done;
// so a cause of the caller's own must not be an Errno. An interrupt named by
// [Causes] is not known here: test for it with errors.Is.
func OutcomeOf(err error) Outcome {
	var remote *RemoteError
	var errno syscall.Errno
	var nothing *notSent
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrInDoubt):
		return InDoubt
	case errors.As(err, &nothing):
		return Cancelled
	case errors.As(err, &remote):
		return Done
	case errors.Is(err, ErrInterrupted):
		return Interrupted
	case errors.Is(err, ErrTooBig), errors.Is(err, ErrRights), errors.Is(err, ErrBusy):
		return Cancelled
	case errors.As(err, &errno):
		return Done
	}
	return Cancelled
}

// DoubtError is an ErrInDoubt that says why the answer is not known.
type DoubtError struct{ Why error }

func (e *DoubtError) Error() string   { return ErrInDoubt.Error() + ": " + e.Why.Error() }
func (e *DoubtError) Unwrap() []error { return []error{ErrInDoubt, e.Why} }

// notSent wraps an error that ended the call before its request was sent.
type notSent struct{ err error }

func (e *notSent) Error() string { return "lane: not sent: " + e.err.Error() }
func (e *notSent) Unwrap() error { return e.err }

// RemoteError is a server's error that is no errno: only its text crosses.
// It unwraps to EIO.
type RemoteError struct{ Text string }

func (e *RemoteError) Error() string { return "lane: server: " + e.Text }
func (e *RemoteError) Unwrap() error { return syscall.EIO }

// Causes names the errors that an end uses for the causes, for programs with
// causes of their own. The zero value of a field is this package's error.
type Causes struct {
	Interrupted, Killed, Deadline, CallerDied, Shutdown error
}

// Codes of causes in a cancel word and in a reply. They are part of the wire
// format (docs/lane-protocol.md).
const (
	codeNone = iota
	codeInterrupted
	codeKilled
	codeDeadline
	codeCallerDied
	codeShutdown
	codeCancelled // a context was cancelled for a reason of the caller's own
	codeLast      = codeCancelled
)

var ownCauses = [...]error{
	codeInterrupted: ErrInterrupted,
	codeKilled:      ErrKilled,
	codeDeadline:    ErrDeadline,
	codeCallerDied:  ErrCallerDied,
	codeShutdown:    ErrShutdown,
	codeCancelled:   context.Canceled,
}

func (c *Causes) list() [codeLast]error {
	return [codeLast]error{codeInterrupted: c.Interrupted, codeKilled: c.Killed,
		codeDeadline: c.Deadline, codeCallerDied: c.CallerDied, codeShutdown: c.Shutdown}
}

// code returns the code of a cause; codeCancelled for one that it does not know.
func (c *Causes) code(err error) uint8 {
	for i, e := range c.list() {
		if e != nil && errors.Is(err, e) {
			return uint8(i)
		}
	}
	for i, e := range ownCauses {
		if e != nil && i != codeCancelled && errors.Is(err, e) {
			return uint8(i)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codeDeadline
	}
	return codeCancelled
}

// err returns the error for a code; an unknown code is a final cause.
func (c *Causes) err(code uint8) error {
	if code < codeLast {
		if e := c.list()[code]; e != nil {
			return e
		}
	}
	if code == codeNone || code > codeLast {
		code = codeCancelled
	}
	return ownCauses[code]
}
