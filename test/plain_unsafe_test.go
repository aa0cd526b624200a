package test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// plain runs a program on the host as on a Linux that was built without what
// hati does not have: networks, namespaces, tracing. What differs between that
// and hati is a fault.
func plain(argv []string) int { return filtered(argv, false) }

// plainNet is plain with networks: TCP, UDP and their like, and what tells of them.
func plainNet(argv []string) int { return filtered(argv, true) }

func filtered(argv []string, networks bool) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "plain:", err)
		return 125
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fail(err)
	}
	filter := plainFilter(networks)
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fail(err)
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fail(err)
	}
	return fail(syscall.Exec(path, argv, os.Environ()))
}

// plainFilter refuses the calls that plain's Linux, or plainNet's, does not have.
func plainFilter(networks bool) []unix.SockFilter {
	const allow, refuse = 0x7fff0000, 0x00050000
	const nr, arg0 = 0, 16
	// CLONE_NEWTIME is a part of clone's signal.
	const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS |
		unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	ret := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	filter := []unix.SockFilter{load(nr)}
	// rule refuses call with errno where the test of its first argument does not
	// jump over that.
	rule := func(call uint32, test unix.SockFilter, errno unix.Errno) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 4, K: call},
			load(arg0), test, ret(refuse|uint32(errno)), ret(allow))
	}
	if networks {
		const arg1, arg2 = arg0 + 8, arg0 + 16
		is := func(k uint32, jump uint8) unix.SockFilter {
			return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: jump, K: k}
		}
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 15, K: unix.SYS_SOCKET},
			load(arg0), is(unix.AF_UNIX, 11), is(unix.AF_NETLINK, 10), is(unix.AF_INET, 3), is(unix.AF_INET6, 2), is(unix.AF_PACKET, 4),
			ret(refuse|uint32(unix.EAFNOSUPPORT)),
			load(arg1), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SOCK_RAW},
			ret(refuse|uint32(unix.EPERM)),
			load(arg2), is(unix.IPPROTO_MPTCP, 1), ret(allow), ret(refuse|uint32(unix.EPROTONOSUPPORT)))
	} else {
		rule(unix.SYS_SOCKET, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.AF_UNIX}, unix.EAFNOSUPPORT)
	}
	rule(unix.SYS_PTRACE, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K}, unix.EPERM)
	// No test sets the clock of the machine that it runs on.
	rule(unix.SYS_CLOCK_SETTIME, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K}, unix.EPERM)
	rule(unix.SYS_CLOCK_ADJTIME, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K}, unix.EPERM)
	rule(unix.SYS_SETTIMEOFDAY, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K}, unix.EPERM)
	rule(unix.SYS_UNSHARE, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: 1, K: namespaces | unix.CLONE_NEWTIME}, unix.EINVAL)
	rule(unix.SYS_CLONE, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: 1, K: namespaces}, unix.EINVAL)
	return append(filter, ret(allow))
}
