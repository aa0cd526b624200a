package posix

import (
	"math/bits"
	"slices"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// sigQueue is a set of pending signals with what is known of each, in order of
// arrival. Kernel.mu guards it.
type sigQueue struct {
	set   abi.Sigset
	items []queuedSignal
}

// queuedSignal is one pending signal. uid is whose limit it counts against;
// timer is the timer whose only signal it is.
type queuedSignal struct {
	info  abi.Siginfo
	uid   uint32
	timer *posixTimer
	near  *Task // takes it if it may, though it is the process's
}

// synchronous are the signals that the thread itself caused: they go first.
const synchronous = abi.Sigset(1<<(syscall.SIGSEGV-1) | 1<<(syscall.SIGBUS-1) | 1<<(syscall.SIGILL-1) |
	1<<(syscall.SIGTRAP-1) | 1<<(syscall.SIGFPE-1) | 1<<(syscall.SIGSYS-1))

// first returns the signal of set that is delivered first, 0 for none.
func first(set abi.Sigset) syscall.Signal {
	if set == 0 {
		return 0
	}
	if s := set & synchronous; s != 0 {
		set = s
	}
	return syscall.Signal(bits.TrailingZeros64(uint64(set)) + 1)
}

// add appends a signal.
func (q *sigQueue) add(s queuedSignal) {
	q.set |= abi.SigBit(syscall.Signal(s.info.Signo))
	q.items = append(q.items, s)
}

// take removes the oldest entry for sig, which is pending. A signal whose
// details did not fit the limits has no entry: it says of itself that a user
// sent it.
func (q *sigQueue) take(sig syscall.Signal) queuedSignal {
	i := slices.IndexFunc(q.items, func(s queuedSignal) bool { return s.info.Signo == int32(sig) })
	if i < 0 {
		q.set &^= abi.SigBit(sig)
		return queuedSignal{info: abi.KillInfo(sig, abi.SI_USER, 0, 0)}
	}
	s := q.items[i]
	q.items = slices.Delete(q.items, i, i+1)
	if !slices.ContainsFunc(q.items, func(s queuedSignal) bool { return s.info.Signo == int32(sig) }) {
		q.set &^= abi.SigBit(sig)
	}
	return s
}

// drop removes all signals of set and returns what was queued.
func (q *sigQueue) drop(set abi.Sigset) (dropped []queuedSignal) {
	if q.set&set == 0 {
		return nil
	}
	q.set &^= set
	q.items = slices.DeleteFunc(q.items, func(s queuedSignal) bool {
		if !set.Has(syscall.Signal(s.info.Signo)) {
			return false
		}
		dropped = append(dropped, s)
		return true
	})
	return dropped
}
