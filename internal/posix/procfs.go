package posix

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/proc"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// procView is what /proc shows of the server.
type procView struct{ k *Kernel }

var _ proc.View = procView{}

// Caller returns who makes the call.
func (v procView) Caller(ctx context.Context) (pid, tid int) {
	if t := callerOf(ctx); t != nil {
		return t.proc.pid, t.tid
	}
	return 0, 0
}

// PIDs returns all processes, the first included.
func (v procView) PIDs() []int {
	v.k.mu.Lock()
	defer v.k.mu.Unlock()
	pids := make([]int, 0, len(v.k.processes))
	for pid := range v.k.processes {
		pids = append(pids, pid)
	}
	sort.Ints(pids)
	return pids
}

// Threads returns a process's threads; a zombie has its first one still.
func (v procView) Threads(pid int) []int {
	v.k.mu.Lock()
	defer v.k.mu.Unlock()
	p := v.k.processes[pid]
	if p == nil {
		return nil
	}
	tids := make([]int, 0, len(p.tasks)+1)
	for tid := range p.tasks {
		tids = append(tids, tid)
	}
	if p.tasks[pid] == nil {
		tids = append(tids, pid)
	}
	sort.Ints(tids)
	return tids
}

// Owner returns whose process it is.
func (v procView) Owner(pid int) (uid, gid uint32) {
	if t := v.k.thread(pid, pid); t != nil {
		c := t.creds.Load()
		return c.EUID, c.EGID
	}
	return 0, 0
}

// thread returns a thread of a process, nil when it has ended.
func (k *Kernel) thread(pid, tid int) *Task {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.processes[pid]
	if p == nil {
		return nil
	}
	if t := p.tasks[tid]; t != nil {
		return t
	}
	if tid != pid {
		return nil
	}
	// The first thread has ended; any other one tells as much.
	for _, t := range p.tasks {
		return t
	}
	return nil
}

// process returns a process, nil when there is none.
func (k *Kernel) process(pid int) *Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.processes[pid]
}

// shared returns what a thread shares with others, as it is now.
func (t *Task) shared() (*Memory, *FDTable, *FSContext) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return t.mem, t.fds, t.fs
}

// Link returns where a magic link leads.
func (v procView) Link(ctx context.Context, pid, tid int, name string) (any, string, error) {
	if n, ok := strings.CutPrefix(name, "ns/"); ok {
		return nil, n + ":[4026531840]", nil
	}
	t := v.k.thread(pid, tid)
	if t == nil {
		return nil, "", syscall.ENOENT
	}
	if !mayInspect(callerOf(ctx), t) {
		return nil, "", syscall.EACCES
	}
	_, fds, fs := t.shared()
	var p Path
	switch name {
	case "exe":
		exe := t.proc.host.exe.Load()
		if exe == nil {
			return nil, "", syscall.ENOENT
		}
		p = *exe
	case "cwd":
		p = Path{fs.cwd.Load()}
	case "root":
		p = Path{fs.root.Load()}
	default:
		n, err := strconv.Atoi(strings.TrimPrefix(name, "fd/"))
		if err != nil {
			return nil, "", syscall.ENOENT
		}
		d, err := fds.getAny(n)
		if err != nil {
			return nil, "", syscall.ENOENT
		}
		defer d.release()
		return d, d.path.String(), nil
	}
	return p, p.String(), nil
}

// mayInspect is whether a caller may look into a thread: itself, one of the same
// user, or any if it is the superuser.
func mayInspect(caller, t *Task) bool {
	if caller == nil || caller.proc == t.proc {
		return true
	}
	c, o := caller.creds.Load(), t.creds.Load()
	return c.FSUID == 0 || c.FSUID == o.EUID && c.FSUID == o.SUID && c.FSUID == o.UID
}

// FDs lists descriptors.
func (v procView) FDs(ctx context.Context, pid, tid int) ([]proc.FD, error) {
	t := v.k.thread(pid, tid)
	if t == nil {
		return nil, syscall.ENOENT
	}
	if !mayInspect(callerOf(ctx), t) {
		return nil, syscall.EACCES
	}
	_, fds, _ := t.shared()
	var list []proc.FD
	for n := fds.next(0); n >= 0; n = fds.next(n + 1) {
		if d, err := fds.getAny(n); err == nil {
			list = append(list, proc.FD{Number: n, Mode: d.accessMode()})
			d.release()
		}
	}
	return list, nil
}

// Read returns a file's contents.
func (v procView) Read(ctx context.Context, pid, tid int, name string) ([]byte, error) {
	if pid == 0 {
		if n, ok := strings.CutPrefix(name, "sys/net/"); ok {
			return v.k.netSetting(ctx, n)
		}
		return v.k.systemFile(name)
	}
	p := v.k.process(pid)
	if p == nil {
		return nil, syscall.ESRCH
	}
	return p.procFile(ctx, v.k.thread(pid, tid), tid, name)
}

