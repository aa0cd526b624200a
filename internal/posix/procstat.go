package posix

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// threadName is the name of a thread, or of the process when it is a zombie.
func (p *Process) threadName(t *Task) string {
	if t != nil {
		return t.comm()
	}
	if p == p.k.init {
		return "init"
	}
	if p.leader != nil {
		return p.leader.comm()
	}
	return ""
}

// threadState is ps's letter, as the thread caller sees it. k.mu is held.
func (p *Process) threadState(t, caller *Task) (letter byte, word string) {
	switch {
	case t == nil && p == p.k.init:
		return 'S', "sleeping"
	case t == nil:
		return 'Z', "zombie"
	case p.sig.stopped || t.sig.stopped && t != caller:
		return 'T', "stopped"
	case t == caller:
	case t.running.Load():
		if t.thread.InHostCall() {
			return 'S', "sleeping"
		}
	case t.op.asleep.Load() || t.sig.trace.stopped || t.exit.dying.Load():
		return 'S', "sleeping"
	default:
		if _, ok := t.actor.Pending(); ok {
			return 'S', "sleeping"
		}
	}
	return 'R', "running" // also while its call computes, and before it has begun
}

// hostStat are the fields of the host's /proc/pid/stat, from the third one on.
func (m *Memory) hostStat() []string {
	b, err := m.hostFile("stat")
	if err != nil {
		return nil
	}
	if i := bytes.LastIndexByte(b, ')'); i >= 0 {
		return strings.Fields(string(b[i+1:]))
	}
	return nil
}

// procStat is /proc/pid/stat, see proc_pid_stat(5).
func (p *Process) procStat(t *Task, tid int, caller *Task) []byte {
	var host []string
	var m *Memory
	if t != nil {
		if m, _, _ = t.shared(); m != nil {
			host = m.hostStat()
		}
	}
	field := func(n int) uint64 { // as numbered in the manual page
		if n-3 < len(host) {
			v, _ := strconv.ParseUint(host[n-3], 10, 64)
			return v
		}
		return 0
	}
	p.k.mu.Lock()
	letter, _ := p.threadState(t, caller)
	ppid, pgrp, sid, tty, fg := p.lineage()
	threads := max(len(p.tasks), 1)
	start := p.startTicks()
	status := p.exit.status
	var pend, blocked, ignored, caught abi.Sigset
	if t != nil {
		pend, blocked = t.sig.pending.set|p.sig.pending.set, t.sig.mask
		ignored, caught = p.sig.handlers.sets()
	}
	p.k.mu.Unlock()
	utime, stime, cutime, cstime := p.cpuTicks()
	b := fmt.Appendf(nil, "%d (%s) %c %d %d %d %d %d %d", tid, p.threadName(t), letter, ppid, pgrp, sid, tty, fg, 0x400000)
	b = fmt.Appendf(b, " %d 0 %d 0 %d %d %d %d 20 0 %d 0 %d", field(10), field(12), utime, stime, cutime, cstime, threads, start)
	b = fmt.Appendf(b, " %d %d %d", field(23), field(24), uint64(p.limit(unix.RLIMIT_RSS)))
	b = fmt.Appendf(b, " 1 1 %d 0 0", m.stackTop())
	b = fmt.Appendf(b, " %d %d %d %d 0 0 0 17 %d 0 0 0 0 0", uint32(pend), uint32(blocked), uint32(ignored), uint32(caught), field(39))
	if m == nil {
		return fmt.Appendf(b, " 0 0 0 0 0 0 0 %d\n", status)
	}
	return fmt.Appendf(b, " 0 0 %d %d %d %d %d %d\n", m.brkStart, m.argStart, m.argEnd, m.envStart, m.envEnd, status)
}

func (m *Memory) stackTop() uint64 {
	if m == nil {
		return 0
	}
	return m.stackEnd
}

// lineage returns the ids of /proc/pid/stat. k.mu is held.
func (p *Process) lineage() (ppid, pgrp, sid int, tty int64, foreground int) {
	foreground = -1
	if p.parent != nil && p != p.k.init {
		ppid = p.parent.pid
	}
	if p.group != nil {
		pgrp, sid = p.group.id, p.group.session.id
		if l := p.group.session.tty; l != nil {
			foreground = l.Foreground()
			if n, ok := l.(interface{ Number() uint64 }); ok {
				tty = int64(n.Number())
			}
		}
	}
	return
}

// startTicks is when the process started, in clock ticks since the box's boot.
func (p *Process) startTicks() int64 {
	return int64(p.started.Sub(p.k.boot) / (time.Second / abi.ClockTicks))
}

