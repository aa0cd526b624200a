package posix

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// capVersion reads capget's header: the number of words per set, and of whom.
func (t *Task) capHeader(addr uint64) (words, pid int, err error) {
	var b [8]byte
	if err := t.copyIn(addr, b[:]); err != nil {
		return 0, 0, err
	}
	switch binary.LittleEndian.Uint32(b[:]) {
	case unix.LINUX_CAPABILITY_VERSION_1:
		words = 1
	case unix.LINUX_CAPABILITY_VERSION_2, unix.LINUX_CAPABILITY_VERSION_3:
		words = 2
	default:
		// Tell which version this is.
		if err := t.copyOutUint32(addr, unix.LINUX_CAPABILITY_VERSION_3); err != nil {
			return 0, 0, err
		}
		return 0, 0, syscall.EINVAL
	}
	return words, int(int32(binary.LittleEndian.Uint32(b[4:]))), nil
}

func sysCapget(t *Task, a *Args) (uint64, error) {
	words, pid, err := t.capHeader(a[0])
	if err != nil {
		if err == syscall.EINVAL && a[1] == 0 {
			return 0, nil // it only asked for the version
		}
		return 0, err
	}
	if pid < 0 {
		return 0, syscall.EINVAL
	}
	o := t
	if pid != 0 && pid != t.tid {
		t.k.mu.Lock()
		o = t.k.tasks[pid]
		t.k.mu.Unlock()
		if o == nil {
			return 0, syscall.ESRCH
		}
	}
	if a[1] == 0 {
		return 0, nil
	}
	s := o.creds.Load().capabilities()
	var b [24]byte
	for i := range words {
		for j, set := range [3]uint64{s.Effective, s.Permitted, s.Inheritable} {
			binary.LittleEndian.PutUint32(b[12*i+4*j:], uint32(set>>(32*i)))
		}
	}
	return 0, t.copyOut(a[1], b[:12*words])
}

func sysCapset(t *Task, a *Args) (uint64, error) {
	words, pid, err := t.capHeader(a[0])
	if err != nil {
		return 0, err
	}
	if pid != 0 && pid != t.tid {
		return 0, syscall.EPERM
	}
	var b [24]byte
	if err := t.copyIn(a[1], b[:12*words]); err != nil {
		return 0, err
	}
	var sets [3]uint64
	for i := range words {
		for j := range sets {
			sets[j] |= uint64(binary.LittleEndian.Uint32(b[12*i+4*j:])) << (32 * i)
		}
	}
	eff, perm, inh := sets[0]&allCaps, sets[1]&allCaps, sets[2]&allCaps
	old := t.creds.Load()
	s := old.capabilities()
	switch {
	case perm&^s.Permitted != 0, eff&^perm != 0,
		inh&^(s.Inheritable|s.Permitted) != 0 && s.Effective&(1<<unix.CAP_SETPCAP) == 0,
		inh&^(s.Inheritable|s.Bounding) != 0:
		return 0, syscall.EPERM
	}
	s.Effective, s.Permitted, s.Inheritable = eff, perm, inh
	s.Ambient &= perm & inh
	c := *old
	c.Caps = &s
	t.creds.Store(&c)
	return 0, nil
}

// Bits of securebits.
const (
	secureNoRoot       = 1 << 0
	secureNoSetuid     = 1 << 2
	secureKeepCaps     = 1 << 4
	secureNoAmbient    = 1 << 6
	secureAll          = 0xff
	secureLocks        = 0xaa
	filesystemCaps     = 1<<unix.CAP_CHOWN | 1<<unix.CAP_MKNOD | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_LINUX_IMMUTABLE | 1<<unix.CAP_MAC_OVERRIDE
	keepCapsLockedMask = 1 << 5
)

// adjustCaps applies what capabilities(7) says of changes of user ids.
func (c *Creds) adjustCaps(old *Creds) {
	s := old.capabilities()
	if s.Securebits&secureNoSetuid != 0 {
		c.Caps = &s
		return
	}
	wasRoot := old.UID == 0 || old.EUID == 0 || old.SUID == 0
	isRoot := c.UID == 0 || c.EUID == 0 || c.SUID == 0
	if wasRoot && !isRoot {
		if s.Securebits&secureKeepCaps == 0 {
			s.Permitted, s.Effective = 0, 0
		}
		s.Ambient = 0
	}
	switch {
	case old.EUID == 0 && c.EUID != 0:
		s.Effective = 0
	case old.EUID != 0 && c.EUID == 0:
		s.Effective = s.Permitted
	}
	switch {
	case old.FSUID == 0 && c.FSUID != 0:
		s.Effective &^= filesystemCaps
	case old.FSUID != 0 && c.FSUID == 0:
		s.Effective |= s.Permitted & filesystemCaps
	}
	c.Caps = &s
}

// elevated reports whether the real ids are others than the effective ones: a
// program started so gets AT_SECURE, and others may not look into it.
func (c *Creds) elevated() bool { return c.UID != c.EUID || c.GID != c.EGID }

// execCaps are the capabilities after execve without file capabilities: user 0
// has them all, within the bounding set; of others only ambient ones stay. The
// new ids stand already.
func (c *Creds) execCaps() {
	if c.Caps == nil {
		return
	}
	s := *c.Caps
	s.Permitted, s.Effective = s.Ambient, s.Ambient
	if s.Securebits&secureNoRoot == 0 && (c.EUID == 0 || c.UID == 0) {
		s.Permitted = s.Bounding | s.Inheritable
		s.Effective = 0
		if c.EUID == 0 {
			s.Effective = s.Permitted
		}
	}
	s.Securebits &^= secureKeepCaps
	c.Caps = &s
}
