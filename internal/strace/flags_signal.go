package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// Flags of signals, time and other objects of processes.
var saFlags = flagSet{other: "SA_???", names: []flag{
	{abi.SA_RESTORER, "SA_RESTORER"},
	{abi.SA_ONSTACK, "SA_ONSTACK"},
	{abi.SA_RESTART, "SA_RESTART"},
	{abi.SA_NODEFER, "SA_NODEFER"},
	{abi.SA_RESETHAND, "SA_RESETHAND"},
	{abi.SA_NOCLDSTOP, "SA_NOCLDSTOP"},
	{abi.SA_NOCLDWAIT, "SA_NOCLDWAIT"},
	{abi.SA_SIGINFO, "SA_SIGINFO"},
	{abi.SA_UNSUPPORTED, "SA_UNSUPPORTED"},
	{abi.SA_EXPOSE_TAGBITS, "SA_EXPOSE_TAGBITS"},
}}

var sigHow = flagSet{other: "SIG_???", enum: true, names: []flag{
	{unix.SIG_BLOCK, "SIG_BLOCK"},
	{unix.SIG_UNBLOCK, "SIG_UNBLOCK"},
	{unix.SIG_SETMASK, "SIG_SETMASK"},
}}

var ssFlags = flagSet{other: "SS_???", names: []flag{
	{abi.SS_ONSTACK, "SS_ONSTACK"},
	{abi.SS_DISABLE, "SS_DISABLE"},
	{abi.SS_AUTODISARM, "SS_AUTODISARM"},
}}

var sigevNotify = flagSet{other: "SIGEV_???", enum: true, names: []flag{
	{abi.SIGEV_SIGNAL, "SIGEV_SIGNAL"},
	{abi.SIGEV_NONE, "SIGEV_NONE"},
	{abi.SIGEV_THREAD, "SIGEV_THREAD"},
	{abi.SIGEV_THREAD_ID, "SIGEV_THREAD_ID"},
}}

var siCodes = flagSet{other: "", enum: true, names: []flag{
	{abi.SI_USER, "SI_USER"},
	{abi.SI_KERNEL, "SI_KERNEL"},
	{0xffffffff, "SI_QUEUE"},
	{0xfffffffe, "SI_TIMER"},
	{0xfffffffd, "SI_MESGQ"},
	{0xfffffffc, "SI_ASYNCIO"},
	{0xfffffffb, "SI_SIGIO"},
	{0xfffffffa, "SI_TKILL"},
	{0xfffffff9, "SI_DETHREAD"},
	{0xffffffc4, "SI_ASYNCNL"},
}}

var cldCodes = flagSet{other: "CLD_???", enum: true, names: []flag{
	{abi.CLD_EXITED, "CLD_EXITED"},
	{abi.CLD_KILLED, "CLD_KILLED"},
	{abi.CLD_DUMPED, "CLD_DUMPED"},
	{abi.CLD_TRAPPED, "CLD_TRAPPED"},
	{abi.CLD_STOPPED, "CLD_STOPPED"},
	{abi.CLD_CONTINUED, "CLD_CONTINUED"},
}}

var segvCodes = flagSet{other: "SEGV_???", enum: true, names: []flag{
	{abi.SEGV_MAPERR, "SEGV_MAPERR"},
	{abi.SEGV_ACCERR, "SEGV_ACCERR"},
	{abi.SEGV_BNDERR, "SEGV_BNDERR"},
	{abi.SEGV_PKUERR, "SEGV_PKUERR"},
	{abi.SEGV_CPERR, "SEGV_CPERR"},
}}

var busCodes = flagSet{other: "BUS_???", enum: true, names: []flag{
	{abi.BUS_ADRALN, "BUS_ADRALN"},
	{abi.BUS_ADRERR, "BUS_ADRERR"},
	{abi.BUS_OBJERR, "BUS_OBJERR"},
	{abi.BUS_MCEERR_AR, "BUS_MCEERR_AR"},
	{abi.BUS_MCEERR_AO, "BUS_MCEERR_AO"},
}}

