package posix

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

var systemCalls = calls{
	unix.SYS_UNAME:         {fn: sysUname},
	unix.SYS_SYSINFO:       {fn: sysSysinfo},
	unix.SYS_GETRANDOM:     {fn: sysGetrandom},
	unix.SYS_SETHOSTNAME:   {fn: sysSethostname},
	unix.SYS_SETDOMAINNAME: {fn: sysSetdomainname},
	unix.SYS_PERSONALITY:   {fn: sysPersonality},
	unix.SYS_PRCTL:         {fn: sysPrctl},
	unix.SYS_UNSHARE:       {fn: sysUnshare},
	unix.SYS_SETNS:         {fn: notPermitted},
	unix.SYS_GETCPU: {fn: func(t *Task, a *Args) (uint64, error) {
		return t.onHost(unix.SYS_GETCPU, a[:3]...)
	}},
	unix.SYS_RSEQ:       {fn: sysRseq},
	unix.SYS_MEMBARRIER: {fn: func(t *Task, a *Args) (uint64, error) { return t.onHost(unix.SYS_MEMBARRIER, a[:3]...) }},

	// What is the administrator's is refused, even to user 0 of the box.
	unix.SYS_SYSLOG:        {fn: notPermitted},
	unix.SYS_REBOOT:        {fn: notPermitted},
	unix.SYS_SWAPON:        {fn: notPermitted},
	unix.SYS_SWAPOFF:       {fn: notPermitted},
	unix.SYS_INIT_MODULE:   {fn: notPermitted},
	unix.SYS_FINIT_MODULE:  {fn: notPermitted},
	unix.SYS_DELETE_MODULE: {fn: notPermitted},
	unix.SYS_KEXEC_LOAD:    {fn: notPermitted},
	unix.SYS_ACCT:          {fn: notPermitted},
	unix.SYS_IOPL:          {fn: notPermitted},
	unix.SYS_IOPERM:        {fn: notPermitted},
	unix.SYS_VHANGUP:       {fn: notPermitted},
	unix.SYS_QUOTACTL:      {fn: notPermitted},
	unix.SYS_PTRACE:        {fn: sysPtrace},
	unix.SYS_BPF:           {fn: notPermitted},

	unix.SYS_PERF_EVENT_OPEN: {fn: notPermitted},
	unix.SYS_USERFAULTFD:     {fn: notPermitted},
}

func notPermitted(*Task, *Args) (uint64, error) { return 0, syscall.EPERM }

// sysUnshare makes the thread's descriptors or directories its own. Namespaces
// there are none, as for a process that may not make them.
func sysUnshare(t *Task, a *Args) (uint64, error) {
	const known = unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SYSVSEM | unix.CLONE_THREAD |
		unix.CLONE_SIGHAND | unix.CLONE_VM | cloneNamespaces
	flags := a[0]
	if flags&^uint64(known) != 0 {
		return 0, syscall.EINVAL
	}
	if flags&(unix.CLONE_THREAD|unix.CLONE_SIGHAND|unix.CLONE_VM) != 0 {
		t.k.mu.Lock()
		alone := len(t.proc.tasks) == 1
		t.k.mu.Unlock()
		if !alone {
			return 0, syscall.EINVAL
		}
	}
	if flags&cloneNamespaces != 0 {
		return 0, syscall.EPERM
	}
	fds, fs := t.fds, t.fs
	if flags&unix.CLONE_FILES != 0 && t.fds.shared() {
		fds = t.fds.fork()
	}
	if flags&unix.CLONE_FS != 0 {
		fs = t.fs.fork()
	}
	t.k.mu.Lock()
	old := t.fds
	t.fds, t.fs = fds, fs
	t.k.mu.Unlock()
	if old != fds {
		t.thread.UseGrants(false)
		if t.leaveFDs(old) {
			old.closeAll()
		}
	}
	return 0, nil
}

// names are what uname(2) tells.
type names struct {
	sysname, nodename, release, version, machine, domainname string
}

// hostNames are the host's.
var hostNames = sync.OnceValue(func() names {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return names{sysname: "Linux", nodename: "localhost", release: "6.1.0", version: "#1", machine: "x86_64", domainname: "(none)"}
	}
	s := func(b []byte) string { return unix.ByteSliceToString(b) }
	return names{s(u.Sysname[:]), s(u.Nodename[:]), s(u.Release[:]), s(u.Version[:]), s(u.Machine[:]), "(none)"}
})

