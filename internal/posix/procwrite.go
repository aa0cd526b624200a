package posix

import (
	"context"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Write takes the few files of /proc that can be written.
func (v procView) Write(ctx context.Context, pid, tid int, name string, p []byte) error {
	text, _, _ := strings.Cut(string(p), "\x00")
	if pid == 0 {
		return v.writeSystem(callerOf(ctx), name, strings.TrimRight(text, "\n"))
	}
	t := v.k.thread(pid, tid)
	if t == nil {
		return syscall.ESRCH
	}
	switch name {
	case "comm":
		t.setComm(text) // with its newline, if there is one
		return nil
	case "oom_score_adj", "oom_adj", "coredump_filter", "loginuid", "clear_refs", "timerslack_ns":
		n, err := strconv.ParseInt(strings.TrimSpace(text), 0, 64)
		if err != nil {
			return syscall.EINVAL
		}
		return t.proc.adjust(callerOf(ctx), name, n)
	}
	return syscall.EPERM
}

// adjust sets one of a process's numbers. Those that are about the host's memory
// are only remembered.
func (p *Process) adjust(caller *Task, name string, n int64) error {
	switch name {
	case "oom_adj":
		if n < -17 || n > 15 {
			return syscall.EINVAL
		}
		if n = n * 1000 / 17; n == 882 { // the most there was
			n = 1000
		}
	case "oom_score_adj":
		if n < -1000 || n > 1000 {
			return syscall.EINVAL
		}
	default:
		return nil
	}
	if now := int64(p.host.oomScoreAdj.Load()); n < now && (n < 0 || name == "oom_adj") && (caller == nil || !caller.capable(unix.CAP_SYS_RESOURCE)) {
		return syscall.EACCES
	}
	p.host.oomScoreAdj.Store(int32(n))
	return nil
}

// writeSystem takes the system's name; all else is the host's.
func (v procView) writeSystem(caller *Task, name, text string) error {
	if caller == nil || !caller.capable(unix.CAP_SYS_ADMIN) {
		return syscall.EPERM
	}
	if len(text) > 64 {
		text = text[:64]
	}
	v.k.mu.Lock()
	defer v.k.mu.Unlock()
	if name != "sys/kernel/hostname" {
		return syscall.EPERM
	}
	v.k.config.Hostname = text
	return nil
}
