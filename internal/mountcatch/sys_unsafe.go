package mountcatch

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notif is struct seccomp_notif, response struct seccomp_notif_resp.
type (
	notif struct {
		id         uint64
		pid, flags uint32
		nr         int32
		arch       uint32
		ip         uint64
		args       [6]uint64
	}
	response struct {
		id    uint64
		val   int64
		errno int32
		flags uint32
	}
	addfd struct { // struct seccomp_notif_addfd
		id           uint64
		flags        uint32
		srcfd, newfd uint32
		newfdFlags   uint32
	}
)

const ioctlAddFD = 0x40182103 // SECCOMP_IOCTL_NOTIF_ADDFD

// install puts the filter on the calling thread and returns its listener.
func install(f []unix.SockFilter) (int, error) {
	if len(f) == 0 {
		return 0, unix.ENOSYS
	}
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	try := func(flags uintptr) (int, unix.Errno) {
		fd, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
			unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|flags, uintptr(unsafe.Pointer(&prog)))
		return int(fd), e
	}
	// A call that was handed over is not interrupted: it would be made twice.
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	fd, e := try(flags)
	if e == unix.EACCES { // not for who lacks CAP_SYS_ADMIN and may gain it
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return 0, err
		}
		fd, e = try(flags)
	}
	if e == unix.EINVAL { // Linux before 5.19
		fd, e = try(0)
	}
	if e != 0 {
		return 0, e
	}
	return fd, unix.SetNonblock(fd, true)
}

// pending reports whether a call waits for an answer; also when nobody can ask
// any more, which receive then tells.
func pending(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1
}

// receive takes a call. It is an error when all programs have ended.
func receive(fd int, n *notif) error {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(p, 0); err == nil && p[0].Revents&unix.POLLHUP != 0 {
		return os.ErrClosed
	}
	*n = notif{}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	if e != 0 {
		return e
	}
	return nil
}

func respond(fd int, r *response) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
	if e != 0 {
		return e
	}
	return nil
}

// give puts f into the table of the program that made a call, at number at, or at
// a free one if that is negative, and returns the number.
func give(fd int, id uint64, f *os.File, at int) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	a := addfd{id: id, newfdFlags: unix.O_CLOEXEC}
	if at >= 0 {
		a.flags, a.newfd = unix.SECCOMP_ADDFD_FLAG_SETFD, uint32(at)
	}
	var got uintptr
	var e unix.Errno
	if err := raw.Control(func(src uintptr) {
		a.srcfd = uint32(src)
		got, _, e = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlAddFD, uintptr(unsafe.Pointer(&a)))
	}); err != nil {
		return 0, err
	}
	if e != 0 {
		return 0, e
	}
	return int(got), nil
}