// uname returns the names of the box. It takes k.mu.
func (k *Kernel) uname() names {
	n := hostNames()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.config.Hostname != "" {
		n.nodename = k.config.Hostname
	}
	if k.domainname != "" {
		n.domainname = k.domainname
	}
	return n
}

func (k *Kernel) hostname() string { return k.uname().nodename }

// uptime is the time since the box was made.
func (k *Kernel) uptime() time.Duration { return time.Since(k.boot) }

func sysUname(t *Task, a *Args) (uint64, error) {
	n := t.k.uname()
	u := abi.Utsname{Sysname: n.sysname, Nodename: n.nodename, Release: n.release,
		Version: n.version, Machine: n.machine, Domainname: n.domainname}
	if t.personality&addrUname26 != 0 {
		u.Release = "2.6.40"
	}
	var b [abi.SizeUtsname]byte
	u.Encode(b[:])
	return 0, t.copyOut(a[0], b[:])
}

// setName copies a new name of the box.
func (t *Task) setName(a *Args, set func(string)) (uint64, error) {
	if !t.capable(unix.CAP_SYS_ADMIN) {
		return 0, syscall.EPERM
	}
	if n := a.Int(1); n < 0 || n > 64 {
		return 0, syscall.EINVAL
	}
	b := make([]byte, a.Int(1))
	if err := t.copyIn(a[0], b); err != nil {
		return 0, err
	}
	name, _, _ := strings.Cut(string(b), "\x00")
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	set(name)
	return 0, nil
}

func sysSethostname(t *Task, a *Args) (uint64, error) {
	return t.setName(a, func(s string) { t.k.config.Hostname = s })
}

func sysSetdomainname(t *Task, a *Args) (uint64, error) {
	return t.setName(a, func(s string) { t.k.domainname = s })
}

func sysSysinfo(t *Task, a *Args) (uint64, error) {
	var h unix.Sysinfo_t
	if err := unix.Sysinfo(&h); err != nil {
		return 0, err
	}
	t.k.mu.Lock()
	procs := len(t.k.tasks)
	t.k.mu.Unlock()
	s := abi.Sysinfo{
		Uptime: int64(t.k.uptime() / time.Second), Loads: h.Loads,
		Totalram: h.Totalram, Freeram: h.Freeram, Sharedram: h.Sharedram, Bufferram: h.Bufferram,
		Totalswap: h.Totalswap, Freeswap: h.Freeswap, Procs: uint16(procs),
		Totalhigh: h.Totalhigh, Freehigh: h.Freehigh, MemUnit: h.Unit,
	}
	var b [abi.SizeSysinfo]byte
	s.Encode(b[:])
	return 0, t.copyOut(a[0], b[:])
}

func sysGetrandom(t *Task, a *Args) (uint64, error) {
	const known = unix.GRND_NONBLOCK | unix.GRND_RANDOM | unix.GRND_INSECURE
	flags := a.Int(2)
	if flags&^known != 0 || flags&(unix.GRND_RANDOM|unix.GRND_INSECURE) == unix.GRND_RANDOM|unix.GRND_INSECURE {
		return 0, syscall.EINVAL
	}
	n := min(a[1], 1<<31-4096)
	done := uint64(0)
	for done < n {
		// A large request can be interrupted, a small one never is.
		if done >= 256 && context.Cause(t.context()) != nil {
			break
		}
		b := t.buffer(int(min(n-done, 64<<10)))
		rand.Read(b)
		m, err := t.copyOutSome(a[0]+done, b)
		done += uint64(m)
		if err != nil {
			if done == 0 {
				return 0, syscall.EFAULT
			}
			break
		}
	}
	return done, nil
}

// personality(2)'s flags that mean something here.
const (
	addrUname26     = 0x0020000
	addrNoRandomize = 0x0040000
)

func sysPersonality(t *Task, a *Args) (uint64, error) {
	old := t.personality
	if p := a.Uint(0); p != 0xffffffff {
		t.k.mu.Lock() // for /proc
		t.personality = p
		t.k.mu.Unlock()
	}
	return uint64(old), nil
}