// procFile makes the contents of a file of a process. t is nil for a zombie.
func (p *Process) procFile(ctx context.Context, t *Task, tid int, name string) ([]byte, error) {
	caller := callerOf(ctx)
	switch name {
	case "stat":
		return p.procStat(t, tid, caller), nil
	case "status":
		return p.procStatus(t, tid, caller), nil
	case "comm":
		return []byte(p.threadName(t) + "\n"), nil
	case "cgroup":
		return []byte("0::/\n"), nil
	case "limits":
		return p.procLimits(), nil
	case "oom_score":
		return []byte("0\n"), nil
	case "oom_adj":
		n := p.host.oomScoreAdj.Load()
		if n == 1000 {
			return []byte("15\n"), nil
		}
		return fmt.Appendf(nil, "%d\n", n*17/1000), nil
	case "oom_score_adj":
		return fmt.Appendf(nil, "%d\n", p.host.oomScoreAdj.Load()), nil
	case "loginuid", "sessionid":
		return []byte("4294967295"), nil
	case "wchan":
		return []byte("0"), nil
	case "cpuset":
		return []byte("/\n"), nil
	case "personality":
		if t == nil {
			return nil, syscall.ESRCH
		}
		p.k.mu.Lock()
		defer p.k.mu.Unlock()
		return fmt.Appendf(nil, "%08x\n", t.personality), nil
	case "setgroups":
		return []byte("allow\n"), nil
	case "uid_map", "gid_map":
		return []byte("         0          0 4294967295\n"), nil
	case "coredump_filter":
		return []byte("00000033\n"), nil
	case "timerslack_ns":
		return []byte("50000\n"), nil
	case "mounts":
		return p.k.procMounts(t), nil
	case "mountinfo":
		return p.k.procMountinfo(t), nil
	case "mountstats":
		return nil, nil
	case "children":
		return p.procChildren(tid), nil
	case "attr/current", "attr/exec", "attr/prev":
		return nil, syscall.EINVAL
	case "syscall":
		return []byte("running\n"), nil
	case "io":
		return []byte("rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"), nil
	}
	if n, ok := strings.CutPrefix(name, "net/"); ok {
		return p.k.procNet(ctx, n)
	}
	if t == nil {
		return nil, nil // a zombie has no memory
	}
	mem, fds, _ := t.shared()
	if n, ok := strings.CutPrefix(name, "fdinfo/"); ok {
		return procFDInfo(fds, n)
	}
	if mem == nil {
		return nil, nil
	}
	switch name {
	case "cmdline":
		return mem.between(mem.argStart, mem.argEnd), nil
	case "environ":
		return mem.between(mem.envStart, mem.envEnd), nil
	case "auxv":
		return mem.auxv, nil
	case "maps":
		return mem.procMaps("maps")
	case "smaps", "smaps_rollup", "numa_maps":
		return mem.procMaps(name)
	case "statm", "schedstat", "sched", "stack", "pagemap":
		if name == "stack" || name == "pagemap" {
			return nil, syscall.EPERM
		}
		return mem.hostFile(name)
	}
	return nil, syscall.EINVAL
}

// between copies a range of the guest's memory, at most a megabyte.
func (m *Memory) between(start, end uint64) []byte {
	if end <= start {
		return nil
	}
	b := make([]byte, min(end-start, 1<<20))
	n, _ := m.space.Read(start, b)
	return b[:n]
}

// hostFile returns what the host says of the process behind the memory.
func (m *Memory) hostFile(name string) ([]byte, error) {
	pid := m.space.PID()
	if pid == 0 {
		return nil, syscall.ESRCH
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + name)
	if err != nil {
		return nil, syscall.ESRCH
	}
	return b, nil
}

func procFDInfo(fds *FDTable, n string) ([]byte, error) {
	fd, err := strconv.Atoi(n)
	if err != nil {
		return nil, syscall.ENOENT
	}
	d, err := fds.getAny(fd)
	if err != nil {
		return nil, syscall.ENOENT
	}
	defer d.release()
	flags := d.flags.Load()
	if fds.closeOnExec(fd) {
		flags |= unix.O_CLOEXEC
	}
	b := fmt.Appendf(nil, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", d.position(), flags, 1, inoOf(d.file))
	if s, ok := d.file.(interface{ FDInfo() string }); ok {
		b = append(b, s.FDInfo()...)
	}
	return b, nil
}

func inoOf(f vfs.File) uint64 {
	if f == nil || f.Node() == nil {
		return 0
	}
	a, err := f.Node().Stat(context.Background())
	if err != nil {
		return 0
	}
	return a.Ino
}

func (p *Process) procChildren(tid int) []byte {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	var pids []int
	if tid == p.pid {
		for pid := range p.children {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	var b []byte
	for _, pid := range pids {
		b = fmt.Appendf(b, "%d ", pid)
	}
	return b
}