var illCodes = flagSet{other: "ILL_???", enum: true, names: []flag{
	{abi.ILL_ILLOPC, "ILL_ILLOPC"},
	{abi.ILL_ILLOPN, "ILL_ILLOPN"},
	{abi.ILL_ILLADR, "ILL_ILLADR"},
	{abi.ILL_ILLTRP, "ILL_ILLTRP"},
	{abi.ILL_PRVOPC, "ILL_PRVOPC"},
	{abi.ILL_PRVREG, "ILL_PRVREG"},
	{abi.ILL_COPROC, "ILL_COPROC"},
	{abi.ILL_BADSTK, "ILL_BADSTK"},
	{abi.ILL_BADIADDR, "ILL_BADIADDR"},
}}

var fpeCodes = flagSet{other: "FPE_???", enum: true, names: []flag{
	{abi.FPE_INTDIV, "FPE_INTDIV"},
	{abi.FPE_INTOVF, "FPE_INTOVF"},
	{abi.FPE_FLTDIV, "FPE_FLTDIV"},
	{abi.FPE_FLTOVF, "FPE_FLTOVF"},
	{abi.FPE_FLTUND, "FPE_FLTUND"},
	{abi.FPE_FLTRES, "FPE_FLTRES"},
	{abi.FPE_FLTINV, "FPE_FLTINV"},
	{abi.FPE_FLTSUB, "FPE_FLTSUB"},
	{abi.FPE_FLTUNK, "FPE_FLTUNK"},
	{abi.FPE_CONDTRAP, "FPE_CONDTRAP"},
}}

var trapCodes = flagSet{other: "TRAP_???", enum: true, names: []flag{
	{abi.TRAP_BRKPT, "TRAP_BRKPT"},
	{abi.TRAP_TRACE, "TRAP_TRACE"},
	{abi.TRAP_BRANCH, "TRAP_BRANCH"},
	{abi.TRAP_HWBKPT, "TRAP_HWBKPT"},
	{abi.TRAP_UNK, "TRAP_UNK"},
	{abi.TRAP_PERF, "TRAP_PERF"},
}}

var pollCodes = flagSet{other: "POLL_???", enum: true, names: []flag{
	{abi.POLL_IN, "POLL_IN"},
	{abi.POLL_OUT, "POLL_OUT"},
	{abi.POLL_MSG, "POLL_MSG"},
	{abi.POLL_ERR, "POLL_ERR"},
	{abi.POLL_PRI, "POLL_PRI"},
	{abi.POLL_HUP, "POLL_HUP"},
}}

var sysCodes = flagSet{other: "SYS_???", enum: true, names: []flag{
	{abi.SYS_SECCOMP, "SYS_SECCOMP"},
	{abi.SYS_USER_DISPATCH, "SYS_USER_DISPATCH"},
}}

