package abi_test

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

func libcLayouts() []layout {
	const i = "v"
	ts := func(c, g string) [][2]string {
		return [][2]string{{i + "." + c + ".tv_sec", g + ".Sec"}, {i + "." + c + ".tv_nsec", g + ".Nsec"}}
	}
	return []layout{
		{"struct timespec", abi.SizeTimespec, new(abi.Timespec), [][2]string{{"v.tv_sec", "Sec"}, {"v.tv_nsec", "Nsec"}}},
		{"struct timeval", abi.SizeTimeval, new(abi.Timeval), [][2]string{{"v.tv_sec", "Sec"}, {"v.tv_usec", "Usec"}}},
		{"struct itimerspec", abi.SizeItimerspec, new(abi.Itimerspec), append(ts("it_interval", "Interval"), ts("it_value", "Value")...)},
		{"struct itimerval", abi.SizeItimerval, new(abi.Itimerval), [][2]string{
			{"v.it_interval.tv_sec", "Interval.Sec"}, {"v.it_interval.tv_usec", "Interval.Usec"},
			{"v.it_value.tv_sec", "Value.Sec"}, {"v.it_value.tv_usec", "Value.Usec"}}},
		{"struct tms", abi.SizeTms, new(abi.Tms), [][2]string{
			{"v.tms_utime", "Utime"}, {"v.tms_stime", "Stime"}, {"v.tms_cutime", "Cutime"}, {"v.tms_cstime", "Cstime"}}},
		{"struct stat", abi.SizeStat, new(abi.Stat), append(append(append([][2]string{
			{"v.st_dev", "Dev"}, {"v.st_ino", "Ino"}, {"v.st_nlink", "Nlink"}, {"v.st_mode", "Mode"},
			{"v.st_uid", "UID"}, {"v.st_gid", "GID"}, {"v.st_rdev", "Rdev"}, {"v.st_size", "Size"},
			{"v.st_blksize", "Blksize"}, {"v.st_blocks", "Blocks"},
		}, ts("st_atim", "Atime")...), ts("st_mtim", "Mtime")...), ts("st_ctim", "Ctime")...)},
		{"struct statx", abi.SizeStatx, new(abi.Statx), append(append(append(append([][2]string{
			{"v.stx_mask", "Mask"}, {"v.stx_blksize", "Blksize"}, {"v.stx_attributes", "Attributes"},
			{"v.stx_nlink", "Nlink"}, {"v.stx_uid", "UID"}, {"v.stx_gid", "GID"}, {"v.stx_mode", "Mode"},
			{"v.stx_ino", "Ino"}, {"v.stx_size", "Size"}, {"v.stx_blocks", "Blocks"},
			{"v.stx_attributes_mask", "AttributesMask"},
			{"v.stx_rdev_major", "major(Rdev)"}, {"v.stx_rdev_minor", "minor(Rdev)"},
			{"v.stx_dev_major", "major(Dev)"}, {"v.stx_dev_minor", "minor(Dev)"},
			{"v.stx_mnt_id", "MntID"}, {"v.stx_dio_mem_align", "DioMemAlign"},
			{"v.stx_dio_offset_align", "DioOffsetAlign"},
			// What the headers of Linux 6.1 do not know, by offset.
			{"*(__u64 *)((char *)&v + 0xa0)", "Subvol"},
			{"*(__u32 *)((char *)&v + 0xa8)", "AtomicWriteUnitMin"},
			{"*(__u32 *)((char *)&v + 0xac)", "AtomicWriteUnitMax"},
			{"*(__u32 *)((char *)&v + 0xb0)", "AtomicWriteSegmentsMax"},
			{"*(__u32 *)((char *)&v + 0xb4)", "DioReadOffsetAlign"},
			{"*(__u32 *)((char *)&v + 0xb8)", "AtomicWriteUnitMaxOpt"},
		}, ts("stx_atime", "Atime")...), ts("stx_btime", "Btime")...), ts("stx_ctime", "Ctime")...), ts("stx_mtime", "Mtime")...)},
		{"struct statfs", abi.SizeStatfs, new(abi.Statfs), [][2]string{
			{"v.f_type", "Type"}, {"v.f_bsize", "Bsize"}, {"v.f_blocks", "Blocks"}, {"v.f_bfree", "Bfree"},
			{"v.f_bavail", "Bavail"}, {"v.f_files", "Files"}, {"v.f_ffree", "Free"},
			{"*(long long *)&v.f_fsid", "FSID"}, {"v.f_namelen", "Namelen"}, {"v.f_frsize", "Frsize"}, {"v.f_flags", "Flags"}}},
		{"struct iovec", abi.SizeIovec, new(abi.Iovec), [][2]string{{"v.iov_base", "Base"}, {"v.iov_len", "Len"}}},
		{"struct pollfd", abi.SizePollfd, new(abi.Pollfd), [][2]string{{"v.fd", "FD"}, {"v.events", "Events"}, {"v.revents", "Revents"}}},
		{"struct epoll_event", abi.SizeEpollEvent, new(abi.EpollEvent), [][2]string{{"v.events", "Events"}, {"v.data.u64", "Data"}}},
		{"struct flock", abi.SizeFlock, new(abi.Flock), [][2]string{
			{"v.l_type", "Type"}, {"v.l_whence", "Whence"}, {"v.l_start", "Start"}, {"v.l_len", "Len"}, {"v.l_pid", "PID"}}},
		{"stack_t", abi.SizeStackT, new(abi.StackT), [][2]string{{"v.ss_sp", "SP"}, {"v.ss_flags", "Flags"}, {"v.ss_size", "Size"}}},
		{"struct sigevent", abi.SizeSigevent, new(abi.Sigevent), [][2]string{
			{"v.sigev_value.sival_ptr", "Value"}, {"v.sigev_signo", "Signo"}, {"v.sigev_notify", "Notify"}, {"v._sigev_un._tid", "TID"}}},
		{"struct rusage", abi.SizeRusage, new(abi.Rusage), [][2]string{
			{"v.ru_utime.tv_sec", "Utime.Sec"}, {"v.ru_utime.tv_usec", "Utime.Usec"},
			{"v.ru_stime.tv_sec", "Stime.Sec"}, {"v.ru_stime.tv_usec", "Stime.Usec"},
			{"v.ru_maxrss", "Maxrss"}, {"v.ru_ixrss", "Ixrss"}, {"v.ru_idrss", "Idrss"}, {"v.ru_isrss", "Isrss"},
			{"v.ru_minflt", "Minflt"}, {"v.ru_majflt", "Majflt"}, {"v.ru_nswap", "Nswap"},
			{"v.ru_inblock", "Inblock"}, {"v.ru_oublock", "Oublock"}, {"v.ru_msgsnd", "Msgsnd"}, {"v.ru_msgrcv", "Msgrcv"},
			{"v.ru_nsignals", "Nsignals"}, {"v.ru_nvcsw", "Nvcsw"}, {"v.ru_nivcsw", "Nivcsw"}}},
		{"struct rlimit", abi.SizeRlimit, new(abi.Rlimit), [][2]string{{"v.rlim_cur", "Cur"}, {"v.rlim_max", "Max"}}},
		{"struct utsname", abi.SizeUtsname,
			&abi.Utsname{Sysname: "a", Nodename: "b", Release: "c", Version: "d", Machine: "e", Domainname: "f"},
			[][2]string{{"v.sysname[0]", "0x61"}, {"v.nodename[0]", "0x62"}, {"v.release[0]", "0x63"},
				{"v.version[0]", "0x64"}, {"v.machine[0]", "0x65"}, {"v.domainname[0]", "0x66"}}},
		{"struct sysinfo", abi.SizeSysinfo, new(abi.Sysinfo), [][2]string{
			{"v.uptime", "Uptime"}, {"v.loads[0]", "Loads.0"}, {"v.loads[2]", "Loads.2"},
			{"v.totalram", "Totalram"}, {"v.freeram", "Freeram"}, {"v.sharedram", "Sharedram"}, {"v.bufferram", "Bufferram"},
			{"v.totalswap", "Totalswap"}, {"v.freeswap", "Freeswap"}, {"v.procs", "Procs"},
			{"v.totalhigh", "Totalhigh"}, {"v.freehigh", "Freehigh"}, {"v.mem_unit", "MemUnit"}}},
		{"struct msghdr", abi.SizeMsghdr, new(abi.Msghdr), [][2]string{
			{"v.msg_name", "Name"}, {"v.msg_namelen", "Namelen"}, {"v.msg_iov", "Iov"}, {"v.msg_iovlen", "Iovlen"},
			{"v.msg_control", "Control"}, {"v.msg_controllen", "Controllen"}, {"v.msg_flags", "Flags"},
			{"offsetof(struct msghdr, msg_namelen)", "8"}, {"offsetof(struct msghdr, msg_controllen)", "40"},
			{"offsetof(struct msghdr, msg_flags)", "48"}}},
		{"struct mmsghdr", abi.SizeMmsghdr, new(abi.Mmsghdr), [][2]string{
			{"v.msg_hdr.msg_iov", "Iov"}, {"v.msg_len", "Len"}, {"offsetof(struct mmsghdr, msg_len)", "56"}}},
		{"struct cmsghdr", abi.SizeCmsghdr, new(abi.Cmsghdr), [][2]string{{"v.cmsg_len", "Len"}, {"v.cmsg_level", "Level"}, {"v.cmsg_type", "Type"}}},
		{"struct ucred", abi.SizeUcred, new(abi.Ucred), [][2]string{{"v.pid", "PID"}, {"v.uid", "UID"}, {"v.gid", "GID"}}},
		{"struct sched_param", abi.SizeSchedParam, new(abi.SchedParam), [][2]string{{"v.sched_priority", "Priority"}}},
	}
}

