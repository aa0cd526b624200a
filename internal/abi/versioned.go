package abi

import "syscall"

// PageSize is the size of a page.
const PageSize = 4096

// Sizes of the structures whose size is an argument: the first version's, and
// that of all that is known here.
const (
	SizeCloneArgsVer0 = 64
	SizeCloneArgsVer1 = 80
	SizeCloneArgsVer2 = 88
	SizeOpenHowVer0   = 24
	SizeSchedAttrVer0 = 48
	SizeSchedAttr     = 56
)

// CheckVersioned checks the size that a guest gives for a structure, before
// it is read: EINVAL if it is less than the first version's min, E2BIG if more
// than a page.
func CheckVersioned(size, min uint64) error {
	switch {
	case size < min:
		return syscall.EINVAL
	case size > PageSize:
		return syscall.E2BIG
	}
	return nil
}

// versioned copies what the guest gave into known, which is as long as the
// newest version here: what is missing is 0, and what is too much must be
// (E2BIG).
func versioned(known, b []byte, min int) error {
	if err := CheckVersioned(uint64(len(b)), uint64(min)); err != nil {
		return err
	}
	n := copy(known, b)
	if !zero(b[n:]) {
		return syscall.E2BIG
	}
	return nil
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// CloneArgs is struct clone_args, clone3(2)'s.
type CloneArgs struct {
	Flags, Pidfd, ChildTID, ParentTID uint64
	ExitSignal                        uint64
	Stack, StackSize, TLS             uint64
	SetTID, SetTIDSize                uint64
	Cgroup                            uint64
}

// Decode reads a from b, all bytes that the guest gave (see CheckVersioned).
func (a *CloneArgs) Decode(b []byte) error {
	var k [SizeCloneArgsVer2]byte
	if err := versioned(k[:], b, SizeCloneArgsVer0); err != nil {
		return err
	}
	*a = CloneArgs{
		Flags: le.Uint64(k[0:]), Pidfd: le.Uint64(k[8:]),
		ChildTID: le.Uint64(k[16:]), ParentTID: le.Uint64(k[24:]),
		ExitSignal: le.Uint64(k[32:]),
		Stack:      le.Uint64(k[40:]), StackSize: le.Uint64(k[48:]), TLS: le.Uint64(k[56:]),
		SetTID: le.Uint64(k[64:]), SetTIDSize: le.Uint64(k[72:]),
		Cgroup: le.Uint64(k[80:]),
	}
	return nil
}

// Encode writes a to b, SizeCloneArgsVer2 bytes.
func (a *CloneArgs) Encode(b []byte) {
	b = b[:SizeCloneArgsVer2]
	for i, x := range [...]uint64{
		a.Flags, a.Pidfd, a.ChildTID, a.ParentTID, a.ExitSignal,
		a.Stack, a.StackSize, a.TLS, a.SetTID, a.SetTIDSize, a.Cgroup,
	} {
		le.PutUint64(b[8*i:], x)
	}
}

// OpenHow is struct open_how, openat2(2)'s.
type OpenHow struct {
	Flags, Mode, Resolve uint64
}

// RESOLVE_CACHED is the openat2(2) flag that x/sys/unix lacks.
const RESOLVE_CACHED = 0x20

// Decode reads h from b, all bytes that the guest gave (see CheckVersioned).
func (h *OpenHow) Decode(b []byte) error {
	var k [SizeOpenHowVer0]byte
	if err := versioned(k[:], b, SizeOpenHowVer0); err != nil {
		return err
	}
	*h = OpenHow{le.Uint64(k[0:]), le.Uint64(k[8:]), le.Uint64(k[16:])}
	return nil
}

// Encode writes h to b, SizeOpenHowVer0 bytes.
func (h *OpenHow) Encode(b []byte) {
	b = b[:SizeOpenHowVer0]
	le.PutUint64(b[0:], h.Flags)
	le.PutUint64(b[8:], h.Mode)
	le.PutUint64(b[16:], h.Resolve)
}

// SchedAttr is struct sched_attr, sched_setattr(2)'s.
type SchedAttr struct {
	Size, Policy              uint32
	Flags                     uint64
	Nice                      int32
	Priority                  uint32
	Runtime, Deadline, Period uint64
	UtilMin, UtilMax          uint32
}

// Decode reads a from b, as many bytes as the structure's first word says, or
// SizeSchedAttrVer0 if that is 0. Every wrong size is E2BIG; the caller then
// writes SizeSchedAttr back to the first word.
func (a *SchedAttr) Decode(b []byte) error {
	var k [SizeSchedAttr]byte
	if versioned(k[:], b, SizeSchedAttrVer0) != nil {
		return syscall.E2BIG
	}
	*a = SchedAttr{
		Size: le.Uint32(k[0:]), Policy: le.Uint32(k[4:]), Flags: le.Uint64(k[8:]),
		Nice: int32(le.Uint32(k[16:])), Priority: le.Uint32(k[20:]),
		Runtime: le.Uint64(k[24:]), Deadline: le.Uint64(k[32:]), Period: le.Uint64(k[40:]),
		UtilMin: le.Uint32(k[48:]), UtilMax: le.Uint32(k[52:]),
	}
	return nil
}

// Encode writes a to b, SizeSchedAttr bytes; sched_getattr(2) gives the guest
// the first of them.
func (a *SchedAttr) Encode(b []byte) {
	b = b[:SizeSchedAttr]
	le.PutUint32(b[0:], a.Size)
	le.PutUint32(b[4:], a.Policy)
	le.PutUint64(b[8:], a.Flags)
	le.PutUint32(b[16:], uint32(a.Nice))
	le.PutUint32(b[20:], a.Priority)
	le.PutUint64(b[24:], a.Runtime)
	le.PutUint64(b[32:], a.Deadline)
	le.PutUint64(b[40:], a.Period)
	le.PutUint32(b[48:], a.UtilMin)
	le.PutUint32(b[52:], a.UtilMax)
}
