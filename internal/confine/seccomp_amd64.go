package confine

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// auditArch is the calling convention that the filter knows.
const auditArch = unix.AUDIT_ARCH_X86_64

// runtimeCalls are the host calls that any server makes: those of Go's runtime, and of
// descriptors and sockets that it has. Not among them: programs, new sockets
// other than pairs, other processes, the machine's own state.
var runtimeCalls = []uint32{
	// Go's runtime.
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY,
	unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETCPU,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_MSYNC, unix.SYS_MEMBARRIER,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_RESTART_SYSCALL, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
	unix.SYS_SETITIMER, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT2,
	unix.SYS_EVENTFD2, unix.SYS_PIPE2, unix.SYS_GETRANDOM, unix.SYS_UNAME, unix.SYS_SYSINFO,
	unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETGROUPS, unix.SYS_GETPPID,
	unix.SYS_FUTEX_WAITV,
	// Descriptors.
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64,
	unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_PREADV2, unix.SYS_PWRITEV2, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE,
	unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_FCNTL, unix.SYS_LSEEK, unix.SYS_POLL, unix.SYS_PPOLL,
	unix.SYS_MEMFD_CREATE, unix.SYS_FLOCK,
	unix.SYS_OPENAT, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_FSTATFS, unix.SYS_FTRUNCATE,
	// Sockets that it has.
	unix.SYS_ACCEPT4, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SHUTDOWN,
	unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
}

// fileCalls are those of a file server, networkCalls those of a network's.
var fileCalls = []uint32{
	unix.SYS_OPENAT2, unix.SYS_STATX, unix.SYS_READLINKAT,
	unix.SYS_GETDENTS64, unix.SYS_STATFS, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT,
	unix.SYS_SYMLINKAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
	unix.SYS_UTIMENSAT, unix.SYS_UMASK, unix.SYS_TRUNCATE, unix.SYS_FALLOCATE,
	unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_COPY_FILE_RANGE, unix.SYS_FADVISE64,
	unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_FGETXATTR, unix.SYS_SETXATTR, unix.SYS_LSETXATTR,
	unix.SYS_FSETXATTR, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_FLISTXATTR, unix.SYS_REMOVEXATTR,
	unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_CHMOD, unix.SYS_LCHOWN,
}

var networkCalls = []uint32{unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_LISTEN}

// checkedCalls are allowed with some arguments.
func checkedCalls() []checked {
	const exec = unix.PROT_EXEC
	return []checked{
		{unix.SYS_MMAP, 2, noBits, []uint32{exec}},
		{unix.SYS_MPROTECT, 2, noBits, []uint32{exec}},
		{unix.SYS_CLONE, 0, someBits, []uint32{unix.CLONE_THREAD}},
		{unix.SYS_TGKILL, 0, equal, []uint32{uint32(os.Getpid())}},
		{unix.SYS_SOCKETPAIR, 0, equal, []uint32{unix.AF_UNIX}},
		{unix.SYS_PRLIMIT64, 2, equal, []uint32{0}}, // only asks
	}
}

// checkedOfNetworks are a network's sockets, the questions about the host's interfaces,
// and the ioctls that socket(7) and its like have.
var checkedOfNetworks = []checked{
	{unix.SYS_SOCKET, 0, equal, []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}},
	{unix.SYS_IOCTL, 1, equal, []uint32{unix.SIOCINQ, unix.SIOCOUTQ, unix.SIOCOUTQNSD, unix.SIOCATMARK, unix.SIOCGSTAMP_OLD, unix.SIOCGSTAMPNS_OLD}},
}

type check int

const (
	equal check = iota
	noBits
	someBits
)

// checked allows a call if the lower half of an argument passes: it is one of ks, or
// has some, or none, of the bits of their one.
type checked struct {
	nr    uint32
	arg   uint32
	check check
	ks    []uint32
}

// Calls leaves the process no other host calls than a file server makes. All
// others fail with EPERM, clone3 and the like with ENOSYS, so that whoever has
// another way takes it.
func Calls() error { return restrict(slices.Concat(runtimeCalls, fileCalls), checkedCalls()) }

// NetworkCalls is Calls for a network's server: no calls on files, but new sockets of
// the internet's families.
func NetworkCalls() error {
	return restrict(slices.Concat(runtimeCalls, networkCalls), append(checkedCalls(), checkedOfNetworks...))
}

