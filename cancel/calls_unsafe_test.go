package cancel_test

import (
	"context"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

func eventfdRead(ctx context.Context, fd int) error {
	var v uint64
	_, _, err := cancel.Syscall(ctx, unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&v)), 8, 0, 0, 0)
	if err == nil && v != 7 {
		panic("eventfd: wrong count")
	}
	return err
}

// readHidden reads through Syscall, which is given p as a number.
func readHidden(ctx context.Context, fd int, p []byte) error {
	_, _, err := cancel.Syscall(ctx, unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return err
}

// status is si_status of a child's signal: here the signal that it stopped with.
func status(info *unix.Siginfo) int32 {
	return (*[7]int32)(unsafe.Pointer(info))[6] // behind number, error, code, a gap, process, user
}

func syscallRead(fd int, p []byte) {
	_, _, _ = syscall.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
}

func cancelRead(ctx context.Context, fd int, p []byte) {
	_, _, _ = cancel.Syscall(ctx, unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
}

func syscallPread(fd int, p []byte) {
	_, _, _ = syscall.Syscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
}
