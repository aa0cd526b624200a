package machine

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Thread is a host thread that runs guest code. All methods but Kick and
// Waiting are for the one goroutine that owns it.
type Thread struct {
	space *Space
	index int
	slot  *slot
	tid   atomic.Int32 // host thread id, 0 when gone

	// Regs are the guest's registers while it is stopped. After changing more
	// than the return value (see SetReturn), call SetDirty.
	Regs  Regs
	dirty bool
	ret   bool

	trap Trap
	dead bool

	settling atomic.Bool // see Space.Settle
	granted  bool        // see UseGrants; space.mu guards it

	server, stub patience
	looked       bool // the stub looks for the answer to this trap
	arriving     bool // a new thread that need not have stopped yet
}

// Space returns the address space.
func (t *Thread) Space() *Space { return t.space }

// SetDirty says that Regs were changed and must be loaded on Resume.
func (t *Thread) SetDirty() { t.dirty = true }

// SetReturn sets the result of the system call.
func (t *Thread) SetReturn(v uint64) { t.Regs.RAX, t.ret = v, true }

// addr is the guest's address of an offset in the slot.
func (t *Thread) addr(off int) uint64 {
	return slotsBase + uint64(t.index)*slotSize + uint64(off)
}

// mem returns the slot's bytes, the fields and the stack.
func (t *Thread) mem() []byte {
	return t.space.mem[t.index*slotSize : (t.index+1)*slotSize]
}

// frameOffset checks where the guest says its frame is.
func (t *Thread) frameOffset() (int, bool) {
	off := atomic.LoadUint64(&t.slot.frame) - t.addr(0)
	if off < stackOffset || off > slotSize-frameHeadSize-siginfoSize || off%8 != 0 {
		return 0, false
	}
	return int(off), true
}

// Resume lets the thread run guest code until it stops again. The Trap is valid
// until the next call.
func (t *Thread) Resume() *Trap {
	if !t.store() {
		return t.die()
	}
	return t.run(opResume)
}

// run hands the slot over and loads what comes back.
func (t *Thread) run(op uint32) *Trap {
	if t.exchange(op) != stateTrap {
		return t.die()
	}
	return t.load()
}

func (t *Thread) die() *Trap {
	t.dead = true
	t.trap.Kind = TrapDead
	return &t.trap
}

// load copies the registers in and says why the thread stopped.
func (t *Thread) load() *Trap {
	off, ok := t.frameOffset()
	if !ok {
		return t.fail()
	}
	mem := t.mem()
	w := words(mem[off+ucRegs : off+ucRegs+regWords*8])
	t.Regs = Regs{
		R8: w[0], R9: w[1], R10: w[2], R11: w[3], R12: w[4], R13: w[5], R14: w[6], R15: w[7],
		RDI: w[8], RSI: w[9], RBP: w[10], RBX: w[11], RDX: w[12], RAX: w[13], RCX: w[14],
		RSP: w[15], RIP: w[16], EFLAGS: w[17], CSGSFS: w[18],
		ERR: w[19], TRAPNO: w[20], OLDMASK: w[21], CR2: w[22],
	}
	t.dirty, t.ret = false, false
	tr := &t.trap
	sig := int(atomic.LoadUint32(&t.slot.sig))
	code := atomic.LoadUint32(&t.slot.code)
	atomic.StoreUint32(&t.slot.kick, 0)
	if t.settling.Load() {
		t.space.settled(t)
	}
	switch {
	case code == codeCompleted || sig == kickSignal:
		tr.Kind = TrapKick
		return tr
	case code == codeShort:
		tr.Kind, tr.NR = TrapShort, atomic.LoadUint64(&t.slot.calls[0].nr)
		return tr
	case code == codeInterrupted, code == codeLocalInterrupted, code == codeGrantInterrupted:
		tr.Kind = TrapInterrupted
		tr.Local = code != codeInterrupted
		return tr
	}
	info := atomic.LoadUint64(&t.slot.info) - t.addr(0)
	if info < stackOffset || info > slotSize-siginfoSize {
		return t.fail()
	}
	if sig == int(unix.SIGSYS) {
		tr.Kind = TrapSyscall
		tr.Arch = binary.LittleEndian.Uint32(mem[info+28:])
		return tr
	}
	tr.Kind = TrapFault
	tr.Signal = sig
	copy(tr.Info[:], mem[info:info+siginfoSize])
	return tr
}

