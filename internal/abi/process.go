package abi

// Sizes of the structures about processes and the machine.
const (
	SizeRusage         = 144
	SizeRlimit         = 16
	SizeUtsname        = 390
	SizeSysinfo        = 112
	SizeSchedParam     = 4
	SizeRobustListHead = 24
	SizeFutexWaitv     = 24
	SizeRseq           = 32 // of the first version
)

// Rusage is struct rusage. Maxrss is in KiB.
type Rusage struct {
	Utime, Stime             Timeval
	Maxrss                   int64
	Ixrss, Idrss, Isrss      int64
	Minflt, Majflt, Nswap    int64
	Inblock, Oublock         int64
	Msgsnd, Msgrcv, Nsignals int64
	Nvcsw, Nivcsw            int64
}

// Encode writes r to b.
func (r *Rusage) Encode(b []byte) {
	b = b[:SizeRusage]
	r.Utime.Encode(b)
	r.Stime.Encode(b[16:])
	for i, x := range [...]int64{
		r.Maxrss, r.Ixrss, r.Idrss, r.Isrss, r.Minflt, r.Majflt, r.Nswap,
		r.Inblock, r.Oublock, r.Msgsnd, r.Msgrcv, r.Nsignals, r.Nvcsw, r.Nivcsw,
	} {
		le.PutUint64(b[32+8*i:], uint64(x))
	}
}

// Rlimit is struct rlimit (and rlimit64).
type Rlimit struct {
	Cur, Max uint64
}

// Encode writes r to b.
func (r Rlimit) Encode(b []byte) { put2(b, int64(r.Cur), int64(r.Max)) }

// Decode reads r from b.
func (r *Rlimit) Decode(b []byte) {
	cur, max := get2(b)
	r.Cur, r.Max = uint64(cur), uint64(max)
}

// Utsname is struct utsname. Each name is cut at 64 bytes.
type Utsname struct {
	Sysname, Nodename, Release, Version, Machine, Domainname string
}

// Encode writes u to b.
func (u *Utsname) Encode(b []byte) {
	b = b[:SizeUtsname]
	clear(b)
	for i, s := range [...]string{u.Sysname, u.Nodename, u.Release, u.Version, u.Machine, u.Domainname} {
		copy(b[65*i:65*i+64], s)
	}
}

// Sysinfo is struct sysinfo. Uptime is in seconds, Loads are in 1/65536,
// memory is in MemUnit bytes.
type Sysinfo struct {
	Uptime              int64
	Loads               [3]uint64
	Totalram, Freeram   uint64
	Sharedram           uint64
	Bufferram           uint64
	Totalswap, Freeswap uint64
	Procs               uint16
	Totalhigh, Freehigh uint64
	MemUnit             uint32
}

// Encode writes s to b.
func (s *Sysinfo) Encode(b []byte) {
	b = b[:SizeSysinfo]
	for i, x := range [...]uint64{
		uint64(s.Uptime), s.Loads[0], s.Loads[1], s.Loads[2],
		s.Totalram, s.Freeram, s.Sharedram, s.Bufferram, s.Totalswap, s.Freeswap,
		uint64(s.Procs), s.Totalhigh, s.Freehigh, uint64(s.MemUnit),
	} {
		le.PutUint64(b[8*i:], x)
	}
}

// SchedParam is struct sched_param.
type SchedParam struct {
	Priority int32
}

// Encode writes p to b.
func (p SchedParam) Encode(b []byte) { le.PutUint32(b, uint32(p.Priority)) }

// Decode reads p from b.
func (p *SchedParam) Decode(b []byte) { p.Priority = int32(le.Uint32(b)) }

// RobustListHead is struct robust_list_head. Addresses in the list have bit 0
// set for a futex with priority inheritance.
type RobustListHead struct {
	List        uint64 // the first entry; the head's own address ends the list
	FutexOffset int64  // from an entry to its futex
	Pending     uint64 // an entry that is being taken or given up
}

// Decode reads h from b.
func (h *RobustListHead) Decode(b []byte) {
	b = b[:SizeRobustListHead]
	h.List = le.Uint64(b[0:])
	h.FutexOffset = int64(le.Uint64(b[8:]))
	h.Pending = le.Uint64(b[16:])
}

// Encode writes h to b.
func (h *RobustListHead) Encode(b []byte) {
	b = b[:SizeRobustListHead]
	le.PutUint64(b[0:], h.List)
	le.PutUint64(b[8:], uint64(h.FutexOffset))
	le.PutUint64(b[16:], h.Pending)
}

// FutexWaitv is struct futex_waitv.
type FutexWaitv struct {
	Val, Uaddr      uint64
	Flags, Reserved uint32
}

// Decode reads w from b.
func (w *FutexWaitv) Decode(b []byte) {
	b = b[:SizeFutexWaitv]
	w.Val = le.Uint64(b[0:])
	w.Uaddr = le.Uint64(b[8:])
	w.Flags = le.Uint32(b[16:])
	w.Reserved = le.Uint32(b[20:])
}

// Encode writes w to b.
func (w *FutexWaitv) Encode(b []byte) {
	b = b[:SizeFutexWaitv]
	le.PutUint64(b[0:], w.Val)
	le.PutUint64(b[8:], w.Uaddr)
	le.PutUint32(b[16:], w.Flags)
	le.PutUint32(b[20:], w.Reserved)
}
