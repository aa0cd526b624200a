package posix

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What execve does to credentials (execve(2), capabilities(7), "Safety checking
// of set-user-ID programs"). A program's ids are those of the box: on the host
// everything stays what hati is.

// perClearOnSetID are the flags of personality(2) that a set-id program does not
// inherit: they would weaken it.
const perClearOnSetID = 0x0400000 | addrNoRandomize | 0x0200000 | 0x0100000

// stackOfSetID is the most stack, in bytes, that a set-id program starts with.
const stackOfSetID = 8 << 20

// setID finds what the program's file makes of the task's ids.
func (t *Task) setID(p *program) {
	old, m := t.creds.Load(), p.exe.d.mount
	n := *old
	p.personality = t.personality
	if p.attr.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 && !old.NoNewPrivs && t.maySetID(m) {
		if p.attr.Mode&unix.S_ISUID != 0 {
			n.EUID = p.attr.UID
			p.personality &^= perClearOnSetID
		}
		if p.attr.Mode&unix.S_ISGID != 0 && p.attr.Mode&unix.S_IXGRP != 0 {
			n.EGID = p.attr.GID
			p.personality &^= perClearOnSetID
		}
	}
	if n.EUID != old.EUID || n.EGID != old.EGID && !old.inGroup(n.EGID) {
		p.secure = true
		// Who shares its directories with another process, or is looked into, could
		// turn the program against its owner.
		if !old.capable(unix.CAP_SETUID) && t.watched() {
			n.EUID, n.EGID = n.UID, n.GID
		}
		if n.Caps != nil {
			s := *n.Caps
			s.Ambient = 0
			n.Caps = &s
		}
	}
	p.secure = p.secure || n.elevated()
	p.gains = n.EUID != old.EUID || n.EGID != old.EGID
	n.SUID, n.FSUID = n.EUID, n.EUID
	n.SGID, n.FSGID = n.EGID, n.EGID
	n.execCaps()
	p.creds = &n
}

// assume gives the task the program's ids. k.mu is held.
func (t *Task) assume(p *program) {
	t.creds.Store(p.creds)
	t.personality = p.personality
	t.proc.undumpable = p.gains || p.creds.elevated()
	if t.proc.undumpable || p.secure {
		t.exit.deathSignal = 0
	}
}

// maySetID reports whether set-id bits of files on m count.
func (t *Task) maySetID(m *mount) bool {
	if m.has(unix.MS_NOSUID) {
		return false
	}
	// The host may have mounted a directory so, and its server says it.
	f, ok := m.fs.(vfs.Statfser)
	if !ok {
		return true
	}
	s, err := f.Statfs(t.context())
	return err == nil && s.Flags&unix.ST_NOSUID == 0
}

// watched reports whether the task shares its working directory with another
// process, or is traced by one without CAP_SYS_PTRACE.
func (t *Task) watched() bool {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	if by := t.sig.trace.by; by != nil && by.leader != nil && !by.leader.creds.Load().capable(unix.CAP_SYS_PTRACE) {
		return true
	}
	for _, o := range t.k.tasks {
		if o.fs == t.fs && o.proc != t.proc {
			return true
		}
	}
	return false
}

// limitStack keeps a set-id program from a stack whose size others chose to move
// its memory. The lower limit stays.
func (p *program) limitStack(size uint64) uint64 {
	if p.secure {
		return min(size, stackOfSetID)
	}
	return size
}

// executable checks that a file of m with attributes a may be executed at all.
func (c *Creds) executable(a *vfs.Attr, m *mount) error {
	if !a.IsRegular() || m.has(unix.MS_NOEXEC) {
		return syscall.EACCES
	}
	return c.may(a, mayExec)
}
