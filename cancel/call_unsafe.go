package cancel

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// plain makes the call when nothing can cancel it: what syscall.Syscall6 does, but EINTR is hidden here too.
func (c *call) plain() error {
	for {
		r1, r2, errno := syscall.Syscall6(c.trap,
			c.a[0]+uintptr(c.p[0]), c.a[1]+uintptr(c.p[1]), c.a[2]+uintptr(c.p[2]),
			c.a[3]+uintptr(c.p[3]), c.a[4]+uintptr(c.p[4]), c.a[5]+uintptr(c.p[5]))
		if errno == 0 {
			c.r1, c.r2 = r1, r2
			return nil
		}
		if errno != unix.EINTR || c.eintr {
			return errno
		}
	}
}

// once is call.plain for the calls that are made most often, but it does not repeat them.
func once(trap uintptr, fd int, p []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.Syscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(r), errno
}

func onceAt(trap uintptr, fd int, p []byte, offset int64) (n int, errno syscall.Errno) {
	r, _, errno := syscall.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(offset), 0, 0)
	return int(r), errno
}

// hint differs between goroutines that run at the same time: it is where their stacks lie.
func hint() uintptr {
	var x byte
	at := uintptr(unsafe.Pointer(&x))
	return at>>11 ^ at>>15
}
