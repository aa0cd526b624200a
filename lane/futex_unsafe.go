package lane

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	futexWakeOp     = 1
	futex2SizeU32   = 2
	futex2Private   = 128
	sysFutexWaitv   = 449 // the same on every architecture
	futexWaitvLimit = 128
)

// futexWaiter is the kernel's struct futex_waitv.
type futexWaiter struct {
	val   uint64
	addr  uint64
	flags uint32
	_     uint32
}

// futexWake wakes all who wait on the shared word at off.
func futexWake(m []byte, off int) {
	syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&m[off])), futexWakeOp, 1<<31-1, 0, 0, 0)
}

// futexWakePrivate wakes who waits on w in this process.
func futexWakePrivate(w *uint32) {
	syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(w)), futexWakeOp|futex2Private, 1<<31-1, 0, 0, 0)
}

func futexAddr(m []byte, off int) uint64 { return uint64(uintptr(unsafe.Pointer(&m[off]))) }

func futexAddrPrivate(w *uint32) uint64 { return uint64(uintptr(unsafe.Pointer(w))) }

// futexWaitv blocks its thread until one of the words has changed, or was woken,
// or until a time of CLOCK_MONOTONIC (0: never).
func futexWaitv(list []futexWaiter, until int64) error {
	var ts *unix.Timespec
	if until != 0 {
		t := unix.NsecToTimespec(until)
		ts = &t
	}
	_, _, e := syscall.Syscall6(sysFutexWaitv, uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)), 0,
		uintptr(unsafe.Pointer(ts)), unix.CLOCK_MONOTONIC, 0)
	if e != 0 {
		return e
	}
	return nil
}
