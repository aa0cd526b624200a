package machine

import (
	"bytes"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// sites are the addresses of all syscall instructions in the stub.
func (s *stub) sites() (at []uint64) {
	for i := 0; i+1 < len(s.text); i++ {
		if s.text[i] == 0x0f && s.text[i+1] == 0x05 {
			at = append(at, textBase+uint64(i))
		}
	}
	return at
}

// jump lets the guest run at an address with a call number and arguments.
func jump(t *testing.T, th *Thread, at, nr uint64, args ...uint64) *Trap {
	t.Helper()
	r := &th.Regs
	r.RIP, r.RAX, r.R12, r.R14, r.R15 = at, nr, 0, 0, 0
	r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9 = 0, 0, 0, 0, 0, 0
	for i, p := range []*uint64{&r.RDI, &r.RSI, &r.RDX, &r.R10, &r.R8, &r.R9}[:len(args)] {
		*p = args[i]
	}
	r.RSP = codeAt + 0xff00
	th.SetDirty()
	return th.Resume()
}

// probes are the calls that Linux passes by every filter: uretprobe and uprobe,
// which end in SIGILL when the kernel did not put the trampoline there itself.
func probes(nr uint64) bool { return nr == 335 || nr == 336 }

// A guest that jumps to the stub's own system calls, with any number, gets
// through with those of the list only.
func TestFilterFromTheStub(t *testing.T) {
	m, th := start(t, 0x0f, 0x05)
	sites := m.stub.sites()
	if len(sites) < 10 {
		t.Fatalf("only %d syscall instructions found", len(sites))
	}
	for _, at := range sites {
		for nr := range uint64(600) {
			if slices.ContainsFunc(allowList, func(a allowed) bool { return uint64(a.nr) == nr }) || probes(nr) ||
				nr == unix.SYS_SENDTO { // see TestFilterLooksAtArguments
				continue
			}
			for _, n := range []uint64{nr, nr | 0x40000000} { // x32 too
				if tr := jump(t, th, at, n); tr.Kind != TrapSyscall || th.Regs.RAX != n || th.Regs.RIP != at+2 {
					t.Fatalf("call %#x from %#x: %v, %+v", n, at, tr.Kind, th.Regs)
				}
			}
		}
	}
}

// From the guest's own code nothing gets through, whatever is on the list, but
// what the stub does for it.
func TestFilterFromTheGuest(t *testing.T) {
	m, th := start(t, 0x0f, 0x05)
	for nr := range uint64(600) {
		if probes(nr) || nr < 512 && m.local[nr/64]&(1<<(nr%64)) != 0 {
			continue
		}
		if tr := jump(t, th, codeAt, nr); tr.Kind != TrapSyscall || th.Regs.RAX != nr {
			t.Fatalf("call %d: %v", nr, tr.Kind)
		}
	}
}

// clone passes from one place, for children of the server without a namespace;
// prctl passes for the parent's death signal, sendto without an address.
func TestFilterLooksAtArguments(t *testing.T) {
	m, th := start(t, 0x0f, 0x05)
	for _, at := range m.stub.sites() {
		for _, to := range []uint64{1, codeAt, 1 << 32, 1 << 63} {
			for _, size := range []uint64{0, 16} {
				if tr := jump(t, th, at, unix.SYS_SENDTO, 1, codeAt, 1, unix.MSG_FASTOPEN, to, size); tr.Kind != TrapSyscall {
					t.Fatalf("sendto %#x from %#x: %v", to, at, tr.Kind)
				}
			}
		}
		for _, flags := range []uint64{
			0, unix.CLONE_NEWUSER | unix.CLONE_PARENT, unix.CLONE_NEWNS | unix.CLONE_PARENT, unix.CLONE_NEWPID | unix.CLONE_PARENT,
			unix.CLONE_PTRACE | unix.CLONE_PARENT, unix.CLONE_UNTRACED | unix.CLONE_PARENT, unix.CLONE_VM, unix.CLONE_VFORK | unix.CLONE_VM,
			unix.CLONE_PARENT | uint64(unix.SIGKILL),
		} {
			if tr := jump(t, th, at, unix.SYS_CLONE, flags); tr.Kind != TrapSyscall {
				t.Fatalf("clone(%#x) from %#x: %v", flags, at, tr.Kind)
			}
		}
		if at+2 != m.stub.clone {
			if tr := jump(t, th, at, unix.SYS_CLONE, unix.CLONE_PARENT); tr.Kind != TrapSyscall {
				t.Fatalf("clone from %#x: %v", at, tr.Kind)
			}
		}
		for _, a := range [][2]uint64{{unix.PR_SET_PDEATHSIG, 0}, {unix.PR_SET_DUMPABLE, 9}, {unix.PR_SET_SECCOMP, 9}, {0, 9}} {
			if tr := jump(t, th, at, unix.SYS_PRCTL, a[0], a[1]); tr.Kind != TrapSyscall {
				t.Fatalf("prctl%v from %#x: %v", a, at, tr.Kind)
			}
		}
	}
}

// A 32-bit call has other numbers: it must not be taken for a 64-bit one.
func TestFilterSeesThirtyTwoBitCalls(t *testing.T) {
	_, th := start(t, 0xcd, 0x80)
	for _, nr := range []uint64{1, 9, 11, 15, 202} {
		th.Regs.RIP, th.Regs.RAX = codeAt, nr
		th.SetDirty()
		tr := th.Resume()
		if tr.Kind == TrapFault {
			t.Skip("the host has no 32-bit calls")
		}
		if tr.Kind != TrapSyscall || tr.Arch == unix.AUDIT_ARCH_X86_64 {
			t.Fatalf("int 0x80 with %d: %v %#x", nr, tr.Kind, tr.Arch)
		}
	}
}

// Whatever a guest writes into its slot ends at most itself.
func TestHostileSlot(t *testing.T) {
	m, other := start(t, loop...)
	for _, spoil := range []func(*Thread){
		func(t *Thread) { t.slot.frame = 0 },
		func(t *Thread) { t.slot.frame = ^uint64(0) },
		func(t *Thread) { t.slot.frame = t.addr(slotSize - 8) },
		func(t *Thread) { t.slot.frame = t.addr(slotSize) },
		func(t *Thread) { t.slot.frame = t.addr(stackOffset + 1) },
		func(t *Thread) { t.slot.info = 1 },
		func(t *Thread) { t.slot.info = t.addr(slotSize - 8) },
	} {
		th := load(t, m, loop...)
		th.Resume()
		spoil(th)
		if tr := th.load(); tr.Kind != TrapDead {
			t.Errorf("a spoilt slot gives %v", tr.Kind)
		}
		<-th.space.Done()
	}
	th := load(t, m, loop...)
	th.Resume()
	off, _ := th.frameOffset()
	words(th.mem()[off:])[ucFPState/8] = 12345
	if th.FPState() != nil {
		t.Error("a frame with its registers elsewhere is accepted")
	}
	th.slot.count = 1 << 30 // the stub runs on into whatever follows
	th.slot.give(opCalls)
	if th.slot.await(0) == stateTrap {
		t.Log("survived")
	}
	if tr := other.Resume(); tr.Kind != TrapSyscall {
		t.Errorf("another guest was hurt: %v", tr.Kind)
	}
}

// The stub's layout is written twice, for the assembler and for Go.
func TestStubIsWhole(t *testing.T) {
	s, err := findStub()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.text) >= textSize || !bytes.Equal(s.elf()[textSize:textSize+len(s.text)], s.text) {
		t.Fatal("the image does not hold the stub")
	}
	if !(s.start < s.handler && s.handler < s.begin && s.begin < s.end && s.end <= s.cancel) {
		t.Fatalf("labels out of order: %+v", s)
	}
	// The instruction before the range's end is the call.
	if e := s.end - textBase; s.text[e-2] != 0x0f || s.text[e-1] != 0x05 {
		t.Fatal("the range does not end behind its system call")
	}
	if c := s.clone - textBase; s.text[c-2] != 0x0f || s.text[c-1] != 0x05 {
		t.Fatal("clone's label is not behind its system call")
	}
}

