package unixsock_test

import (
	"syscall"
	"unsafe"
)

// System calls with the addresses as raw bytes, which x/sys would interpret.

func rawAddrCall(trap uintptr, fd int, addr []byte) error {
	var p unsafe.Pointer
	if len(addr) > 0 {
		p = unsafe.Pointer(&addr[0])
	}
	_, _, e := syscall.Syscall(trap, uintptr(fd), uintptr(p), uintptr(len(addr)))
	if e != 0 {
		return e
	}
	return nil
}

func rawName(trap uintptr, fd int) ([]byte, error) {
	var buf [200]byte
	n := uint32(len(buf))
	_, _, e := syscall.Syscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&buf)), uintptr(unsafe.Pointer(&n)))
	if e != 0 {
		return nil, e
	}
	return buf[:n], nil
}

func rawSendto(fd int, b, addr []byte) (int, error) {
	var p, a unsafe.Pointer
	if len(b) > 0 {
		p = unsafe.Pointer(&b[0])
	}
	if len(addr) > 0 {
		a = unsafe.Pointer(&addr[0])
	}
	const nosignal = syscall.MSG_NOSIGNAL
	n, _, e := syscall.Syscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(p), uintptr(len(b)), nosignal, uintptr(a), uintptr(len(addr)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
