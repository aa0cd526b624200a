// Package cancel makes blocking Linux system calls of a Go program cancellable by a context, exactly.
//
// Every function has the signature of its namesake in golang.org/x/sys/unix with a context in front. On return one of
// two things is true: the call had its effect and its result is returned, however late the context ended; or the error
// is the context's cause ([context.Cause]) and nothing happened: no byte was consumed, no descriptor made, no lock
// taken. There is no third case, no polling and no extra thread.
//
//	ctx, stop := context.WithTimeout(ctx, time.Second)
//	defer stop()
//	err := cancel.Flock(ctx, fd, unix.LOCK_EX) // context.DeadlineExceeded: the lock is not held
//
// # How
//
// The calls are made by three instructions: test the operation's cancel word, branch, enter the kernel. A cancel sets
// the word and then sends a signal to the one thread that makes the call. The signal's handler looks where the thread
// stood: inside the three instructions nothing has happened yet and the handler moves the thread out of them; behind
// them the result stands. docs/cancel.md has the argument that no cancel is lost, with a drawing.
//
// # Signals
//
// The signal is SIGSTKFLT unless [SetSignal] names another. The kernel never sends it, os/signal cannot take it, and
// its handler is assembly that touches the interrupted registers only, restarts whatever else it interrupts
// (SA_RESTART), and passes signals that this package did not send to the handler it replaced.
//
// No other signal ends a call: an EINTR that no cancel stands behind is hidden from the caller, and a timeout goes on
// from where it was. The exception is [Syscall], which does not know what its arguments mean; see there.
//
// # Waits that the kernel does not interrupt
//
// Some waits end for no signal but SIGKILL (a dead network mount, a disk). [Abandonable] runs a call on a goroutine of
// its own and gives it up after a grace time.
//
// # Concurrency
//
// All functions and methods may be called by any number of goroutines at once. Like any blocking system call, a call
// that waits keeps one thread, but no processor of the Go scheduler.
//
// # Limits
//
// Linux on amd64 and arm64; no cgo, though it works in programs that use it. It imports the standard library and
// golang.org/x/sys only.
//
// Lock order: registry.mu, watcher.mu; File.mu is never held with either. No lock is held during a call.
package cancel
