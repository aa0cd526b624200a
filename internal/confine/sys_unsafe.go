package confine

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func landlockCreate(attr *unix.LandlockRulesetAttr, flags uintptr) (int, unix.Errno) {
	size := unsafe.Sizeof(attr.Handled_access_fs) + unsafe.Sizeof(attr.Handled_access_net)
	if attr == nil {
		size = 0
	}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), size, flags)
	return int(fd), e
}

func landlockAdd(set int, attr *unix.LandlockPathBeneathAttr) unix.Errno {
	_, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(attr)), 0, 0, 0)
	return e
}

// install loads a seccomp filter on all threads. no_new_privs is set.
func install(filter []unix.SockFilter) unix.Errno {
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, uintptr(unsafe.Pointer(&prog)))
	return e
}
