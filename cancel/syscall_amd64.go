package cancel

import "golang.org/x/sys/unix"

// answersEINTR says that Syscall does not repeat the call trap.
func answersEINTR(trap uintptr) bool {
	switch trap {
	case unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_EPOLL_WAIT, unix.SYS_PAUSE:
		return true
	}
	return answersEINTRAnywhere(trap)
}
