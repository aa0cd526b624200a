package cancel

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// Syscall makes the system call trap. It returns the call's two results; the error is a unix.Errno or the context's
// cause, and in the latter case the call had no effect.
//
// It does not know what the arguments mean. So it gives an EINTR back to the caller for the calls of which EINTR is the
// purpose (pause, rt_sigsuspend, rt_sigtimedwait) or whose timeout is relative, because only the caller can compute the
// rest: poll, ppoll, select, pselect6, epoll_wait, epoll_pwait, epoll_pwait2, nanosleep, clock_nanosleep, futex,
// semtimedop, recvmmsg, io_getevents, io_pgetevents, io_uring_enter. Every other call is repeated. And close(2) is never
// cancelled, nor repeated: it has freed the number even if it answers EINTR, which is hidden (clause 18).
//
// It is as exact as the call: one that answers EINTR when it has done a part, as fallocate and mlock may, has done a
// part. connect goes on behind its EINTR; use [Connect], which undoes it.
//
// A pointer must be converted to uintptr in the argument list itself, as for [unix.Syscall].
//
//go:uintptrescapes
func Syscall(ctx context.Context, trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err error) {
	if ctx.Done() == nil || trap == unix.SYS_CLOSE {
		for {
			r1, r2, errno := syscall.Syscall6(trap, a1, a2, a3, a4, a5, a6)
			switch {
			case errno == 0:
				return r1, r2, nil
			case trap == unix.SYS_CLOSE && errno == unix.EINTR:
				return 0, 0, nil
			case errno != unix.EINTR || answersEINTR(trap):
				return r1, r2, errno
			}
		}
	}
	c := call{trap: trap, a: [6]uintptr{a1, a2, a3, a4, a5, a6}, eintr: true}
	for {
		err := c.do(ctx)
		switch {
		case err == nil:
			return c.r1, c.r2, nil
		case err != unix.EINTR || answersEINTR(trap):
			return ^uintptr(0), 0, err
		}
	}
}

func answersEINTRAnywhere(trap uintptr) bool {
	switch trap {
	case unix.SYS_PPOLL, unix.SYS_PSELECT6, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_NANOSLEEP,
		unix.SYS_CLOCK_NANOSLEEP, unix.SYS_FUTEX, unix.SYS_SEMTIMEDOP, unix.SYS_RECVMMSG, unix.SYS_IO_GETEVENTS,
		unix.SYS_IO_PGETEVENTS, unix.SYS_IO_URING_ENTER, unix.SYS_RT_SIGSUSPEND, unix.SYS_RT_SIGTIMEDWAIT:
		return true
	}
	return false
}