func kernelLayouts() []layout {
	regs := func(prefix, path string) [][2]string {
		var v [][2]string
		for c, g := range map[string]string{
			"r8": "R8", "r9": "R9", "r10": "R10", "r11": "R11", "r12": "R12", "r13": "R13", "r14": "R14", "r15": "R15",
			"rdi": "RDI", "rsi": "RSI", "rbp": "RBP", "rbx": "RBX", "rdx": "RDX", "rax": "RAX", "rcx": "RCX",
			"rsp": "RSP", "rip": "RIP", "eflags": "EFLAGS", "cs": "CSGSFS",
			"err": "ERR", "trapno": "TRAPNO", "oldmask": "OLDMASK", "cr2": "CR2",
		} {
			v = append(v, [2]string{prefix + c, path + g})
		}
		return v
	}
	info := func(s abi.Siginfo, views ...[2]string) layout {
		return layout{"siginfo_t", abi.SizeSiginfo, &s,
			append(views, [2]string{"v.si_signo", "Signo"}, [2]string{"v.si_errno", "Errno"}, [2]string{"v.si_code", "Code"})}
	}
	fd := func(s abi.Siginfo, views ...[2]string) layout {
		return layout{"struct signalfd_siginfo", abi.SizeSignalfdSiginfo, &signalfd{s},
			append(views, [2]string{"v.ssi_signo", "Signo"}, [2]string{"v.ssi_errno", "Errno"}, [2]string{"v.ssi_code", "Code"})}
	}
	return []layout{
		{"struct sigaction", abi.SizeSigaction, new(abi.Sigaction), [][2]string{
			{"v.sa_handler", "Handler"}, {"v.sa_flags", "Flags"}, {"v.sa_restorer", "Restorer"}, {"*(long long *)&v.sa_mask", "Mask"}}},
		{"struct clone_args", abi.SizeCloneArgsVer2, new(abi.CloneArgs), [][2]string{
			{"v.flags", "Flags"}, {"v.pidfd", "Pidfd"}, {"v.child_tid", "ChildTID"}, {"v.parent_tid", "ParentTID"},
			{"v.exit_signal", "ExitSignal"}, {"v.stack", "Stack"}, {"v.stack_size", "StackSize"}, {"v.tls", "TLS"},
			{"v.set_tid", "SetTID"}, {"v.set_tid_size", "SetTIDSize"}, {"v.cgroup", "Cgroup"},
			{"CLONE_ARGS_SIZE_VER0", "64"}, {"CLONE_ARGS_SIZE_VER1", "80"}}},
		{"struct open_how", abi.SizeOpenHowVer0, new(abi.OpenHow), [][2]string{
			{"v.flags", "Flags"}, {"v.mode", "Mode"}, {"v.resolve", "Resolve"}}},
		{"struct sched_attr", abi.SizeSchedAttr, new(abi.SchedAttr), [][2]string{
			{"v.size", "Size"}, {"v.sched_policy", "Policy"}, {"v.sched_flags", "Flags"}, {"v.sched_nice", "Nice"},
			{"v.sched_priority", "Priority"}, {"v.sched_runtime", "Runtime"}, {"v.sched_deadline", "Deadline"},
			{"v.sched_period", "Period"}, {"v.sched_util_min", "UtilMin"}, {"v.sched_util_max", "UtilMax"}}},
		{"struct robust_list_head", abi.SizeRobustListHead, new(abi.RobustListHead), [][2]string{
			{"v.list.next", "List"}, {"v.futex_offset", "FutexOffset"}, {"v.list_op_pending", "Pending"}}},
		{"struct futex_waitv", abi.SizeFutexWaitv, new(abi.FutexWaitv), [][2]string{
			{"v.val", "Val"}, {"v.uaddr", "Uaddr"}, {"v.flags", "Flags"}, {"v.__reserved", "Reserved"}}},
		{"struct _fpx_sw_bytes", abi.SizeFpxSw, new(abi.FpxSw), [][2]string{
			{"v.magic1", "Magic1"}, {"v.extended_size", "ExtendedSize"}, {"v.xfeatures", "Xfeatures"}, {"v.xstate_size", "XstateSize"},
			{"offsetof(struct _fpstate_64, sw_reserved)", "464"}, {"sizeof(struct _fpstate_64)", "512"},
			{"offsetof(struct _fpstate_64, mxcsr)", "24"}, {"offsetof(struct _xstate, xstate_hdr)", "512"},
			{"sizeof(struct _header)", "64"}}},
		// Only the registers are Regs: the size is that of the rest, too.
		{"struct { char b[184]; }", abi.SizeRegs, new(abi.Regs), regs("((struct sigcontext *)&v)->", "")},
		{"struct rt_sigframe", abi.SizeFrame, &abi.Frame{}, append(regs("v.uc.uc_mcontext.", "Regs."), [][2]string{
			{"v.pretcode", "Restorer"}, {"v.uc.uc_flags", "Flags"}, {"v.uc.uc_link", "Link"},
			{"v.uc.uc_stack.ss_sp", "Stack.SP"}, {"v.uc.uc_stack.ss_flags", "Stack.Flags"}, {"v.uc.uc_stack.ss_size", "Stack.Size"},
			{"v.uc.uc_mcontext.fpstate", "Fpstate"}, {"*(long long *)&v.uc.uc_sigmask", "Sigmask"},
			{"v.info.si_signo", "Info.Signo"}, {"v.info.si_addr", "Info.Union.0"},
			{"sizeof(struct sigcontext)", "256"}, {"sizeof(struct ucontext)", "304"}}...)},

		info(abi.KillInfo(syscall.SIGTERM, abi.SI_TKILL, 11, 22), [2]string{"v.si_pid", "11"}, [2]string{"v.si_uid", "22"}),
		info(abi.QueueInfo(syscall.SIGUSR1, abi.SI_QUEUE, 11, 22, 1<<40), [2]string{"v.si_pid", "11"},
			[2]string{"v.si_uid", "22"}, [2]string{"v.si_value.sival_ptr", "0x10000000000"}),
		info(abi.TimerInfo(syscall.SIGALRM, 3, 4, 55), [2]string{"v.si_tid", "3"}, [2]string{"v.si_overrun", "4"}, [2]string{"v.si_int", "55"}),
		info(abi.ChildInfo(abi.CLD_EXITED, 5, 6, 7, 8, 9), [2]string{"v.si_pid", "5"}, [2]string{"v.si_uid", "6"},
			[2]string{"v.si_status", "7"}, [2]string{"v.si_utime", "8"}, [2]string{"v.si_stime", "9"}),
		info(abi.FaultInfo(syscall.SIGSEGV, abi.SEGV_ACCERR, 0x123456789), [2]string{"v.si_addr", "0x123456789"}),
		info(abi.MCEErrInfo(abi.BUS_MCEERR_AO, 0x1000, 12), [2]string{"v.si_addr", "0x1000"}, [2]string{"v.si_addr_lsb", "12"}),
		info(abi.BoundsInfo(1, 2, 3), [2]string{"v.si_addr", "1"}, [2]string{"v.si_lower", "2"}, [2]string{"v.si_upper", "3"}),
		info(abi.PkeyInfo(1, 15), [2]string{"v.si_addr", "1"}, [2]string{"v.si_pkey", "15"}),
		info(abi.PollInfo(syscall.SIGIO, abi.POLL_IN, 0x41, 9), [2]string{"v.si_band", "0x41"}, [2]string{"v.si_fd", "9"}),
		info(abi.SysInfo(abi.SYS_SECCOMP, 0x77, 39, 0xc000003e), [2]string{"v.si_call_addr", "0x77"},
			[2]string{"v.si_syscall", "39"}, [2]string{"(unsigned)v.si_arch", "0xc000003e"}),

		fd(abi.KillInfo(syscall.SIGTERM, abi.SI_USER, 11, 22), [2]string{"v.ssi_pid", "11"}, [2]string{"v.ssi_uid", "22"}),
		fd(abi.QueueInfo(40, abi.SI_QUEUE, 11, 22, 33), [2]string{"v.ssi_pid", "11"}, [2]string{"v.ssi_uid", "22"},
			[2]string{"v.ssi_int", "33"}, [2]string{"v.ssi_ptr", "33"}),
		fd(abi.TimerInfo(syscall.SIGALRM, 3, 4, 55), [2]string{"v.ssi_tid", "3"}, [2]string{"v.ssi_overrun", "4"}, [2]string{"v.ssi_ptr", "55"}),
		fd(abi.ChildInfo(abi.CLD_KILLED, 5, 6, 7, 8, 9), [2]string{"v.ssi_pid", "5"}, [2]string{"v.ssi_uid", "6"},
			[2]string{"v.ssi_status", "7"}, [2]string{"v.ssi_utime", "8"}, [2]string{"v.ssi_stime", "9"}),
		fd(abi.MCEErrInfo(abi.BUS_MCEERR_AR, 0x1000, 12), [2]string{"v.ssi_addr", "0x1000"}, [2]string{"v.ssi_addr_lsb", "12"}),
		fd(abi.PollInfo(syscall.SIGIO, abi.POLL_HUP, 0x10, 9), [2]string{"v.ssi_band", "0x10"}, [2]string{"v.ssi_fd", "9"}),
		fd(abi.SysInfo(abi.SYS_SECCOMP, 0x77, 39, 3), [2]string{"v.ssi_call_addr", "0x77"},
			[2]string{"v.ssi_syscall", "39"}, [2]string{"v.ssi_arch", "3"}),
	}
}

// signalfd encodes a Siginfo as signalfd(2) does.
type signalfd struct{ abi.Siginfo }

func (s *signalfd) Encode(b []byte) { s.EncodeSignalfd(b) }

// Decode hides the one of Siginfo, whose bytes these are not.
func (s *signalfd) Decode() {}
