package machine

import (
	"errors"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const codeAt = 0x10000000

// start gives a thread that is about to run code.
func start(t testing.TB, code ...byte) (*Machine, *Thread) {
	t.Helper()
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, load(t, m, code...)
}

func load(t testing.TB, m *Machine, code ...byte) *Thread {
	t.Helper()
	th, err := m.NewThread()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		th.space.Kill()
		th.space.Free()
	})
	if _, err := th.Do1(unix.SYS_MMAP, codeAt, 0x10000, 7, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, ^uint64(0), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := th.space.Write(codeAt, code); err != nil {
		t.Fatal(err)
	}
	th.Regs.RIP, th.Regs.RSP = codeAt, codeAt+0xff00
	th.SetDirty()
	return th
}

// loop: mov eax,39; syscall; jmp loop
var loop = []byte{0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}

func TestSyscallTraps(t *testing.T) {
	_, th := start(t, loop...)
	for i := range 1000 {
		tr := th.Resume()
		if tr.Kind != TrapSyscall || th.Regs.RAX != 39 || th.Regs.RIP != codeAt+7 || tr.Arch != unix.AUDIT_ARCH_X86_64 {
			t.Fatalf("%d: %v %+v", i, tr.Kind, th.Regs)
		}
		th.SetReturn(uint64(i))
	}
}

func TestFaultTraps(t *testing.T) {
	// mov rax,[0x1234]
	_, th := start(t, 0x48, 0x8b, 0x04, 0x25, 0x34, 0x12, 0, 0)
	tr := th.Resume()
	if tr.Kind != TrapFault || tr.Signal != int(unix.SIGSEGV) || th.Regs.CR2 != 0x1234 {
		t.Fatalf("%v %v %x", tr.Kind, tr.Signal, th.Regs.CR2)
	}
	// Repaired, it goes on.
	th.Regs.RIP += 8
	th.SetDirty()
	if _, err := th.space.Write(codeAt+8, loop); err != nil {
		t.Fatal(err)
	}
	if tr := th.Resume(); tr.Kind != TrapSyscall {
		t.Fatal(tr.Kind)
	}
}

func TestKickStopsARunningThread(t *testing.T) {
	_, th := start(t, 0xeb, 0xfe)
	for range 100 {
		go th.Kick()
		if tr := th.Resume(); tr.Kind != TrapKick || th.Regs.RIP != codeAt {
			t.Fatalf("%v %+v", tr.Kind, th.Regs)
		}
	}
}

func TestForkSeparatesMemory(t *testing.T) {
	_, th := start(t, loop...)
	th.Resume()
	th.SetReturn(7)
	ch, err := th.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { ch.space.Kill(); ch.space.Free() }()
	ch.SetReturn(0)
	if tr := ch.Resume(); tr.Kind != TrapSyscall || ch.Regs.RAX != 39 {
		t.Fatal(tr.Kind)
	}
	if tr := th.Resume(); tr.Kind != TrapSyscall {
		t.Fatal(tr.Kind)
	}
	ch.space.Write(codeAt+0x100, []byte("x"))
	var b [1]byte
	th.space.Read(codeAt+0x100, b[:])
	if b[0] != 0 {
		t.Fatal("the child's memory is the parent's")
	}
	// A grandchild of a grandchild.
	g, err := ch.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { g.space.Kill(); g.space.Free() }()
	if tr := g.Resume(); tr.Kind != TrapSyscall {
		t.Fatal(tr.Kind)
	}
}

func TestThreadsShareMemory(t *testing.T) {
	_, th := start(t, loop...)
	th.Resume()
	n, err := th.NewThread(0, false)
	if err != nil {
		t.Fatal(err)
	}
	if tr := n.Resume(); tr.Kind != TrapSyscall || n.Regs.RAX != 39 {
		t.Fatal(tr.Kind)
	}
	n.Exit()
	if tr := th.Resume(); tr.Kind != TrapSyscall {
		t.Fatal(tr.Kind)
	}
}

func TestFutexWaitIsInterrupted(t *testing.T) {
	// mov eax,202; mov edi,codeAt+0x100; xor esi,esi; xor edx,edx; xor r10,r10; syscall; jmp -2
	_, th := start(t, 0xb8, 202, 0, 0, 0, 0xbf, 0, 1, 0, 0x10, 0x31, 0xf6, 0x31, 0xd2, 0x4d, 0x31, 0xd2, 0x0f, 0x05, 0xeb, 0xfe)
	for range 1000 {
		go th.Kick()
		tr := th.Resume()
		switch tr.Kind {
		case TrapInterrupted:
			if th.Regs.RAX != 202 || th.Regs.RIP != codeAt+19 {
				t.Fatalf("%+v", th.Regs)
			}
			th.Regs.RIP -= 2
			th.SetDirty()
		case TrapKick:
		default:
			t.Fatal(tr.Kind)
		}
	}
}

func TestDeathIsNoticed(t *testing.T) {
	_, th := start(t, 0xeb, 0xfe)
	go th.space.Kill()
	if tr := th.Resume(); tr.Kind != TrapDead {
		t.Fatal(tr.Kind)
	}
	if err := th.Do(make([]Call, 1)); !errors.Is(err, ErrDead) {
		t.Fatal(err)
	}
	<-th.space.Done()
	if !th.space.Status().Signaled() {
		t.Fatal(th.space.Status())
	}
}

func TestDescriptorsComeOver(t *testing.T) {
	_, th := start(t, loop...)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("hello")
	for range 10 {
		c := []Call{{NR: unix.SYS_MMAP, Args: [6]uint64{0x20000000, 0x1000, 1, unix.MAP_PRIVATE | unix.MAP_FIXED, GuestFD, 0}}}
		if err := th.DoWithFDs(WithFD{int(f.Fd()), c}); err != nil || c[0].Ret != 0x20000000 {
			t.Fatal(err, c[0].Ret)
		}
	}
	var b [5]byte
	if _, err := th.space.Read(0x20000000, b[:]); err != nil || string(b[:]) != "hello" {
		t.Fatal(err, b)
	}
}

func BenchmarkTrap(b *testing.B) {
	_, th := start(b, loop...)
	b.ReportAllocs()
	for b.Loop() {
		if th.Resume().Kind != TrapSyscall {
			b.Fatal("no trap")
		}
		th.SetReturn(1)
	}
}

func BenchmarkFork(b *testing.B) {
	_, th := start(b, loop...)
	th.Resume()
	for b.Loop() {
		c, err := th.Fork()
		if err != nil {
			b.Fatal(err)
		}
		c.space.Kill()
		c.space.Free()
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		m, err := New(Options{})
		if err != nil {
			b.Fatal(err)
		}
		m.Close()
	}
}

// A machine starts whatever descriptors others of the program open and close
// meanwhile.
func TestStartsBesideOthers(t *testing.T) {
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var fds [8]int
				for i := range fds {
					fds[i], _ = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
				}
				for _, fd := range fds {
					unix.Close(fd)
				}
			}
		})
	}
	for i := range 100 {
		m, err := New(Options{})
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		m.Close()
	}
	close(stop)
	busy.Wait()
}
