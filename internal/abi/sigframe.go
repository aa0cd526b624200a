package abi

// The frame that a handler of a signal finds on its stack (struct
// rt_sigframe): the return address, a ucontext, a siginfo; the floating point
// state lies above it, 64-byte aligned.
//
//	0    address of the restorer
//	8    ucontext: uc_flags, uc_link, uc_stack, uc_mcontext, uc_sigmask
//	312  siginfo
//	440  end
const (
	FrameRestorer = 0
	FrameUcontext = 8
	FrameFlags    = FrameUcontext + UcFlags
	FrameStack    = FrameUcontext + UcStack
	FrameRegs     = FrameUcontext + UcRegs
	FrameFpstate  = FrameUcontext + UcFpstate
	FrameSigmask  = FrameUcontext + UcSigmask
	FrameSiginfo  = FrameUcontext + SizeUcontext
	SizeFrame     = FrameSiginfo + SizeSiginfo
)

// Offsets in the kernel's ucontext. libc's is longer (its mask has 128 bytes),
// but equal so far.
const (
	UcFlags      = 0
	UcLink       = 8
	UcStack      = 16
	UcRegs       = 40 // uc_mcontext
	UcFpstate    = UcRegs + SizeRegs
	UcSigmask    = UcRegs + SizeSigcontext
	SizeUcontext = UcSigmask + SizeSigset

	// SizeSigcontext is the size of uc_mcontext: Regs, the address of the
	// floating point state, and 8 reserved words.
	SizeSigcontext = SizeRegs + 8 + 64
)

// Flags of a ucontext.
const (
	UC_FP_XSTATE         = 1
	UC_SIGCONTEXT_SS     = 2
	UC_STRICT_RESTORE_SS = 4
)

// RedZone is what a function may use below its stack pointer: a frame leaves
// it alone.
const RedZone = 128

// Frame is a signal frame as the kernel writes it at delivery and reads it at
// rt_sigreturn(2) (which looks at Flags, Stack, Regs, Fpstate and Sigmask).
type Frame struct {
	Restorer uint64
	Flags    uint64
	Link     uint64
	Stack    StackT
	Regs     Regs
	Fpstate  uint64 // address, or 0
	Sigmask  Sigset
	Info     Siginfo
}

// FrameAddr returns where a frame and its floating point state of fpsize bytes
// go, for a stack that ends at sp. The caller has gone past the red zone or to
// the alternate stack. The result wraps around below 0: check the range
// [frame, sp) against the stack.
func FrameAddr(sp, fpsize uint64) (frame, fpstate uint64) {
	fpstate = (sp - fpsize) &^ 63
	// As after a call: 16-byte aligned but for the return address.
	return (fpstate-SizeFrame)&^15 - 8, fpstate
}

// Encode writes f to b.
func (f *Frame) Encode(b []byte) {
	b = b[:SizeFrame]
	le.PutUint64(b[FrameRestorer:], f.Restorer)
	le.PutUint64(b[FrameFlags:], f.Flags)
	le.PutUint64(b[FrameUcontext+UcLink:], f.Link)
	f.Stack.Encode(b[FrameStack:])
	f.Regs.Encode(b[FrameRegs:])
	le.PutUint64(b[FrameFpstate:], f.Fpstate)
	clear(b[FrameFpstate+8 : FrameSigmask])
	f.Sigmask.Encode(b[FrameSigmask:])
	f.Info.Encode(b[FrameSiginfo:])
}

// Decode reads f from b.
func (f *Frame) Decode(b []byte) {
	b = b[:SizeFrame]
	f.Restorer = le.Uint64(b[FrameRestorer:])
	f.Flags = le.Uint64(b[FrameFlags:])
	f.Link = le.Uint64(b[FrameUcontext+UcLink:])
	f.Stack.Decode(b[FrameStack:])
	f.Regs.Decode(b[FrameRegs:])
	f.Fpstate = le.Uint64(b[FrameFpstate:])
	f.Sigmask.Decode(b[FrameSigmask:])
	f.Info.Decode(b[FrameSiginfo:])
}
