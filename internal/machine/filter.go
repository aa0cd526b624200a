package machine

import (
	"golang.org/x/sys/unix"
)

// allowed is a host call that guest processes may make by themselves.
type allowed struct {
	nr  uint32
	why string
}

// allowList is what the host kernel lets pass when it is called from the stub's
// page, with whatever arguments a hostile guest gives. Everything else, and
// everything from anywhere else, traps to the server. The calls here change
// only the caller's own memory, threads and signal state, or descriptors that
// the server has put there for it. The process has no capabilities.
var allowList = []allowed{
	{unix.SYS_RT_SIGRETURN, "return to the guest; restores the caller's own registers and mask"},
	{unix.SYS_FUTEX, "wait and wake on memory the caller has mapped"},
	{unix.SYS_MMAP, "own memory, or the objects behind descriptors the server handed over"},
	{unix.SYS_MUNMAP, "own memory"},
	{unix.SYS_MPROTECT, "own memory"},
	{unix.SYS_MREMAP, "own memory"},
	{unix.SYS_MADVISE, "own memory; poisoning pages needs a capability"},
	{unix.SYS_MSYNC, "own mappings"},
	{unix.SYS_MINCORE, "own memory"},
	{unix.SYS_MLOCK, "own memory, within RLIMIT_MEMLOCK"},
	{unix.SYS_MLOCK2, "own memory, within RLIMIT_MEMLOCK"},
	{unix.SYS_MUNLOCK, "own memory"},
	{unix.SYS_MLOCKALL, "own memory, within RLIMIT_MEMLOCK"},
	{unix.SYS_MUNLOCKALL, "own memory"},
	{unix.SYS_PKEY_ALLOC, "own protection keys"},
	{unix.SYS_PKEY_FREE, "own protection keys"},
	{unix.SYS_PKEY_MPROTECT, "own memory"},
	{unix.SYS_RECVMSG, "descriptors the server sends, or messages of a granted socket"},
	{unix.SYS_CLOSE, "own descriptors"},
	{unix.SYS_CLOSE_RANGE, "own descriptors"},
	{unix.SYS_DUP2, "own descriptors, after a fork or when one is granted"},
	{unix.SYS_READ, "a granted descriptor; from the channel, descriptors that are lost to the guest"},
	{unix.SYS_WRITE, "a granted descriptor; what is written into the channel nobody reads"},
	{unix.SYS_READV, "as read"},
	{unix.SYS_WRITEV, "as write"},
	{unix.SYS_PREAD64, "a granted descriptor"},
	{unix.SYS_PWRITE64, "a granted descriptor"},
	{unix.SYS_PREADV, "a granted descriptor"},
	{unix.SYS_PWRITEV, "a granted descriptor"},
	{unix.SYS_LSEEK, "a granted descriptor"},
	{unix.SYS_RECVFROM, "a granted socket"},
	{unix.SYS_RT_SIGPROCMASK, "own mask; SIGKILL is never masked"},
	{unix.SYS_SIGALTSTACK, "own signal stack"},
	{unix.SYS_EXIT, "own thread"},
	{unix.SYS_EXIT_GROUP, "own process"},
	{unix.SYS_GETPPID, "tells whether the server lives"},
	{unix.SYS_ARCH_PRCTL, "own segment bases"},
	{unix.SYS_SET_TID_ADDRESS, "where the kernel writes when the thread ends: own memory"},
	{unix.SYS_RSEQ, "own restartable sequences"},
	{unix.SYS_MEMBARRIER, "barriers on the threads of the caller's own memory, or a short pause"},
	{unix.SYS_CLOCK_GETTIME, "reads a clock"},
	{unix.SYS_CLOCK_GETRES, "reads a clock's resolution"},
	{unix.SYS_GETTIMEOFDAY, "reads a clock"},
	{unix.SYS_TIME, "reads a clock"},
	{unix.SYS_GETCPU, "reads the processor's number"},
	{unix.SYS_SCHED_YIELD, "gives up the processor"},
}

// localCalls are those of the list that the stub makes for the guest without
// asking the server.
var localCalls = []uint32{
	unix.SYS_FUTEX, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE,
	unix.SYS_MINCORE, unix.SYS_MLOCK, unix.SYS_MLOCK2,
	unix.SYS_MUNLOCK, unix.SYS_MLOCKALL, unix.SYS_MUNLOCKALL, unix.SYS_PKEY_ALLOC, unix.SYS_PKEY_FREE,
	unix.SYS_PKEY_MPROTECT, unix.SYS_ARCH_PRCTL, unix.SYS_MEMBARRIER,
	unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_GETCPU, unix.SYS_SCHED_YIELD,
	unix.SYS_MREMAP, unix.SYS_MSYNC,
}

// grantCalls are those that the stub makes for the guest on descriptors that it
// was granted.
var grantCalls = []uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64,
	unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_LSEEK, unix.SYS_CLOSE,
	unix.SYS_SENDTO, unix.SYS_RECVFROM,
}

// bitmap is a slot's set of calls.
func bitmap(calls []uint32) (b [8]uint64) {
	for _, nr := range calls {
		b[nr/64] |= 1 << (nr % 64)
	}
	return b
}

// cloneFlags are those that the filter lets through, as their complement: no
// namespaces, no tracing, no shared parent signals other than the stub's own.
const cloneFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD |
	unix.CLONE_SYSVSEM | unix.CLONE_PARENT | unix.CLONE_CHILD_CLEARTID | unix.CLONE_SETTLS

const (
	forkFlags   = unix.CLONE_PARENT | unix.CLONE_CHILD_CLEARTID
	threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD |
		unix.CLONE_SYSVSEM | unix.CLONE_CHILD_CLEARTID
)

// filter builds the seccomp program.
func (s *stub) filter() []unix.SockFilter {
	const (
		offNR, offArch    = 0, 4
		offIPLow, offIPHi = 8, 12
		offArg0, offArg1  = 16, 24
		offArg4           = 48
		allow, trap       = 0x7fff0000, 0x00030000
	)
	ld := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	ret := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	// unless returns trap unless A is k.
	var p []unix.SockFilter
	unless := func(k uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: k}, ret(trap))
	}
	p = append(p, ld(offIPHi))
	unless(uint32(uint64(textBase) >> 32))
	p = append(p, ld(offIPLow),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: textSize + 1}, ret(trap))
	p = append(p, ld(offArch))
	unless(unix.AUDIT_ARCH_X86_64)
	p = append(p, ld(offNR))
	for _, c := range allowList {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: c.nr}, ret(allow))
	}
	// prctl: only to die with the server.
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 7, K: unix.SYS_PRCTL}, ld(offArg0))
	unless(unix.PR_SET_PDEATHSIG)
	p = append(p, ld(offArg1))
	unless(uint32(unix.SIGKILL))
	p = append(p, ret(allow))
	// sendto: on a granted socket, to where that is connected and nowhere else.
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 7, K: unix.SYS_SENDTO}, ld(offArg4))
	unless(0)
	p = append(p, ld(offArg4+4))
	unless(0)
	p = append(p, ret(allow))
	// clone: from its one place, with known flags, and never a child of the guest.
	unless(unix.SYS_CLONE)
	p = append(p, ld(offIPLow))
	unless(uint32(s.clone & 0xffffffff))
	p = append(p, ld(offArg0),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 1, K: ^uint32(cloneFlags)},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 1, K: unix.CLONE_PARENT | unix.CLONE_THREAD},
		ret(trap), ret(allow))
	return p
}
