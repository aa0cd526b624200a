package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// handle makes the thread enter a handler: it puts the frame on the stack as
// Linux does on this processor (arch/x86/kernel/signal*.c) and sets the
// registers.
func (t *Task) handle(info *abi.Siginfo, act *abi.Sigaction) {
	sig := syscall.Signal(info.Signo)
	if !t.pushFrame(info, act) {
		t.k.mu.Lock()
		defer t.k.mu.Unlock()
		if sig == syscall.SIGSEGV {
			t.proc.sig.handlers.of(sig).Handler = abi.SIG_DFL
		}
		t.forceLocked(abi.KillInfo(syscall.SIGSEGV, abi.SI_KERNEL, 0, 0))
		return
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	mask := t.sig.mask | act.Mask
	if act.Flags&abi.SA_NODEFER == 0 {
		mask |= abi.SigBit(sig)
	}
	t.sig.hasSaved = false
	t.setMask(mask)
}

// pushFrame reports whether the frame could be written.
func (t *Task) pushFrame(info *abi.Siginfo, act *abi.Sigaction) bool {
	r := &t.thread.Regs
	fp := t.thread.FPState()
	if fp == nil || act.Flags&abi.SA_RESTORER == 0 {
		return false
	}
	stack := t.sig.altStack
	sp := r.RSP - abi.RedZone
	onAlt := onStack(&stack, sp)
	if act.Flags&abi.SA_ONSTACK != 0 && stack.Size != 0 && !onAlt {
		sp, onAlt = stack.SP+stack.Size, true
	}
	frame, fpstate := abi.FrameAddr(sp, uint64(len(fp)))
	if onAlt && !(frame > stack.SP && frame-stack.SP <= stack.Size) || frame >= userLimit {
		return false
	}
	f := abi.Frame{
		Restorer: act.Restorer,
		Flags:    abi.UC_SIGCONTEXT_SS | abi.UC_STRICT_RESTORE_SS,
		Stack:    stack, Regs: *r, Fpstate: fpstate,
		Sigmask: t.sig.mask, Info: *info,
	}
	if t.sig.hasSaved {
		f.Sigmask = t.sig.saved
	}
	f.Regs.OLDMASK = uint64(f.Sigmask)
	if extended(fp) {
		f.Flags |= abi.UC_FP_XSTATE
	}
	b := t.buffer(int(fpstate-frame) + len(fp))
	f.Encode(b)
	clear(b[abi.SizeFrame : fpstate-frame])
	copy(b[fpstate-frame:], fp)
	if t.copyOut(frame, b) != nil {
		return false
	}
	if stack.Flags&abi.SS_AUTODISARM != 0 {
		t.sig.altStack = abi.StackT{Flags: abi.SS_DISABLE}
	}
	t.window.covered(syscall.Signal(info.Signo), r.RSP, frame)
	r.RDI, r.RSI, r.RDX = uint64(info.Signo), frame+abi.FrameSiginfo, frame+abi.FrameUcontext
	r.RAX, r.RSP, r.RIP = 0, frame, act.Handler
	r.SetSegments(abi.UserCS, 0, 0, abi.UserSS)
	r.EFLAGS &^= abi.EFLAGS_DF | abi.EFLAGS_RF | abi.EFLAGS_TF
	t.thread.SetDirty()
	resetFP(fp)
	return true
}

// onStack reports whether sp lies on the alternate stack in a way that counts.
func onStack(s *abi.StackT, sp uint64) bool {
	return s.Flags&abi.SS_AUTODISARM == 0 && sp > s.SP && sp-s.SP <= s.Size
}

// sysSigreturn puts back what a frame holds, as the handler left it. Whatever it
// holds harms the thread alone.
func sysSigreturn(t *Task, _ *Args) (uint64, error) {
	r := &t.thread.Regs
	at := r.RSP - 8
	// The floating point state lies above the frame, where handle has put it:
	// one copy for both.
	b := t.buffer(abi.SizeFrame + 64 + t.k.machine.FPSize())
	got, _ := t.thread.Space().Read(at, b)
	if b = b[:got]; got < abi.FrameSiginfo {
		return t.badFrame()
	}
	var f abi.Frame
	var head [abi.SizeFrame]byte
	copy(head[:abi.FrameSiginfo], b) // nobody reads the siginfo again
	f.Decode(head[:])
	t.k.mu.Lock()
	t.setMask(f.Sigmask)
	t.k.mu.Unlock()
	cs, _, _, ss := f.Regs.Segments()
	cs, ss = cs|3, ss|3
	if f.Flags&abi.UC_STRICT_RESTORE_SS == 0 {
		ss = abi.UserSS
	}
	if cs != abi.UserCS || ss != abi.UserSS || f.Regs.RIP >= userLimit {
		return t.badFrame()
	}
	if off := f.Fpstate - at; off < uint64(got) && uint64(got)-off >= abi.SizeFpxState {
		b = b[off:]
	} else {
		b = nil
	}
	if !t.restoreFP(f.Fpstate, b) {
		return t.badFrame()
	}
	flags := r.EFLAGS&^uint64(abi.EFLAGS_RESTORE) | f.Regs.EFLAGS&abi.EFLAGS_RESTORE
	*r = f.Regs
	t.window.uncovered(at, r.RSP)
	r.EFLAGS = flags
	r.SetSegments(cs, 0, 0, ss)
	t.thread.SetDirty()
	t.restart.next = nil
	_ = t.setAltStack(f.Stack, r.RSP)
	// The result that run stores must be the frame's own.
	return r.RAX, nil
}

func (t *Task) badFrame() (uint64, error) {
	t.force(abi.KillInfo(syscall.SIGSEGV, abi.SI_KERNEL, 0, 0))
	return t.thread.Regs.RAX, nil
}

// restoreFP takes the extended registers from a frame. have are those of its
// bytes that were read already, at least SizeFpxState if any.
func (t *Task) restoreFP(addr uint64, have []byte) bool {
	fp := t.thread.FPState()
	if fp == nil {
		return false
	}
	if addr == 0 {
		resetFP(fp)
		return true
	}
	if have == nil {
		have = t.buffer(len(fp))[:abi.SizeFpxState]
		if t.copyIn(addr, have) != nil {
			return false
		}
	}
	var sw abi.FpxSw
	sw.Decode(have[abi.FpSwReserved:])
	n := abi.SizeFpxState
	if addr%64 == 0 && extended(fp) && sw.Extended(uint32(len(fp)-abi.SizeFpXstateMagic2)) {
		n = int(sw.XstateSize) + abi.SizeFpXstateMagic2
	}
	if n > len(have) {
		whole := make([]byte, n)
		copy(whole, have)
		if t.copyIn(addr+uint64(len(have)), whole[len(have):]) != nil {
			return false
		}
		have = whole
	}
	return loadFP(fp, have[:n])
}

// loadFP puts a guest's state into the one that the host loads. What the
// processor would refuse is refused here. Both are at least SizeFpxState long;
// a state without a whole extended area loads the legacy registers alone.
func loadFP(fp, b []byte) bool {
	le := binary.LittleEndian
	mxcsrMask := le.Uint32(fp[abi.FpMxcsrMask:])
	if mxcsrMask == 0 {
		mxcsrMask = 0xffbf
	}
	if le.Uint32(b[abi.FpMxcsr:])&^mxcsrMask != 0 {
		return false
	}
	var host, sw abi.FpxSw
	host.Decode(fp[abi.FpSwReserved:])
	sw.Decode(b[abi.FpSwReserved:])
	size := int(sw.XstateSize)
	if size+abi.SizeFpXstateMagic2 != len(b) || size < abi.MinXstateSize || len(b) > len(fp) ||
		le.Uint32(b[size:]) != abi.FP_XSTATE_MAGIC2 {
		resetFP(fp)
		copy(fp[:abi.FpMxcsrMask], b)
		copy(fp[abi.FpMxcsrMask+4:abi.FpSwReserved], b[abi.FpMxcsrMask+4:])
		if extended(fp) {
			le.PutUint64(fp[abi.XstateHeader:], le.Uint64(fp[abi.XstateHeader:])|abi.XFEATURE_MASK_FPSSE)
		}
		return true
	}
	head := b[abi.XstateHeader : abi.XstateHeader+abi.SizeXstateHeader]
	if le.Uint64(head)&^host.Xfeatures != 0 || !isZero(head[8:]) {
		return false
	}
	// What the frame does not restore is reset.
	present := le.Uint64(head) & sw.Xfeatures
	copy(fp[:abi.FpMxcsrMask], b)
	copy(fp[abi.FpMxcsrMask+4:abi.FpSwReserved], b[abi.FpMxcsrMask+4:])
	copy(fp[abi.SizeFpxState:], b[abi.SizeFpxState:size])
	le.PutUint64(fp[abi.XstateHeader:], present)
	return true
}

// extended reports whether the state is an XSAVE area.
func extended(fp []byte) bool {
	return len(fp) >= abi.MinXstateSize+abi.SizeFpXstateMagic2 &&
		binary.LittleEndian.Uint32(fp[abi.FpSwReserved:]) == abi.FP_XSTATE_MAGIC1
}

// resetFP gives a state its initial value: all components absent, MXCSR and the
// x87 control word as a program starts with them. Protection keys stay.
func resetFP(fp []byte) {
	le := binary.LittleEndian
	if extended(fp) {
		keep := le.Uint64(fp[abi.XstateHeader:]) & abi.XFEATURE_MASK_PKRU
		le.PutUint64(fp[abi.XstateHeader:], keep)
	}
	mask := le.Uint32(fp[abi.FpMxcsrMask:])
	clear(fp[:416])
	le.PutUint16(fp, 0x37f)
	le.PutUint32(fp[abi.FpMxcsr:], 0x1f80)
	le.PutUint32(fp[abi.FpMxcsrMask:], mask)
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