// store writes changed registers into the frame.
func (t *Thread) store() bool {
	if !t.dirty && !t.ret {
		return true
	}
	off, ok := t.frameOffset()
	if !ok {
		t.fail()
		return false
	}
	w := words(t.mem()[off+ucRegs : off+ucRegs+regWords*8])
	if !t.dirty {
		w[13] = t.Regs.RAX
		t.ret = false
		return true
	}
	r := &t.Regs
	copy(w, []uint64{r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.RDI, r.RSI, r.RBP, r.RBX,
		r.RDX, r.RAX, r.RCX, r.RSP, r.RIP, r.EFLAGS, r.CSGSFS})
	t.dirty, t.ret = false, false
	return true
}

// fail ends a process whose shared words make no sense.
func (t *Thread) fail() *Trap {
	t.space.Kill()
	return t.die()
}

// Kick makes the thread stop soon, if it runs. It may come too late, when the
// thread has stopped by itself, and then costs one empty TrapKick. Anyone may
// call it at any time.
func (t *Thread) Kick() {
	tid := t.tid.Load()
	if tid == 0 {
		return
	}
	atomic.StoreUint32(&t.slot.kick, 1)
	t.space.signal(int(tid))
}

// NoWait makes the thread stop at the next wait in the host that it begins by
// itself, once Resume runs it.
func (t *Thread) NoWait() { atomic.StoreUint32(&t.slot.kick, 1) }

// InHostCall reports whether the stub waits in the host for this thread.
func (t *Thread) InHostCall() bool { return atomic.LoadUint32(&t.slot.hostCall) != 0 }

// Call is a host call to be made by a stopped thread.
type Call struct {
	NR   uint64
	Args [6]uint64
	Ret  int64 // -errno on failure, as the kernel gives it
}

// Do makes the stopped thread do up to 32 host calls, one after the other, and
// fills in the results. It fails only when the thread is dead.
func (t *Thread) Do(calls []Call) error {
	for len(calls) > 0 {
		n := min(len(calls), maxCalls)
		if err := t.do(calls[:n], opCalls); err != nil {
			return err
		}
		for i := range calls[:n] {
			calls[i].Ret = int64(t.slot.calls[i].ret)
		}
		calls = calls[n:]
	}
	return nil
}

// Do1 makes one host call and returns its result.
func (t *Thread) Do1(nr uintptr, args ...uint64) (uint64, error) {
	c := [1]Call{{NR: uint64(nr)}}
	copy(c[0].Args[:], args)
	if err := t.Do(c[:]); err != nil {
		return 0, err
	}
	if r := c[0].Ret; r < 0 && r > -4096 {
		return 0, unix.Errno(-r)
	}
	return uint64(c[0].Ret), nil
}

func (t *Thread) put(calls []Call) {
	for i := range calls {
		t.slot.calls[i] = call{nr: calls[i].NR, args: calls[i].Args}
	}
	t.slot.count = uint32(len(calls))
}

func (t *Thread) do(calls []Call, op uint32) error {
	if t.dead {
		return ErrDead
	}
	t.put(calls)
	if t.exchange(op) != stateTrap {
		t.die()
		return ErrDead
	}
	return nil
}

// ResumeWith makes one host call and goes on in the guest with its result as
// the system call's: one crossing for both.
func (t *Thread) ResumeWith(nr uintptr, args ...uint64) *Trap {
	if !t.store() {
		return t.die()
	}
	c := [1]Call{{NR: uint64(nr)}}
	copy(c[0].Args[:], args)
	t.put(c[:])
	return t.run(opCallsResume)
}

// ResumeWait is ResumeWith for a call that may wait. A kick ends the wait; when
// the call then had no effect, the result is TrapInterrupted.
func (t *Thread) ResumeWait(nr uintptr, args ...uint64) *Trap {
	if !t.store() {
		return t.die()
	}
	c := [1]Call{{NR: uint64(nr)}}
	copy(c[0].Args[:], args)
	t.put(c[:])
	return t.run(opWait)
}

// Scratch returns some bytes of the slot, with their address in the guest, for
// arguments of host calls. A frame is not kept there.
func (t *Thread) Scratch() ([]byte, uint64) {
	return t.slot.scratch[:], t.addr(scratchOffset)
}