// A process that a guest makes behind the server's back ends with the machine.
func TestStraysEndWithTheMachine(t *testing.T) {
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	children := func() int {
		pids, err := childrenOf(m.parent)
		if err != nil {
			t.Skip(err)
		}
		return len(pids)
	}
	th, err := m.NewThread()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := th.Do1(unix.SYS_MMAP, codeAt, 0x10000, 7, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, ^uint64(0), 0); err != nil {
		t.Fatal(err)
	}
	before := children()
	done := make(chan struct{})
	go func() {
		defer close(done)
		jump(t, th, m.stub.clone-2, unix.SYS_CLONE, forkFlags, 0, 0, 0, 0)
	}()
	for children() == before {
		runtime.Gosched()
	}
	th.space.Kill()
	<-done
	th.space.Free()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if n := children(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

// The machine's end is none of other children of this program, whatever thread started
// them.
func TestOtherChildrenOutliveTheMachine(t *testing.T) {
	const n = 40
	var others [n]*exec.Cmd
	var in [n]io.Closer
	var ready, end, over sync.WaitGroup
	end.Add(1)
	for i := range others {
		ready.Add(1)
		over.Go(func() {
			// As many threads as children.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			c := exec.Command("cat")
			others[i] = c
			var err error
			if in[i], err = c.StdinPipe(); err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Error(err)
			}
			ready.Done()
			end.Wait()
		})
	}
	ready.Wait()
	end.Done()
	over.Wait()
	for range 3 {
		m, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, c := range others {
		if in[i] == nil || c.Process == nil {
			continue
		}
		in[i].Close()
		if err := c.Wait(); err != nil {
			t.Errorf("child %d: %v", i, err)
		}
	}
}
