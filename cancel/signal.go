package cancel

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrSignal is wrapped by the errors of SetSignal, and by every cancellable call when the handler cannot be installed.
var ErrSignal = errors.New("cancel: signal")

// cancelSignal is the signal in use, or to be used.
var cancelSignal atomic.Int32

func init() { cancelSignal.Store(int32(unix.SIGSTKFLT)) }

// setup installs the handler at the first cancellable call: by then the Go runtime has installed its own, which ours
// replaces for one signal.
var setup struct {
	sync.Mutex
	done atomic.Bool
	err  error
}

// SetSignal chooses the signal that interrupts cancelled calls, in place of SIGSTKFLT. It must come before the first
// cancellable call of the program.
//
// The signal may be SIGSTKFLT, SIGPWR, SIGIO, SIGALRM, SIGVTALRM, SIGUSR1 or SIGUSR2, and must not be blocked. Real-time
// signals are refused: their queue can be full, and then a cancel would be lost. Signals that this package did not
// send still reach the handler that was there before, so os/signal keeps working. But os/signal.Ignore of the chosen
// signal takes the handler away; the next cancel notices and installs it again, while a cancel at that very moment
// could be lost. os/signal cannot touch SIGSTKFLT, which is why it is the default.
func SetSignal(sig unix.Signal) error {
	switch sig {
	case unix.SIGSTKFLT, unix.SIGPWR, unix.SIGIO, unix.SIGALRM, unix.SIGVTALRM, unix.SIGUSR1, unix.SIGUSR2:
	default:
		return fmt.Errorf("%w %v cannot be used: %w", ErrSignal, sig, unix.EINVAL)
	}
	var mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &mask); err != nil {
		return fmt.Errorf("%w mask: %w", ErrSignal, err)
	}
	if mask.Val[0]&(1<<(sig-1)) != 0 {
		return fmt.Errorf("%w %v is blocked: %w", ErrSignal, sig, unix.EINVAL)
	}
	setup.Lock()
	defer setup.Unlock()
	if setup.done.Load() && cancelSignal.Load() != int32(sig) {
		return fmt.Errorf("%w: %v is in use: %w", ErrSignal, unix.Signal(cancelSignal.Load()), unix.EBUSY)
	}
	cancelSignal.Store(int32(sig))
	return nil
}

// ready makes sure that the handler has been installed.
func ready() error {
	if setup.done.Load() {
		return setup.err
	}
	setup.Lock()
	defer setup.Unlock()
	if setup.done.Load() {
		return setup.err
	}
	setup.err = install()
	setup.done.Store(true)
	return setup.err
}

// send interrupts a thread of this process, on behalf of an op whose word is set. The signal is pending when it
// returns. A standard signal can always be made pending, so there is no error to handle; and the thread cannot be gone,
// because the op waits for us.
func send(tid uint32) {
	// Somebody may have replaced the handler meanwhile; then the signal would do harm and the cancel be lost.
	if err := keepHandler(); err != nil {
		return
	}
	_, _, _ = unix.RawSyscall(unix.SYS_TGKILL, uintptr(ownPID), uintptr(tid), uintptr(cancelSignal.Load()))
}