// NewThread makes a thread of the same address space. It starts with a copy of
// t's registers as they are now, extended ones included; change its Regs, then
// Resume it. It may still be on its way to its first stop: what needs it stopped
// waits for that.
func (t *Thread) NewThread(tls uint64, setTLS bool) (*Thread, error) {
	if t.dead || !t.store() {
		return nil, ErrDead
	}
	n, err := t.space.allocate()
	if err != nil {
		return nil, err
	}
	if err := t.copyFrame(n); err != nil {
		t.space.release(n)
		return nil, err
	}
	flags := uint64(threadFlags)
	if setTLS {
		flags |= unix.CLONE_SETTLS
	}
	c := []Call{{NR: unix.SYS_CLONE, Args: [6]uint64{flags, n.addr(slotSize), 0, n.addr(0), tls}}}
	if err := t.do(c, opThread); err != nil {
		t.space.release(n)
		return nil, err
	}
	r := int64(t.slot.calls[0].ret)
	if r < 0 {
		t.space.release(n)
		return nil, unix.Errno(-r)
	}
	n.tid.Store(int32(r))
	return n, nil
}

// Fork makes a copy of the address space with one thread, a copy of t.
func (t *Thread) Fork() (*Thread, error) {
	if err := mayGrow(); err != nil {
		return nil, err
	}
	return t.fork()
}

// fork is Fork, whether there are too many threads already or not: a program
// that is to replace another one must not fail for that.
func (t *Thread) fork() (*Thread, error) {
	if t.dead || !t.store() {
		return nil, ErrDead
	}
	s, err := t.space.machine.newSpace()
	if err != nil {
		return nil, err
	}
	// The child stands on the same addresses, so it has the same slot.
	n := s.allocateAt(t.index)
	if err := t.copyFrame(n); err != nil {
		s.discard()
		return nil, err
	}
	p := t.space
	p.channel.Lock()
	pid, err := t.forkLocked(s)
	p.channel.Unlock()
	if err != nil {
		s.discard()
		return nil, err
	}
	n.tid.Store(int32(pid))
	if err := s.born(pid); err != nil {
		return nil, err
	}
	return n, nil
}

// forkLocked sends the child's descriptors over and makes the host process.
func (t *Thread) forkLocked(s *Space) (int, error) {
	p := t.space
	if err := p.send(s.memFD, s.remoteFD); err != nil {
		return 0, err
	}
	recv := t.recvCall()
	c := [2]Call{recv[0], {NR: unix.SYS_CLONE, Args: [6]uint64{forkFlags, 0, 0, t.addr(0), 0}}}
	if err := t.do(c[:], opFork); err != nil {
		return 0, err
	}
	if r := int64(t.slot.calls[0].ret); r < 0 {
		return 0, fmt.Errorf("machine: passing descriptors to a child: %w", unix.Errno(-r))
	}
	pid := int64(t.slot.calls[1].ret)
	if pid < 0 {
		return 0, unix.Errno(-pid)
	}
	return int(pid), nil
}

// copyFrame copies t's signal frame to n's slot, at the same place, and mends
// the addresses in it.
func (t *Thread) copyFrame(n *Thread) error {
	off, ok := t.frameOffset()
	if !ok {
		t.fail()
		return ErrDead
	}
	dst := n.mem()
	copy(dst[off-8:], t.mem()[off-8:])
	move := n.addr(0) - t.addr(0)
	n.slot.frame = t.addr(off) + move
	n.slot.sig, n.slot.code = uint32(kickSignal), codeTrap
	n.slot.info = n.addr(stackOffset)
	w := words(dst[off:])
	w[ucFPState/8] += move
	stack := [3]uint64{n.addr(stackOffset), 0, slotSize - stackOffset}
	copy(w[ucStack/8:], stack[:])
	n.slot.altStack = stack
	n.slot.state = stateRun // until it arrives
	n.Regs, n.arriving = t.Regs, true
	return nil
}

// Exit ends the host thread and frees its slot. The Thread must not be used
// afterwards.
func (t *Thread) Exit() {
	t.tid.Store(0)
	if !t.dead && t.arrive() == stateTrap {
		t.slot.give(opExit)
		for t.slot.await(0) == stateTrap {
			t.slot.give(opExit)
		}
		t.die()
	}
	t.space.release(t)
}

// FPState returns the extended registers (XSAVE area) in the frame, in place,
// or nil when the guest has damaged the frame.
func (t *Thread) FPState() []byte {
	off, ok := t.frameOffset()
	if !ok {
		return nil
	}
	mem := t.mem()
	fp := words(mem[off:])[ucFPState/8] - t.addr(0)
	size := uint64(t.space.machine.fpSize)
	if fp < stackOffset || fp%64 != 0 || fp+size > slotSize {
		return nil
	}
	return mem[fp : fp+size]
}

// runtimeCPU is how many processors the machine has.
var runtimeCPU = int32(runtime.NumCPU())
