package strace_test

import (
	"encoding/binary"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/strace"
)

// guest is a memory made of pieces.
type guest map[uint64][]byte

func (g guest) ReadAt(addr uint64, p []byte) error {
	for at, b := range g {
		if addr >= at && addr+uint64(len(p)) <= at+uint64(len(b)) && addr+uint64(len(p)) >= addr {
			copy(p, b[addr-at:])
			return nil
		}
	}
	return syscall.EFAULT
}

// page is one of memory that begins with the strings given.
func page(s ...string) []byte {
	b := make([]byte, 4096)
	copy(b, strings.Join(s, ""))
	return b
}

func words(w ...uint64) string {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return string(b)
}

func ints(w ...int32) string {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return string(b)
}

type encoder interface{ Encode([]byte) }

func encoded(size int, e encoder) string {
	b := make([]byte, size)
	e.Encode(b)
	return string(b)
}

const (
	minus1 = ^uint64(0)
	fdcwd  = 0xffffff9c
)

func fail(e syscall.Errno) uint64 { return -uint64(e) }

// golden are lines as strace(1) prints them. in is the memory at the
// beginning of the call, out what has changed at its end.
var golden = []struct {
	nr      uint64
	args    [6]uint64
	in, out guest
	rax     uint64
	want    string
}{
	{unix.SYS_GETPID, [6]uint64{}, nil, nil, 7, `getpid() = 7`},
	{unix.SYS_OPENAT, [6]uint64{fdcwd, 0x1000, unix.O_CLOEXEC}, guest{0x1000: page("/etc/passwd")}, nil, 3,
		`openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3`},
	{unix.SYS_OPENAT, [6]uint64{3, 0x1000, unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, 0o666}, guest{0x1000: page("x")}, nil, 4,
		`openat(3, "x", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 4`},
	{unix.SYS_OPENAT, [6]uint64{fdcwd, 0x1000, unix.O_RDWR}, guest{0x1000: page("missing")}, nil, fail(syscall.ENOENT),
		`openat(AT_FDCWD, "missing", O_RDWR) = -1 ENOENT (No such file or directory)`},
	{unix.SYS_OPENAT, [6]uint64{fdcwd, 0x8, 0}, nil, nil, fail(syscall.EFAULT), `openat(AT_FDCWD, 0x8, O_RDONLY) = -1 EFAULT (Bad address)`},
	{unix.SYS_CHDIR, [6]uint64{0}, nil, nil, fail(syscall.EFAULT), `chdir(NULL) = -1 EFAULT (Bad address)`},
	{unix.SYS_CHDIR, [6]uint64{0x1ffd}, guest{0x1000: []byte(strings.Repeat("x", 4096)), 0x2000: page("y\x003")}, nil, 0, `chdir("xxxy") = 0`},
	{unix.SYS_CHDIR, [6]uint64{0x1fff}, guest{0x1000: []byte(strings.Repeat("\x01", 4096)), 0x2000: page("3")}, nil, 0, `chdir("\0013") = 0`},
	{unix.SYS_READ, [6]uint64{0, 0x1000, 100}, nil, guest{0x1000: page("a\x00\x011\t\"\\\xff")}, 8, `read(0, "a\0\0011\t\"\\\377", 100) = 8`},
	{unix.SYS_READ, [6]uint64{0, 0x1000, 100}, nil, nil, fail(syscall.EAGAIN), `read(0, 0x1000, 100) = -1 EAGAIN (Resource temporarily unavailable)`},
	{unix.SYS_READ, [6]uint64{0, 0x1000, 100}, nil, nil, fail(abi.ERESTARTSYS),
		`read(0, 0x1000, 100) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)`},
	{unix.SYS_PAUSE, [6]uint64{}, nil, nil, fail(abi.ERESTARTNOHAND), `pause() = ? ERESTARTNOHAND (To be restarted if no handler)`},
	{unix.SYS_WRITE, [6]uint64{1, 0x1000, 33}, guest{0x1000: page(strings.Repeat("x", 40))}, nil, 33,
		`write(1, "` + strings.Repeat("x", 32) + `"..., 33) = 33`},
	// The guest changes the buffer while the call is under way.
	{unix.SYS_WRITE, [6]uint64{1, 0x1000, 3}, guest{0x1000: page("old")}, guest{0x1000: page("new")}, 3, `write(1, "old", 3) = 3`},
	{unix.SYS_WRITE, [6]uint64{1, 0x1000, minus1}, guest{0x1000: []byte("short")}, nil, fail(syscall.EFAULT),
		`write(1, 0x1000, 18446744073709551615) = -1 EFAULT (Bad address)`},
	{unix.SYS_NEWFSTATAT, [6]uint64{fdcwd, 0x1000, 0x2000, unix.AT_SYMLINK_NOFOLLOW}, guest{0x1000: page("f")},
		guest{0x2000: page(encoded(abi.SizeStat, &abi.Stat{Mode: syscall.S_IFREG | 0o4755, Size: 12}))}, 0,
		`newfstatat(AT_FDCWD, "f", {st_mode=S_IFREG|S_ISUID|0755, st_size=12, ...}, AT_SYMLINK_NOFOLLOW) = 0`},
	{unix.SYS_FSTAT, [6]uint64{1, 0x2000}, nil,
		guest{0x2000: page(encoded(abi.SizeStat, &abi.Stat{Mode: syscall.S_IFCHR | 0o620, Rdev: unix.Mkdev(136, 2)}))}, 0,
		`fstat(1, {st_mode=S_IFCHR|0620, st_rdev=makedev(0x88, 0x2), ...}) = 0`},
	{unix.SYS_GETDENTS64, [6]uint64{3, 0x1000, 32768}, nil, guest{0x1000: page(words(1, 2), "\x18\x00\x04.\x00\x00\x00\x00", words(1, 3), "\x18\x00\x04..\x00\x00\x00")}, 48,
		`getdents64(3, 0x1000 /* 2 entries */, 32768) = 48`},
	{unix.SYS_EXECVE, [6]uint64{0x1000, 0x1100, 0x1120}, guest{0x1000: page("/bin/ls\x00", strings.Repeat("\x00", 0xf8), words(0x1000, 0x1005, 0), "        ", words(0x1000, 0))}, nil, 0,
		`execve("/bin/ls", ["/bin/ls", "ls"], 0x1120 /* 1 var */) = 0`},
	{unix.SYS_MMAP, [6]uint64{0, 8192, 3, 0x22, minus1, 0}, nil, nil, 0x7f0000001000,
		`mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000`},
	{unix.SYS_MMAP, [6]uint64{0x10000, 1, 0, 0x11, 3, 0x1000}, nil, nil, fail(syscall.EACCES),
		`mmap(0x10000, 1, PROT_NONE, MAP_SHARED|MAP_FIXED, 3, 0x1000) = -1 EACCES (Permission denied)`},
	{unix.SYS_BRK, [6]uint64{}, nil, nil, 0x555500000000, `brk(NULL) = 0x555500000000`},
	{unix.SYS_RT_SIGACTION, [6]uint64{2, 0x1000, 0x2000, 8},
		guest{0x1000: page(encoded(abi.SizeSigaction, &abi.Sigaction{Handler: 0x400000, Flags: abi.SA_RESTORER | abi.SA_RESTART, Restorer: 0x400100, Mask: abi.SigsetOf(syscall.SIGINT, 33)}))},
		guest{0x2000: page(encoded(abi.SizeSigaction, &abi.Sigaction{}))}, 0,
		`rt_sigaction(SIGINT, {sa_handler=0x400000, sa_mask=[INT RT_1], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x400100}, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0`},
	{unix.SYS_RT_SIGPROCMASK, [6]uint64{2, 0x1000, 0, 8}, guest{0x1000: page(words(^uint64(1 << 8)))}, nil, 0,
		`rt_sigprocmask(SIG_SETMASK, ~[KILL], NULL, 8) = 0`},
	{unix.SYS_WAIT4, [6]uint64{minus1, 0x1000, unix.WNOHANG, 0}, nil, guest{0x1000: page(ints(0x300))}, 9,
		`wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WNOHANG, NULL) = 9`},
	{unix.SYS_WAIT4, [6]uint64{minus1, 0x1000, 0, 0}, nil, guest{0x1000: page(ints(0x8b))}, 9,
		`wait4(-1, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}], 0, NULL) = 9`},
	{unix.SYS_WAIT4, [6]uint64{minus1, 0x1000, unix.WUNTRACED | unix.WCONTINUED, 0}, nil, guest{0x1000: page(ints(0x137f))}, 9,
		`wait4(-1, [{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}], WSTOPPED|WCONTINUED, NULL) = 9`},
	{unix.SYS_CLONE, [6]uint64{unix.CLONE_CHILD_SETTID | unix.CLONE_CHILD_CLEARTID | 17, 0, 0, 0x7f0000000a10, 0}, nil, nil, 9,
		`clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f0000000a10) = 9`},
	{unix.SYS_CLONE3, [6]uint64{0x1000, 88},
		guest{0x1000: page(encoded(88, &abi.CloneArgs{Flags: unix.CLONE_VM | unix.CLONE_PARENT_SETTID, ParentTID: 0x2000, Stack: 0x3000, StackSize: 0x1000}))},
		guest{0x1000: page(encoded(88, &abi.CloneArgs{Flags: unix.CLONE_VM | unix.CLONE_PARENT_SETTID, ParentTID: 0x2000})), 0x2000: page(ints(9))}, 9,
		`clone3({flags=CLONE_VM|CLONE_PARENT_SETTID, parent_tid=0x2000, exit_signal=0, stack=0x3000, stack_size=0x1000} => {parent_tid=[9]}, 88) = 9`},
	{unix.SYS_CLONE, [6]uint64{17}, nil, nil, 9, `clone(child_stack=NULL, flags=SIGCHLD) = 9`},
	{unix.SYS_FUTEX, [6]uint64{0x1000, abi.FUTEX_WAIT | abi.FUTEX_PRIVATE_FLAG, 2, 0, 5, 6}, nil, nil, fail(syscall.EAGAIN),
		`futex(0x1000, FUTEX_WAIT_PRIVATE, 2, NULL) = -1 EAGAIN (Resource temporarily unavailable)`},
	{unix.SYS_POLL, [6]uint64{0x1000, 2, minus1}, guest{0x1000: page(ints(3, unix.POLLIN, 4, unix.POLLOUT))},
		guest{0x1000: page(ints(3, unix.POLLIN, 4, unix.POLLOUT|unix.POLLOUT<<16))}, 1,
		`poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, -1) = 1 ([{fd=4, revents=POLLOUT}])`},
	{unix.SYS_POLL, [6]uint64{0, 0, 10}, nil, nil, 0, `poll(NULL, 0, 10) = 0 (Timeout)`},
	{unix.SYS_EPOLL_CTL, [6]uint64{3, unix.EPOLL_CTL_ADD, 4, 0x1000}, guest{0x1000: page(encoded(12, abi.EpollEvent{Events: unix.EPOLLIN | 1<<31, Data: 5}))}, nil, 0,
		`epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=5, u64=5}}) = 0`},
	{unix.SYS_PIPE2, [6]uint64{0x1000, 0}, nil, guest{0x1000: page(ints(3, 4))}, 0, `pipe2([3, 4], 0) = 0`},
	{unix.SYS_FCNTL, [6]uint64{1, unix.F_GETFL}, nil, nil, unix.O_RDWR | unix.O_APPEND, `fcntl(1, F_GETFL) = 0x402 (flags O_RDWR|O_APPEND)`},
	{unix.SYS_IOCTL, [6]uint64{0, unix.TIOCGWINSZ, 0x1000}, nil, guest{0x1000: page("\x18\x00\x50\x00\x00\x00\x00\x00")}, 0,
		`ioctl(0, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0`},
	{unix.SYS_IOCTL, [6]uint64{0, unix.TCGETS, 0x1000}, nil, guest{0x1000: page(ints(0x500, 5, 0xbf, 0x8a3b))}, 0,
		`ioctl(0, TCGETS, {c_iflag=ICRNL|IXON, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, c_cflag=B38400|CS8|CREAD, c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, ...}) = 0`},
	{unix.SYS_PRCTL, [6]uint64{unix.PR_SET_VMA, 0, 0x7000000, 4096, 0x1000}, guest{0x1000: page("heap")}, nil, 0,
		`prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0x7000000, 4096, "heap") = 0`},
	{unix.SYS_CONNECT, [6]uint64{3, 0x1000, 110}, guest{0x1000: page("\x01\x00/run/x.sock")}, nil, fail(syscall.ECONNREFUSED),
		`connect(3, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = -1 ECONNREFUSED (Connection refused)`},
	{unix.SYS_GETSOCKNAME, [6]uint64{3, 0x1000, 0x2000}, guest{0x2000: page(ints(110))}, guest{0x1000: page("\x01\x00\x00abc"), 0x2000: page(ints(6))}, 0,
		`getsockname(3, {sa_family=AF_UNIX, sun_path=@"abc"}, [110 => 6]) = 0`},
	{unix.SYS_NANOSLEEP, [6]uint64{0x1000, 0x2000}, guest{0x1000: page(words(5, 6))}, guest{0x2000: page(words(1, 2))}, fail(abi.ERESTART_RESTARTBLOCK),
		`nanosleep({tv_sec=5, tv_nsec=6}, {tv_sec=1, tv_nsec=2}) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)`},
	{unix.SYS_PRLIMIT64, [6]uint64{0, unix.RLIMIT_STACK, 0, 0x1000}, nil, guest{0x1000: page(words(8<<20, minus1))}, 0,
		`prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0`},
	{unix.SYS_UMASK, [6]uint64{0o77}, nil, nil, 0o22, `umask(077) = 022`},
	{unix.SYS_ARCH_PRCTL, [6]uint64{abi.ARCH_SET_FS, 0x7f0000000000}, nil, nil, 0, `arch_prctl(ARCH_SET_FS, 0x7f0000000000) = 0`},
	{unix.SYS_IO_URING_SETUP, [6]uint64{1, 0x1000, 3, 4, 5, 6}, nil, nil, fail(syscall.ENOSYS),
		`io_uring_setup(0x1, 0x1000, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)`},
	{5000, [6]uint64{}, nil, nil, fail(syscall.ENOSYS), `syscall_0x1388(0, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)`},
}