var clocks = flagSet{other: "CLOCK_???", enum: true, names: []flag{
	{unix.CLOCK_REALTIME, "CLOCK_REALTIME"},
	{unix.CLOCK_MONOTONIC, "CLOCK_MONOTONIC"},
	{unix.CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID"},
	{unix.CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID"},
	{unix.CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW"},
	{unix.CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE"},
	{unix.CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE"},
	{unix.CLOCK_BOOTTIME, "CLOCK_BOOTTIME"},
	{unix.CLOCK_REALTIME_ALARM, "CLOCK_REALTIME_ALARM"},
	{unix.CLOCK_BOOTTIME_ALARM, "CLOCK_BOOTTIME_ALARM"},
	{unix.CLOCK_TAI, "CLOCK_TAI"},
}}

var timerFlags = flagSet{other: "TIMER_???", names: []flag{
	{unix.TIMER_ABSTIME, "TIMER_ABSTIME"},
}}

var timerfdFlags = flagSet{other: "TFD_???", names: []flag{
	{unix.TFD_CLOEXEC, "TFD_CLOEXEC"},
	{unix.TFD_NONBLOCK, "TFD_NONBLOCK"},
}}

var timerfdSet = flagSet{other: "TFD_???", names: []flag{
	{unix.TFD_TIMER_ABSTIME, "TFD_TIMER_ABSTIME"},
	{unix.TFD_TIMER_CANCEL_ON_SET, "TFD_TIMER_CANCEL_ON_SET"},
}}

var itimers = flagSet{other: "ITIMER_???", enum: true, names: []flag{
	{unix.ITIMER_REAL, "ITIMER_REAL"},
	{unix.ITIMER_VIRTUAL, "ITIMER_VIRTUAL"},
	{unix.ITIMER_PROF, "ITIMER_PROF"},
}}

var dumpModes = flagSet{other: "SUID_DUMP_???", enum: true, names: []flag{
	{0, "SUID_DUMP_DISABLE"},
	{1, "SUID_DUMP_USER"},
	{2, "SUID_DUMP_ROOT"},
}}

var capabilities = flagSet{other: "CAP_???", enum: true, names: []flag{
	{unix.CAP_CHOWN, "CAP_CHOWN"},
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	{unix.CAP_FOWNER, "CAP_FOWNER"},
	{unix.CAP_FSETID, "CAP_FSETID"},
	{unix.CAP_KILL, "CAP_KILL"},
	{unix.CAP_SETGID, "CAP_SETGID"},
	{unix.CAP_SETUID, "CAP_SETUID"},
	{unix.CAP_SETPCAP, "CAP_SETPCAP"},
	{unix.CAP_LINUX_IMMUTABLE, "CAP_LINUX_IMMUTABLE"},
	{unix.CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"},
	{unix.CAP_NET_BROADCAST, "CAP_NET_BROADCAST"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW"},
	{unix.CAP_IPC_LOCK, "CAP_IPC_LOCK"},
	{unix.CAP_IPC_OWNER, "CAP_IPC_OWNER"},
	{unix.CAP_SYS_MODULE, "CAP_SYS_MODULE"},
	{unix.CAP_SYS_RAWIO, "CAP_SYS_RAWIO"},
	{unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{unix.CAP_SYS_PACCT, "CAP_SYS_PACCT"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{unix.CAP_SYS_BOOT, "CAP_SYS_BOOT"},
	{unix.CAP_SYS_NICE, "CAP_SYS_NICE"},
	{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"},
	{unix.CAP_SYS_TIME, "CAP_SYS_TIME"},
	{unix.CAP_SYS_TTY_CONFIG, "CAP_SYS_TTY_CONFIG"},
	{unix.CAP_MKNOD, "CAP_MKNOD"},
	{unix.CAP_LEASE, "CAP_LEASE"},
	{unix.CAP_AUDIT_WRITE, "CAP_AUDIT_WRITE"},
	{unix.CAP_AUDIT_CONTROL, "CAP_AUDIT_CONTROL"},
	{unix.CAP_SETFCAP, "CAP_SETFCAP"},
	{unix.CAP_MAC_OVERRIDE, "CAP_MAC_OVERRIDE"},
	{unix.CAP_MAC_ADMIN, "CAP_MAC_ADMIN"},
	{unix.CAP_SYSLOG, "CAP_SYSLOG"},
	{unix.CAP_WAKE_ALARM, "CAP_WAKE_ALARM"},
	{unix.CAP_BLOCK_SUSPEND, "CAP_BLOCK_SUSPEND"},
	{unix.CAP_AUDIT_READ, "CAP_AUDIT_READ"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
	{unix.CAP_BPF, "CAP_BPF"},
	{unix.CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"},
}}

var personalities = flagSet{other: "PER_???", names: []flag{
	{0, "PER_LINUX"},
	{0x0040000, "ADDR_NO_RANDOMIZE"},
	{0x0100000, "MMAP_PAGE_ZERO"},
	{0x0200000, "ADDR_COMPAT_LAYOUT"},
	{0x0400000, "READ_IMPLIES_EXEC"},
	{0x0800000, "ADDR_LIMIT_32BIT"},
	{0x1000000, "SHORT_INODE"},
	{0x2000000, "WHOLE_SECONDS"},
	{0x4000000, "STICKY_TIMEOUTS"},
	{0x8000000, "ADDR_LIMIT_3GB"},
}}

var seccompOps = flagSet{other: "SECCOMP_SET_MODE_???", enum: true, names: []flag{
	{unix.SECCOMP_SET_MODE_STRICT, "SECCOMP_SET_MODE_STRICT"},
	{unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"},
	{unix.SECCOMP_GET_ACTION_AVAIL, "SECCOMP_GET_ACTION_AVAIL"},
	{unix.SECCOMP_GET_NOTIF_SIZES, "SECCOMP_GET_NOTIF_SIZES"},
}}

var pidfdFlags = flagSet{other: "PIDFD_???", names: []flag{
	{unix.PIDFD_NONBLOCK, "PIDFD_NONBLOCK"},
}}

var kcmps = flagSet{other: "KCMP_???", enum: true, names: []flag{
	{abi.KCMP_FILE, "KCMP_FILE"},
	{abi.KCMP_VM, "KCMP_VM"},
	{abi.KCMP_FILES, "KCMP_FILES"},
	{abi.KCMP_FS, "KCMP_FS"},
	{abi.KCMP_SIGHAND, "KCMP_SIGHAND"},
	{abi.KCMP_IO, "KCMP_IO"},
	{abi.KCMP_SYSVSEM, "KCMP_SYSVSEM"},
	{abi.KCMP_EPOLL_TFD, "KCMP_EPOLL_TFD"},
}}

var ipcFlags = flagSet{other: "IPC_???", names: []flag{
	{0o1000, "IPC_CREAT"},
	{0o2000, "IPC_EXCL"},
	{0o4000, "IPC_NOWAIT"},
}}

var ipcCmds = flagSet{other: "IPC_???", enum: true, names: []flag{
	{0, "IPC_RMID"},
	{1, "IPC_SET"},
	{2, "IPC_STAT"},
	{3, "IPC_INFO"},
}}

var ptraceReqs = flagSet{other: "PTRACE_???", enum: true, names: []flag{
	{unix.PTRACE_TRACEME, "PTRACE_TRACEME"},
	{unix.PTRACE_PEEKTEXT, "PTRACE_PEEKTEXT"},
	{unix.PTRACE_PEEKDATA, "PTRACE_PEEKDATA"},
	{unix.PTRACE_POKEDATA, "PTRACE_POKEDATA"},
	{unix.PTRACE_CONT, "PTRACE_CONT"},
	{unix.PTRACE_KILL, "PTRACE_KILL"},
	{unix.PTRACE_SINGLESTEP, "PTRACE_SINGLESTEP"},
	{unix.PTRACE_GETREGS, "PTRACE_GETREGS"},
	{unix.PTRACE_SETREGS, "PTRACE_SETREGS"},
	{unix.PTRACE_ATTACH, "PTRACE_ATTACH"},
	{unix.PTRACE_DETACH, "PTRACE_DETACH"},
	{unix.PTRACE_SYSCALL, "PTRACE_SYSCALL"},
	{unix.PTRACE_SETOPTIONS, "PTRACE_SETOPTIONS"},
	{unix.PTRACE_GETEVENTMSG, "PTRACE_GETEVENTMSG"},
	{unix.PTRACE_GETSIGINFO, "PTRACE_GETSIGINFO"},
	{unix.PTRACE_SEIZE, "PTRACE_SEIZE"},
	{unix.PTRACE_INTERRUPT, "PTRACE_INTERRUPT"},
	{unix.PTRACE_LISTEN, "PTRACE_LISTEN"},
}}
