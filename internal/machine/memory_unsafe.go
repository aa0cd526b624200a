package machine

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read copies len(p) bytes of guest memory at addr. On a fault it returns how
// many bytes it could copy, with EFAULT. Anyone may call it.
func (s *Space) Read(addr uint64, p []byte) (int, error) {
	return s.copy(unix.SYS_PROCESS_VM_READV, addr, p)
}

// Write copies p to guest memory at addr, like Read.
func (s *Space) Write(addr uint64, p []byte) (int, error) {
	return s.copy(unix.SYS_PROCESS_VM_WRITEV, addr, p)
}

func (s *Space) copy(trap uintptr, addr uint64, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	pid := s.pid
	s.mu.Unlock()
	if pid == 0 {
		return 0, unix.EFAULT
	}
	done := 0
	for done < len(p) {
		local := unix.Iovec{Base: &p[done], Len: uint64(len(p) - done)}
		remote := [2]uintptr{uintptr(addr) + uintptr(done), uintptr(len(p) - done)}
		n, _, e := unix.RawSyscall6(trap, uintptr(pid), uintptr(unsafe.Pointer(&local)), 1,
			uintptr(unsafe.Pointer(&remote)), 1, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 || n == 0 {
			return done, unix.EFAULT
		}
		done += int(n)
	}
	return done, nil
}
