package posix

import (
	"golang.org/x/sys/unix"
)

// Creds are a thread's credentials. They are never changed, only replaced.
type Creds struct {
	UID, GID   uint32
	EUID, EGID uint32
	SUID, SGID uint32
	FSUID      uint32
	FSGID      uint32
	Groups     []uint32
	// Caps are the capability sets, nil as long as they follow from the ids.
	Caps       *Caps
	NoNewPrivs bool
}

// Caps are capabilities(7)'s sets, bit n for capability n.
type Caps struct {
	Permitted, Effective, Inheritable, Bounding, Ambient uint64
	Securebits                                           uint32
}

const allCaps = 1<<(unix.CAP_LAST_CAP+1) - 1

// capabilities returns the sets: unless they were changed, user 0 has all
// capabilities in the box and all others none.
func (c *Creds) capabilities() Caps {
	if c.Caps != nil {
		return *c.Caps
	}
	s := Caps{Bounding: allCaps}
	if c.EUID == 0 {
		s.Effective = allCaps
	}
	if c.EUID == 0 || c.UID == 0 || c.SUID == 0 {
		s.Permitted = allCaps
	}
	return s
}

// capable reports whether the credentials have a capability in effect.
func (c *Creds) capable(n int) bool { return c.capabilities().Effective&(1<<n) != 0 }

func (t *Task) capable(n int) bool { return t.creds.Load().capable(n) }

// sameUser reports whether the task may act on p's state as prlimit(2) has it.
// k.mu is held.
func (t *Task) sameUser(p *Process) bool {
	if p.leader == nil { // process 1
		return t.capable(unix.CAP_SYS_RESOURCE)
	}
	c, o := t.creds.Load(), p.leader.creds.Load()
	return c.UID == o.EUID && c.UID == o.SUID && c.UID == o.UID &&
		c.GID == o.EGID && c.GID == o.SGID && c.GID == o.GID ||
		t.capable(unix.CAP_SYS_RESOURCE)
}

// mayKill reports whether the task may send sig to p, as kill(2) has it. k.mu
// is held.
func (t *Task) mayKill(p *Process, sig int) bool {
	if p == t.proc {
		return true
	}
	c := t.creds.Load()
	if p.leader == nil { // process 1
		return c.EUID == 0
	}
	o := p.leader.creds.Load()
	return c.EUID == o.SUID || c.EUID == o.UID || c.UID == o.SUID || c.UID == o.UID ||
		c.capable(unix.CAP_KILL) ||
		sig == int(unix.SIGCONT) && t.proc.group.session == p.group.session
}

// mayAccess reports whether the task may look into p's memory and descriptors
// (ptrace(2), "Ptrace access mode checking"). k.mu is held.
func (t *Task) mayAccess(p *Process) bool {
	if p == t.proc {
		return true
	}
	if p.leader == nil {
		return false
	}
	c, o := t.creds.Load(), p.leader.creds.Load()
	if c.capable(unix.CAP_SYS_PTRACE) {
		return true
	}
	return c.UID == o.EUID && c.UID == o.SUID && c.UID == o.UID &&
		c.GID == o.EGID && c.GID == o.SGID && c.GID == o.GID && !p.undumpable
}
