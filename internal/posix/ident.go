package posix

import (
	"encoding/binary"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

var identityCalls = calls{
	unix.SYS_GETPID:  {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.proc.pid), nil }},
	unix.SYS_GETTID:  {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.tid), nil }},
	unix.SYS_GETPPID: {fn: sysGetppid},

	unix.SYS_GETUID:    {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.creds.Load().UID), nil }},
	unix.SYS_GETEUID:   {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.creds.Load().EUID), nil }},
	unix.SYS_GETGID:    {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.creds.Load().GID), nil }},
	unix.SYS_GETEGID:   {fn: func(t *Task, _ *Args) (uint64, error) { return uint64(t.creds.Load().EGID), nil }},
	unix.SYS_GETRESUID: {fn: sysGetresuid},
	unix.SYS_GETRESGID: {fn: sysGetresgid},
	unix.SYS_GETGROUPS: {fn: sysGetgroups},

	unix.SYS_SETUID:    {fn: sysSetuid},
	unix.SYS_SETGID:    {fn: sysSetgid},
	unix.SYS_SETREUID:  {fn: sysSetreuid},
	unix.SYS_SETREGID:  {fn: sysSetregid},
	unix.SYS_SETRESUID: {fn: sysSetresuid},
	unix.SYS_SETRESGID: {fn: sysSetresgid},
	unix.SYS_SETFSUID:  {fn: sysSetfsuid},
	unix.SYS_SETFSGID:  {fn: sysSetfsgid},
	unix.SYS_SETGROUPS: {fn: sysSetgroups},

	unix.SYS_CAPGET: {fn: sysCapget},
	unix.SYS_CAPSET: {fn: sysCapset},
}

func sysGetppid(t *Task, _ *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return uint64(t.proc.parent.pid), nil
}

