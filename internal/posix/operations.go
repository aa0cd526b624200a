package posix

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/internal/strace"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Operation is a system call that has begun and not ended.
type Operation struct {
	PID, TID int
	Program  string
	Call     string // with its arguments; those in memory as addresses
	Object   string // the path, or what the descriptor refers to; "" for none
	Server   string // who serves that: "tmpfs at /tmp"; "" for POSIX itself
	Began    time.Time
	State    string
}

// The states of an operation.
const (
	opRunning     = "running"
	opWaiting     = "waiting"
	opInterrupted = "interrupt sent" // a signal is to end it
	opKilled      = "killed"         // its thread is being ended
)

// seen is a task in a call, as found under k.mu.
type seen struct {
	op  Operation
	t   *Task
	th  *machine.Thread
	fds *FDTable
	fs  *FSContext
}

// Operations returns the pending system calls, those that began first first. A
// futex wait that the guest makes without the server is not among them.
func (k *Kernel) Operations() []Operation {
	var all []seen
	k.mu.Lock()
	for _, t := range k.tasks {
		if !t.op.active.Load() && !t.running.Load() {
			continue
		}
		o := seen{op: Operation{PID: t.proc.pid, TID: t.tid, Program: t.comm(), State: opRunning}, t: t, th: t.thread, fds: t.fds, fs: t.fs}
		switch {
		case t.exit.dying.Load():
			o.op.State = opKilled
		case t.ctx != nil && vfs.Interrupted(t.ctx.Err()):
			o.op.State = opInterrupted
		case t.op.waiting.Load():
			o.op.State = opWaiting
		}
		all = append(all, o)
	}
	k.mu.Unlock()
	out := make([]Operation, 0, len(all))
	for _, s := range all {
		if s.describeGranted() || s.describe(k) {
			out = append(out, s.op)
		}
	}
	slices.SortFunc(out, func(a, b Operation) int { return cmp.Or(a.Began.Compare(b.Began), a.TID-b.TID) })
	return out
}

// noMemory makes the tracer print addresses: a guest's memory may be a mapped
// file whose server is the one that hangs.
type noMemory struct{}

func (noMemory) ReadAt(uint64, []byte) error { return unix.EFAULT }

// describe fills in what the call is about. It returns false when the call has
// ended.
func (s *seen) describe(k *Kernel) bool {
	r := &s.t.op
	r.mu.Lock()
	nr, args, name := r.nr, r.args, r.path
	s.op.Began = r.since
	r.mu.Unlock()
	if !r.active.Load() {
		return false
	}
	s.named(nr, args)
	switch {
	case name != "":
		s.op.Object = name
		s.op.Server = k.serverOf(s.absolute(name, nr, args))
	case takesFD(nr):
		s.descriptor(args.Int(0))
	}
	if g, ok := s.t.actor.Pending(); ok {
		s.op.Server = g.Server
		if s.op.State == opRunning {
			s.op.State = opWaiting
		}
		if s.op.Object == "" {
			s.op.Object = g.Object
		}
	}
	return true
}

// describeGranted is describe for a wait of the guest's own process on a descriptor
// that it was granted. Since when it waits is known only from when somebody asked.
func (s *seen) describeGranted() bool {
	if s.t.op.active.Load() || !s.t.running.Load() {
		return false
	}
	nr, args, serial, ok := s.th.GrantedWait()
	if !ok {
		return false
	}
	s.op.Began = s.t.op.seeGranted(serial)
	if s.op.State == opRunning {
		s.op.State = opWaiting
	}
	s.named(nr, args)
	s.descriptor(int(int32(args[0])))
	return true
}

// named says what call it is, with its arguments.
func (s *seen) named(nr uint64, args Args) {
	var c strace.Call
	c.Enter(nr, args, noMemory{})
	line, _, _ := strings.Cut(string(c.Gone()), " = ")
	s.op.Call = strings.TrimRight(line, " ")
}

