package cancel_test

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// urge has the kernel send sig to the calling thread, which must be locked, at every interval, until the test ends or
// stop is called.
func urge(t *testing.T, sig unix.Signal, interval time.Duration) (stop func()) {
	event := struct {
		value  uint64
		signal int32
		notify int32
		tid    int32
		_      [11]int32
	}{signal: int32(sig), notify: 4, tid: int32(unix.Gettid())} // SIGEV_THREAD_ID
	var id int32
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
	if errno != 0 {
		t.Fatal("timer_create: ", errno)
	}
	ts := unix.NsecToTimespec(int64(interval))
	spec := [2]unix.Timespec{ts, ts}
	_, _, errno = unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		t.Fatal("timer_settime: ", errno)
	}
	return func() { _, _, _ = unix.Syscall(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0) }
}