func restrict(allowed []uint32, some []checked) error {
	if err := NoNewPrivileges(); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	if e := install(filter(allowed, some)); e != 0 {
		return fmt.Errorf("confine: seccomp: %w", e)
	}
	return nil
}

// What filters return, and where a call's data lies.
const (
	offNR, offArch, offArgs = 0, 4, 16
	allow, errno            = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO
)

func ld(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}

func jump(op uint16, k uint32, t, f uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: t, Jf: f, K: k}
}

func ret(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }

// filter builds the program that allows some calls. Each test jumps over one return, or
// the few of one call, so no jump is long.
func filter(allowed []uint32, some []checked) []unix.SockFilter {
	p := []unix.SockFilter{
		ld(offArch), jump(unix.BPF_JEQ, auditArch, 1, 0), ret(unix.SECCOMP_RET_KILL_PROCESS),
		ld(offNR),
		jump(unix.BPF_JGE, 0x40000000, 0, 1), ret(errno | uint32(unix.ENOSYS)), // x32
	}
	for _, nr := range allowed {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), ret(allow))
	}
	for _, c := range some {
		var tests []unix.SockFilter
		for _, k := range c.ks {
			test := jump(unix.BPF_JEQ, k, 0, 1)
			switch c.check {
			case noBits:
				test = jump(unix.BPF_JSET, k, 1, 0)
			case someBits:
				test = jump(unix.BPF_JSET, k, 0, 1)
			}
			tests = append(tests, test, ret(allow))
		}
		tests = append(tests, ret(errno|uint32(unix.EPERM)))
		p = append(p, jump(unix.BPF_JEQ, c.nr, 0, uint8(1+len(tests))), ld(offArgs+8*c.arg))
		p = append(p, tests...)
	}
	for _, nr := range []uint32{unix.SYS_CLONE3, unix.SYS_IO_URING_SETUP} {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), ret(errno|uint32(unix.ENOSYS)))
	}
	return append(p, ret(errno|uint32(unix.EPERM)))
}

// NoSockets leaves all threads of the process, and what they start, the sockets that
// they have, to send, receive and accept: none is made, but pairs, or given an address.
// With connect, sockets of AF_UNIX can be made and connected. What else they may do is not
// changed.
func NoSockets(connect bool) error {
	if err := NoNewPrivileges(); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	const refuse = errno | uint32(unix.EPERM)
	p := []unix.SockFilter{
		// Another processor's calls are other numbers. A filter that is stricter goes first.
		ld(offArch), jump(unix.BPF_JEQ, auditArch, 1, 0), ret(errno | uint32(unix.ENOSYS)),
		ld(offNR),
		jump(unix.BPF_JGE, 0x40000000, 0, 1), ret(errno | uint32(unix.ENOSYS)), // x32
		jump(unix.BPF_JEQ, unix.SYS_IO_URING_SETUP, 0, 1), ret(errno | uint32(unix.ENOSYS)),
		jump(unix.BPF_JEQ, unix.SYS_BIND, 0, 1), ret(refuse),
		jump(unix.BPF_JEQ, unix.SYS_LISTEN, 0, 1), ret(refuse),
		jump(unix.BPF_JEQ, unix.SYS_SOCKETPAIR, 0, 4), ld(offArgs), jump(unix.BPF_JEQ, unix.AF_UNIX, 1, 0), ret(refuse), ret(allow),
	}
	if connect {
		p = append(p, jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, 4), ld(offArgs), jump(unix.BPF_JEQ, unix.AF_UNIX, 1, 0), ret(refuse), ret(allow))
	} else {
		p = append(p, jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, 1), ret(refuse), jump(unix.BPF_JEQ, unix.SYS_CONNECT, 0, 1), ret(refuse))
	}
	// Which connects.
	for nr, flags := range map[uint32]uint32{unix.SYS_SENDTO: 3, unix.SYS_SENDMSG: 2, unix.SYS_SENDMMSG: 3} {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 4), ld(offArgs+8*flags), jump(unix.BPF_JSET, unix.MSG_FASTOPEN, 0, 1), ret(refuse), ret(allow))
	}
	if e := install(append(p, ret(allow))); e != 0 {
		return fmt.Errorf("confine: seccomp: %w", e)
	}
	return nil
}
