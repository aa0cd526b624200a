package tty_test

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func ioctlMem(fd int, cmd uint32, b []byte) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(&b[0]))); e != 0 {
		return e
	}
	return nil
}

func ioctlNum(fd int, cmd uint32, v uint64) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(v)); e != 0 {
		return e
	}
	return nil
}

// encode and decode go between the bytes of struct termios2 and unix.Termios,
// which has its layout.
func encode(t *unix.Termios) []byte {
	b := make([]byte, 44)
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(t)), 44))
	return b
}

func decode(b []byte) (t unix.Termios) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&t)), 44), b)
	return t
}