// sets returns the ignored and the handled signals.
func (h *handlers) sets() (ignored, caught abi.Sigset) {
	if h == nil {
		return
	}
	for i := range h.actions {
		switch h.actions[i].Handler {
		case abi.SIG_DFL:
		case abi.SIG_IGN:
			ignored |= 1 << (i - 1)
		default:
			caught |= 1 << (i - 1)
		}
	}
	return
}

// procStatus is /proc/pid/status.
func (p *Process) procStatus(t *Task, tid int, caller *Task) []byte {
	p.k.mu.Lock()
	letter, word := p.threadState(t, caller)
	ppid, _, _, _, _ := p.lineage()
	threads := len(p.tasks)
	var pend, shared, blocked, ignored, caught abi.Sigset
	if t != nil {
		pend, shared, blocked = t.sig.pending.set, p.sig.pending.set, t.sig.mask
		ignored, caught = p.sig.handlers.sets()
	}
	p.k.mu.Unlock()
	c := &Creds{}
	umask := uint32(0o22)
	if t != nil {
		c = t.creds.Load()
		if _, _, fs := t.shared(); fs != nil {
			umask = fs.umask.Load()
		}
	}
	b := fmt.Appendf(nil, "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		p.threadName(t), umask, letter, word, p.pid, tid, ppid)
	b = fmt.Appendf(b, "Uid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\nFDSize:\t%d\nGroups:\t",
		c.UID, c.EUID, c.SUID, c.FSUID, c.GID, c.EGID, c.SGID, c.FSGID, 256)
	for _, g := range c.Groups {
		b = fmt.Appendf(b, "%d ", g)
	}
	b = append(b, '\n')
	if t != nil {
		if m, _, _ := t.shared(); m != nil {
			b = append(b, m.statusMemory()...)
		}
	}
	caps, locked := c.capabilities(), 0
	if c.NoNewPrivs {
		locked = 1
	}
	b = fmt.Appendf(b, "Threads:\t%d\nSigQ:\t0/%d\nSigPnd:\t%016x\nShdPnd:\t%016x\nSigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x\n",
		threads, p.limit(unix.RLIMIT_SIGPENDING), pend, shared, blocked, ignored, caught)
	b = fmt.Appendf(b, "CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\nNoNewPrivs:\t%d\nSeccomp:\t0\n",
		caps.Inheritable, caps.Permitted, caps.Effective, caps.Bounding, caps.Ambient, locked)
	cpus := hostStatusLines("Cpus_allowed", "Mems_allowed")
	return append(append(b, cpus...), "voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n"...)
}

// statusMemory takes the Vm lines from the host.
func (m *Memory) statusMemory() []byte {
	b, _ := m.hostFile("status")
	return linesWith(b, "Vm", "Rss", "HugetlbPages")
}

// procLimits is /proc/pid/limits.
func (p *Process) procLimits() []byte {
	rows := []struct {
		name, unit string
		res        int
	}{
		{"Max cpu time", "seconds", unix.RLIMIT_CPU}, {"Max file size", "bytes", unix.RLIMIT_FSIZE},
		{"Max data size", "bytes", unix.RLIMIT_DATA}, {"Max stack size", "bytes", unix.RLIMIT_STACK},
		{"Max core file size", "bytes", unix.RLIMIT_CORE}, {"Max resident set", "bytes", unix.RLIMIT_RSS},
		{"Max processes", "processes", unix.RLIMIT_NPROC}, {"Max open files", "files", unix.RLIMIT_NOFILE},
		{"Max locked memory", "bytes", unix.RLIMIT_MEMLOCK}, {"Max address space", "bytes", unix.RLIMIT_AS},
		{"Max file locks", "locks", unix.RLIMIT_LOCKS}, {"Max pending signals", "signals", unix.RLIMIT_SIGPENDING},
		{"Max msgqueue size", "bytes", unix.RLIMIT_MSGQUEUE}, {"Max nice priority", "", unix.RLIMIT_NICE},
		{"Max realtime priority", "", unix.RLIMIT_RTPRIO}, {"Max realtime timeout", "us", unix.RLIMIT_RTTIME},
	}
	show := func(v uint64) string {
		if v == ^uint64(0) {
			return "unlimited"
		}
		return strconv.FormatUint(v, 10)
	}
	b := fmt.Appendf(nil, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	for _, r := range rows {
		soft, hard := p.limits.get(p.k, r.res)
		b = fmt.Appendf(b, "%-25s %-20s %-20s %-10s\n", r.name, show(soft), show(hard), r.unit)
	}
	return b
}
