package abi

import "strconv"

// NumSyscalls is one more than the highest system call number known.
const NumSyscalls = len(syscallNames)

// SyscallName returns the name of system call nr, or "syscall_0x..." for a
// number that Linux does not use.
func SyscallName(nr uint64) string {
	if nr < uint64(len(syscallNames)) && syscallNames[nr] != "" {
		return syscallNames[nr]
	}
	return "syscall_0x" + strconv.FormatUint(nr, 16)
}

// SyscallKnown reports whether Linux has given out the number nr.
func SyscallKnown(nr uint64) bool {
	return nr < uint64(len(syscallNames)) && syscallNames[nr] != ""
}

// SyscallNumber returns the number of the system call called name. It
// searches: keep the result.
func SyscallNumber(name string) (nr uint64, ok bool) {
	if name == "" {
		return 0, false
	}
	for i, n := range syscallNames {
		if n == name {
			return uint64(i), true
		}
	}
	return 0, false
}
