package abi

// Regs are the registers of struct sigcontext (gregset_t), in the order in
// which they lie in memory, so that a *Regs may be laid over a signal frame at
// FrameRegs.
type Regs struct {
	R8, R9, R10, R11, R12, R13, R14, R15 uint64
	RDI, RSI, RBP, RBX, RDX, RAX, RCX    uint64
	RSP, RIP, EFLAGS                     uint64
	CSGSFS                               uint64 // CS, GS, FS, SS, 16 bits each
	ERR, TRAPNO, OLDMASK, CR2            uint64
}

// Indices of the registers in gregset_t.
const (
	REG_R8 = iota
	REG_R9
	REG_R10
	REG_R11
	REG_R12
	REG_R13
	REG_R14
	REG_R15
	REG_RDI
	REG_RSI
	REG_RBP
	REG_RBX
	REG_RDX
	REG_RAX
	REG_RCX
	REG_RSP
	REG_RIP
	REG_EFL
	REG_CSGSFS
	REG_ERR
	REG_TRAPNO
	REG_OLDMASK
	REG_CR2
	NGREG
)

// SizeRegs is the size of Regs in memory.
const SizeRegs = 8 * NGREG

// Segment selectors of 64-bit programs.
const (
	UserCS = 0x33
	UserSS = 0x2b
)

// Flags in EFLAGS.
const (
	EFLAGS_CF = 1 << 0
	EFLAGS_PF = 1 << 2
	EFLAGS_AF = 1 << 4
	EFLAGS_ZF = 1 << 6
	EFLAGS_SF = 1 << 7
	EFLAGS_TF = 1 << 8
	EFLAGS_IF = 1 << 9
	EFLAGS_DF = 1 << 10
	EFLAGS_OF = 1 << 11
	EFLAGS_RF = 1 << 16
	EFLAGS_AC = 1 << 18

	// EFLAGS_RESTORE are the flags that rt_sigreturn(2) takes from a frame; all
	// others stay as they are.
	EFLAGS_RESTORE = EFLAGS_AC | EFLAGS_OF | EFLAGS_DF | EFLAGS_TF | EFLAGS_SF |
		EFLAGS_ZF | EFLAGS_AF | EFLAGS_PF | EFLAGS_CF | EFLAGS_RF
)

// Segments returns CSGSFS taken apart.
func (r *Regs) Segments() (cs, gs, fs, ss uint16) {
	x := r.CSGSFS
	return uint16(x), uint16(x >> 16), uint16(x >> 32), uint16(x >> 48)
}

// SetSegments puts CSGSFS together.
func (r *Regs) SetSegments(cs, gs, fs, ss uint16) {
	r.CSGSFS = uint64(cs) | uint64(gs)<<16 | uint64(fs)<<32 | uint64(ss)<<48
}

// Syscall returns the number and the arguments of the system call that r is at.
func (r *Regs) Syscall() (nr uint64, args [6]uint64) {
	return r.RAX, [6]uint64{r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9}
}

// Encode writes r to b.
func (r *Regs) Encode(b []byte) {
	b = b[:SizeRegs]
	for i, p := range r.fields() {
		le.PutUint64(b[8*i:], *p)
	}
}

// Decode reads r from b.
func (r *Regs) Decode(b []byte) {
	b = b[:SizeRegs]
	for i, p := range r.fields() {
		*p = le.Uint64(b[8*i:])
	}
}

func (r *Regs) fields() [NGREG]*uint64 {
	return [NGREG]*uint64{
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15,
		&r.RDI, &r.RSI, &r.RBP, &r.RBX, &r.RDX, &r.RAX, &r.RCX,
		&r.RSP, &r.RIP, &r.EFLAGS, &r.CSGSFS,
		&r.ERR, &r.TRAPNO, &r.OLDMASK, &r.CR2,
	}
}