func (t *Task) copyOutIDs(a *Args, ids ...uint32) (uint64, error) {
	for i, id := range ids {
		if err := t.copyOutUint32(a[i], id); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func sysGetresuid(t *Task, a *Args) (uint64, error) {
	c := t.creds.Load()
	return t.copyOutIDs(a, c.UID, c.EUID, c.SUID)
}

func sysGetresgid(t *Task, a *Args) (uint64, error) {
	c := t.creds.Load()
	return t.copyOutIDs(a, c.GID, c.EGID, c.SGID)
}

func sysGetgroups(t *Task, a *Args) (uint64, error) {
	g, n := t.creds.Load().Groups, a.Int(0)
	if n == 0 {
		return uint64(len(g)), nil
	}
	if n < len(g) {
		return 0, syscall.EINVAL
	}
	b := make([]byte, 0, 4*len(g))
	for _, id := range g {
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	return uint64(len(g)), t.copyOut(a[1], b)
}

const (
	unchanged = ^uint32(0) // -1: leave this id as it is
	maxGroups = 65536
)

// setIDs makes new credentials with change's ids and Linux's rules for
// capabilities when user ids change (capabilities(7)).
func (t *Task) setIDs(change func(c *Creds)) {
	old := t.creds.Load()
	c := *old
	change(&c)
	if c.UID != old.UID || c.EUID != old.EUID || c.SUID != old.SUID || c.FSUID != old.FSUID {
		c.adjustCaps(old)
	}
	t.creds.Store(&c)
	if c.EUID != old.EUID || c.EGID != old.EGID || c.FSUID != old.FSUID || c.FSGID != old.FSGID {
		t.k.mu.Lock()
		t.proc.undumpable = true
		t.exit.deathSignal = 0
		t.k.mu.Unlock()
	}
}

func sysSetuid(t *Task, a *Args) (uint64, error) {
	c, id := t.creds.Load(), a.Uint(0)
	if id == unchanged {
		return 0, syscall.EINVAL
	}
	switch {
	case c.capable(unix.CAP_SETUID):
		t.setIDs(func(c *Creds) { c.UID, c.EUID, c.SUID, c.FSUID = id, id, id, id })
	case id == c.UID || id == c.SUID:
		t.setIDs(func(c *Creds) { c.EUID, c.FSUID = id, id })
	default:
		return 0, syscall.EPERM
	}
	return 0, nil
}

func sysSetgid(t *Task, a *Args) (uint64, error) {
	c, id := t.creds.Load(), a.Uint(0)
	if id == unchanged {
		return 0, syscall.EINVAL
	}
	switch {
	case c.capable(unix.CAP_SETGID):
		t.setIDs(func(c *Creds) { c.GID, c.EGID, c.SGID, c.FSGID = id, id, id, id })
	case id == c.GID || id == c.SGID:
		t.setIDs(func(c *Creds) { c.EGID, c.FSGID = id, id })
	default:
		return 0, syscall.EPERM
	}
	return 0, nil
}

// isOneOf reports whether id is to be left alone or is one of ids.
func isOneOf(id uint32, ids ...uint32) bool { return id == unchanged || slices.Contains(ids, id) }

func pick(id, old uint32) uint32 {
	if id == unchanged {
		return old
	}
	return id
}

func sysSetreuid(t *Task, a *Args) (uint64, error) {
	r, e := a.Uint(0), a.Uint(1)
	o := t.creds.Load()
	if !o.capable(unix.CAP_SETUID) && !(isOneOf(r, o.UID, o.EUID) && isOneOf(e, o.UID, o.EUID, o.SUID)) {
		return 0, syscall.EPERM
	}
	t.setIDs(func(c *Creds) {
		c.UID, c.EUID = pick(r, o.UID), pick(e, o.EUID)
		if r != unchanged || e != unchanged && e != o.UID {
			c.SUID = c.EUID
		}
		c.FSUID = c.EUID
	})
	return 0, nil
}

func sysSetregid(t *Task, a *Args) (uint64, error) {
	r, e := a.Uint(0), a.Uint(1)
	o := t.creds.Load()
	if !o.capable(unix.CAP_SETGID) && !(isOneOf(r, o.GID, o.EGID) && isOneOf(e, o.GID, o.EGID, o.SGID)) {
		return 0, syscall.EPERM
	}
	t.setIDs(func(c *Creds) {
		c.GID, c.EGID = pick(r, o.GID), pick(e, o.EGID)
		if r != unchanged || e != unchanged && e != o.GID {
			c.SGID = c.EGID
		}
		c.FSGID = c.EGID
	})
	return 0, nil
}

func sysSetresuid(t *Task, a *Args) (uint64, error) {
	r, e, s := a.Uint(0), a.Uint(1), a.Uint(2)
	o := t.creds.Load()
	if !o.capable(unix.CAP_SETUID) {
		for _, id := range [3]uint32{r, e, s} {
			if !isOneOf(id, o.UID, o.EUID, o.SUID) {
				return 0, syscall.EPERM
			}
		}
	}
	t.setIDs(func(c *Creds) {
		c.UID, c.EUID, c.SUID = pick(r, o.UID), pick(e, o.EUID), pick(s, o.SUID)
		c.FSUID = c.EUID
	})
	return 0, nil
}

func sysSetresgid(t *Task, a *Args) (uint64, error) {
	r, e, s := a.Uint(0), a.Uint(1), a.Uint(2)
	o := t.creds.Load()
	if !o.capable(unix.CAP_SETGID) {
		for _, id := range [3]uint32{r, e, s} {
			if !isOneOf(id, o.GID, o.EGID, o.SGID) {
				return 0, syscall.EPERM
			}
		}
	}
	t.setIDs(func(c *Creds) {
		c.GID, c.EGID, c.SGID = pick(r, o.GID), pick(e, o.EGID), pick(s, o.SGID)
		c.FSGID = c.EGID
	})
	return 0, nil
}

// sysSetfsuid and sysSetfsgid return the old id and never fail.
func sysSetfsuid(t *Task, a *Args) (uint64, error) {
	o, id := t.creds.Load(), a.Uint(0)
	if id != unchanged && (o.capable(unix.CAP_SETUID) || slices.Contains([]uint32{o.UID, o.EUID, o.SUID, o.FSUID}, id)) {
		t.setIDs(func(c *Creds) { c.FSUID = id })
	}
	return uint64(o.FSUID), nil
}

func sysSetfsgid(t *Task, a *Args) (uint64, error) {
	o, id := t.creds.Load(), a.Uint(0)
	if id != unchanged && (o.capable(unix.CAP_SETGID) || slices.Contains([]uint32{o.GID, o.EGID, o.SGID, o.FSGID}, id)) {
		t.setIDs(func(c *Creds) { c.FSGID = id })
	}
	return uint64(o.FSGID), nil
}

func sysSetgroups(t *Task, a *Args) (uint64, error) {
	if !t.capable(unix.CAP_SETGID) {
		return 0, syscall.EPERM
	}
	n := a.Int(0)
	if n < 0 || n > maxGroups {
		return 0, syscall.EINVAL
	}
	b := make([]byte, 4*n)
	if err := t.copyIn(a[1], b); err != nil {
		return 0, err
	}
	groups := make([]uint32, n)
	for i := range groups {
		groups[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	slices.Sort(groups)
	t.setIDs(func(c *Creds) { c.Groups = groups })
	return 0, nil
}