// absolute completes a path, as far as that can be done without asking servers.
func (s *seen) absolute(name string, nr uint64, args Args) string {
	if path.IsAbs(name) || s.fs == nil {
		return path.Clean(name)
	}
	base := Path{s.fs.cwd.Load()}.String()
	if strings.HasSuffix(abi.SyscallName(nr), "at") && args.Int(0) != unix.AT_FDCWD && s.fds != nil {
		if d, err := s.fds.getAny(args.Int(0)); err == nil {
			base = d.path.String()
			go d.release() // see descriptor
		}
	}
	return path.Join(base, name)
}

// descriptor fills in what fd refers to.
func (s *seen) descriptor(fd int) {
	if s.fds == nil {
		return
	}
	d, err := s.fds.getAny(fd)
	if err != nil {
		return
	}
	// The descriptor may be closed by now: then this is the last reference, and
	// giving it back closes the file, which can take as long as a server likes.
	defer func() { go d.release() }()
	s.op.Object = "fd " + strconv.Itoa(fd) + " " + d.path.String()
	if d.net != nil {
		if text := d.net.String(); text != "" {
			s.op.Object += " (" + text + ")"
		}
	}
	if d.path.d != nil && d.path.d.mount != nil {
		s.op.Server = d.path.d.mount.describe()
	}
}

func (m *mount) describe() string {
	if m.place() == "" { // nowhere: pipes and the like
		return ""
	}
	return m.kind + " at " + m.place()
}

// serverOf returns the server that serves an absolute path, by the mounts alone.
func (k *Kernel) serverOf(name string) string {
	k.mounts.mu.RLock()
	defer k.mounts.mu.RUnlock()
	var best *mount
	for _, m := range k.mounts.list {
		under := m.place() == "/" || name == m.place() || strings.HasPrefix(name, m.place()+"/")
		if under && (best == nil || len(m.place()) >= len(best.place())) {
			best = m
		}
	}
	if best == nil {
		return ""
	}
	return best.describe()
}

// takesFD reports whether a call's first argument is a descriptor on which it
// works.
func takesFD(nr uint64) bool {
	switch nr {
	case unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64,
		unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_PREADV2, unix.SYS_PWRITEV2, unix.SYS_CLOSE, unix.SYS_FSTAT,
		unix.SYS_LSEEK, unix.SYS_IOCTL, unix.SYS_FCNTL, unix.SYS_FLOCK, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
		unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_GETDENTS, unix.SYS_GETDENTS64, unix.SYS_FCHDIR,
		unix.SYS_FCHMOD, unix.SYS_FCHOWN, unix.SYS_FSTATFS, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT,
		unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
		unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_SPLICE, unix.SYS_TEE,
		unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SYNC_FILE_RANGE, unix.SYS_SYNCFS, unix.SYS_VMSPLICE:
		return true
	}
	return false
}

// ProcessInfo is a process as ps shows it.
type ProcessInfo struct {
	PID, Parent int
	UID         uint32
	State       string // running, sleeping, stopped, zombie
	Threads     int
	Name        string
	Args        []string // nil when it is gone
	Started     time.Time
}

// Processes returns the processes of the box, by number.
func (k *Kernel) Processes() []ProcessInfo {
	var all []ProcessInfo
	var mems []*Memory
	k.mu.Lock()
	for _, p := range k.processes {
		if p == k.init {
			continue
		}
		i := ProcessInfo{PID: p.pid, Threads: len(p.tasks), Started: p.started}
		if p.parent != nil {
			i.Parent = p.parent.pid
		}
		var m *Memory
		t := p.leader
		for _, other := range p.tasks {
			if t == nil || p.tasks[t.tid] != t {
				t = other
			}
		}
		i.Name = p.threadName(t)
		if t != nil && len(p.tasks) > 0 {
			_, i.State = p.threadState(t, nil)
			i.UID, m = t.creds.Load().UID, t.mem
		} else {
			i.State = "zombie"
		}
		all, mems = append(all, i), append(mems, m)
	}
	k.mu.Unlock()
	for i, m := range mems {
		if m == nil {
			continue
		}
		if b := m.between(m.argStart, min(m.argEnd, m.argStart+4096)); len(b) > 0 {
			all[i].Args = strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
		}
	}
	slices.SortFunc(all, func(a, b ProcessInfo) int { return a.PID - b.PID })
	return all
}
