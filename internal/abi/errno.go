package abi

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The kernel's own results for an interrupted call (include/linux/errno.h).
// The guest never sees them: delivery of the signal turns them into a restart
// or into EINTR.
const (
	// ERESTARTSYS: restart if the handler has SA_RESTART, else EINTR.
	ERESTARTSYS syscall.Errno = 512
	// ERESTARTNOINTR: always restart.
	ERESTARTNOINTR syscall.Errno = 513
	// ERESTARTNOHAND: restart if no handler runs, else EINTR.
	ERESTARTNOHAND syscall.Errno = 514
	// ERESTART_RESTARTBLOCK: as ERESTARTNOHAND, but the restart is a
	// restart_syscall(2), with the time that remains.
	ERESTART_RESTARTBLOCK syscall.Errno = 516

	// ENOTSUPP is another number that is the kernel's own, but which a few
	// drivers let out.
	ENOTSUPP syscall.Errno = 524
)

// MaxErrno is the largest errno: a result r of a system call is an error when
// -MaxErrno <= int64(r) < 0.
const MaxErrno = 4095

// Result is what a system call leaves in RAX for err, or for n if err is 0.
func Result(n uint64, err syscall.Errno) uint64 {
	if err != 0 {
		return -uint64(err)
	}
	return n
}

// ErrnoOf splits the RAX of a system call into result and errno.
func ErrnoOf(rax uint64) (n uint64, err syscall.Errno) {
	if e := -rax; e != 0 && e <= MaxErrno {
		return 0, syscall.Errno(e)
	}
	return rax, 0
}

// ErrnoName returns the name of e ("ENOENT"), with the kernel's own restart
// codes, or its number when it has none.
func ErrnoName(e syscall.Errno) string {
	switch e {
	case ERESTARTSYS:
		return "ERESTARTSYS"
	case ERESTARTNOINTR:
		return "ERESTARTNOINTR"
	case ERESTARTNOHAND:
		return "ERESTARTNOHAND"
	case ERESTART_RESTARTBLOCK:
		return "ERESTART_RESTARTBLOCK"
	case ENOTSUPP:
		return "ENOTSUPP"
	case syscall.EOPNOTSUPP:
		return "EOPNOTSUPP" // x/sys/unix prefers the other name, ENOTSUP
	}
	if s := unix.ErrnoName(e); s != "" {
		return s
	}
	return strconv.Itoa(int(e))
}