func TestGolden(t *testing.T) {
	c := strace.Call{Column: 1}
	for _, g := range golden {
		c.Enter(g.nr, g.args, g.in)
		if got := string(c.Exit(g.rax, g.out)); got != g.want {
			t.Errorf("got  %s\nwant %s", got, g.want)
		}
	}
}

func TestShape(t *testing.T) {
	c := strace.Call{Prefix: "[pid 7] "}
	c.Enter(unix.SYS_CLOSE, [6]uint64{3}, nil)
	if got, want := string(c.Exit(0, nil)), "[pid 7] close(3)                        = 0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Enter(unix.SYS_EXIT_GROUP, [6]uint64{3}, nil)
	if got, want := string(c.Gone()), "[pid 7] exit_group(3)                   = ?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c = strace.Call{Column: 1}
	c.Enter(unix.SYS_READ, [6]uint64{0, 0x1000, 5}, guest{})
	if got, want := string(c.Gone()), "read(0, 0x1000, 5) = ?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSignalLine(t *testing.T) {
	for _, c := range []struct {
		info abi.Siginfo
		want string
	}{
		{abi.KillInfo(syscall.SIGUSR1, abi.SI_USER, 5, 0), "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=5, si_uid=0} ---"},
		{abi.ChildInfo(abi.CLD_EXITED, 5, 1000, 1, 0, 3), "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=5, si_uid=1000, si_status=1, si_utime=0, si_stime=3 /* 0.03 s */} ---"},
		{abi.ChildInfo(abi.CLD_KILLED, 5, 0, 9, 0, 0), "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=5, si_uid=0, si_status=SIGKILL, si_utime=0, si_stime=0} ---"},
		{abi.FaultInfo(syscall.SIGSEGV, abi.SEGV_MAPERR, 0), "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL} ---"},
		{abi.KillInfo(syscall.SIGPIPE, abi.SI_KERNEL, 0, 0), "--- SIGPIPE {si_signo=SIGPIPE, si_code=SI_KERNEL} ---"},
		{abi.SysInfo(abi.SYS_SECCOMP, 0x401000, 39, 0xc000003e), "--- SIGSYS {si_signo=SIGSYS, si_code=SYS_SECCOMP, si_call_addr=0x401000, si_syscall=__NR_getpid, si_arch=AUDIT_ARCH_X86_64} ---"},
	} {
		if got := string(strace.SignalLine(&c.info)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// FuzzCall prints any call with any arguments over any memory.
func FuzzCall(f *testing.F) {
	for _, g := range golden {
		f.Add(g.nr, g.args[0], g.args[1], g.args[2], g.args[3], g.args[4], g.args[5], g.rax, []byte("memory"))
	}
	all := make([]byte, 0, 512)
	for i := range 64 {
		all = binary.LittleEndian.AppendUint64(all, uint64(0x1000+i*8%300))
	}
	for nr := range uint64(abi.NumSyscalls) {
		f.Add(nr, uint64(0x1000), uint64(0x1010), uint64(0x1020), uint64(0x1080), uint64(16), uint64(0x1030), uint64(7), all)
		f.Add(nr, minus1, minus1, minus1, minus1, minus1, minus1, minus1, all)
		f.Add(nr, uint64(1), uint64(0x1000), minus1>>1, uint64(0x1000), minus1>>1, minus1>>1, minus1>>1, all)
	}
	f.Fuzz(func(t *testing.T, nr, a, b, c, d, e, g, rax uint64, mem []byte) {
		// The memory repeats, to be large.
		m := tiled(mem)
		call := strace.Call{}
		for range 2 {
			call.Enter(nr, [6]uint64{a, b, c, d, e, g}, m)
			line := call.Exit(rax, m)
			if len(line) > 200_000 || strings.ContainsAny(string(line), "\n\x00") {
				t.Fatalf("a line of %d bytes: %.200q", len(line), line)
			}
		}
		call.Enter(nr, [6]uint64{a, b, c, d, e, g}, m)
		if line := call.Gone(); strings.ContainsAny(string(line), "\n\x00") {
			t.Fatalf("%q", line)
		}
	})
}

// tiled is a memory from 0x1000 on that repeats.
type tiled []byte

func (m tiled) ReadAt(addr uint64, p []byte) error {
	if len(m) == 0 || addr < 0x1000 || addr > 0x100000 {
		return syscall.EFAULT
	}
	for i := range p {
		p[i] = m[(addr-0x1000+uint64(i))%uint64(len(m))]
	}
	return nil
}
