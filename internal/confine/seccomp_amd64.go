package confine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// auditArch is the calling convention that the filter knows.
const auditArch = unix.AUDIT_ARCH_X86_64

// serverCalls are the host calls that a file server makes: those of Go's runtime,
// of files, and of sockets that it has. Not among them: programs, new sockets
// other than pairs, other processes, the machine's own state.
var serverCalls = []uint32{
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
	// Files.
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX, unix.SYS_READLINKAT,
	unix.SYS_GETDENTS64, unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT,
	unix.SYS_SYMLINKAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
	unix.SYS_UTIMENSAT, unix.SYS_UMASK, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE,
	unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_COPY_FILE_RANGE, unix.SYS_FADVISE64,
	unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_FGETXATTR, unix.SYS_SETXATTR, unix.SYS_LSETXATTR,
	unix.SYS_FSETXATTR, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_FLISTXATTR, unix.SYS_REMOVEXATTR,
	unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_CHMOD, unix.SYS_LCHOWN,
	// Sockets that it has.
	unix.SYS_ACCEPT4, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SHUTDOWN,
	unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
}

// checked are calls that are allowed with some arguments.
func checkedCalls() []checked {
	const exec = unix.PROT_EXEC
	return []checked{
		{unix.SYS_MMAP, 2, noBits, exec},
		{unix.SYS_MPROTECT, 2, noBits, exec},
		{unix.SYS_CLONE, 0, someBits, unix.CLONE_THREAD},
		{unix.SYS_TGKILL, 0, equal, uint32(os.Getpid())},
		{unix.SYS_SOCKETPAIR, 0, equal, unix.AF_UNIX},
		{unix.SYS_PRLIMIT64, 2, equal, 0}, // only asks
	}
}

type check int

const (
	equal check = iota
	noBits
	someBits
)

// checked allows a call if the lower half of an argument passes.
type checked struct {
	nr    uint32
	arg   uint32
	check check
	k     uint32
}

// Calls leaves the process no other host calls than a file server makes. All
// others fail with EPERM, clone3 and the like with ENOSYS, so that whoever has
// another way takes it.
func Calls() error {
	if err := NoNewPrivileges(); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	if e := install(filter()); e != 0 {
		return fmt.Errorf("confine: seccomp: %w", e)
	}
	return nil
}

// filter builds the program. Each test jumps over one return, so no jump is long.
func filter() []unix.SockFilter {
	const (
		offNR, offArch, offArgs = 0, 4, 16
		allow, errno            = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO
	)
	ld := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	jump := func(op uint16, k uint32, t, f uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: t, Jf: f, K: k}
	}
	ret := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	p := []unix.SockFilter{
		ld(offArch), jump(unix.BPF_JEQ, auditArch, 1, 0), ret(unix.SECCOMP_RET_KILL_PROCESS),
		ld(offNR),
		jump(unix.BPF_JGE, 0x40000000, 0, 1), ret(errno | uint32(unix.ENOSYS)), // x32
	}
	for _, nr := range serverCalls {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), ret(allow))
	}
	for _, c := range checkedCalls() {
		var test unix.SockFilter
		switch c.check {
		case equal:
			test = jump(unix.BPF_JEQ, c.k, 0, 1)
		case noBits:
			test = jump(unix.BPF_JSET, c.k, 1, 0)
		case someBits:
			test = jump(unix.BPF_JSET, c.k, 0, 1)
		}
		p = append(p, jump(unix.BPF_JEQ, c.nr, 0, 4), ld(offArgs+8*c.arg), test, ret(allow), ret(errno|uint32(unix.EPERM)))
	}
	for _, nr := range []uint32{unix.SYS_CLONE3, unix.SYS_IO_URING_SETUP} {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), ret(errno|uint32(unix.ENOSYS)))
	}
	return append(p, ret(errno|uint32(unix.EPERM)))
}
