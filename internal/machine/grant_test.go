package machine

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// guestCall lets the guest make a system call. It reports whether the server was asked,
// and the result otherwise.
func guestCall(t *testing.T, th *Thread, nr uint64, args ...uint64) (ret int64, asked bool) {
	t.Helper()
	tr := jump(t, th, codeAt, nr, args...)
	switch {
	case tr.Kind == TrapSyscall:
		return 0, true
	case tr.Kind == TrapFault && tr.Signal == int(unix.SIGTRAP):
		return int64(th.Regs.RAX), false
	}
	t.Fatalf("call %d: %v", nr, tr.Kind)
	return 0, false
}

// granting gives a thread whose next instruction after each call is a breakpoint.
func granting(t *testing.T) *Thread {
	_, th := start(t, 0x0f, 0x05, 0xcc)
	th.UseGrants(true)
	return th
}

func grant(t *testing.T, th *Thread, n, fd int, bits uint32) {
	t.Helper()
	if err := th.Grant(n, fd, func() bool { th.space.Permit(n, bits); return true }); err != nil {
		t.Fatal(err)
	}
}

const bufAt = codeAt + 0x8000

func TestGrantedFile(t *testing.T) {
	th := granting(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("0123456789")
	f.Seek(0, 0)
	const n = 7
	if _, asked := guestCall(t, th, unix.SYS_READ, n, bufAt, 4); !asked {
		t.Error("read without a grant")
	}
	grant(t, th, n, int(f.Fd()), GrantRead|GrantFile)
	for _, c := range []struct {
		name  string
		nr    uint64
		args  []uint64
		want  int64
		asked bool
	}{
		{"read", unix.SYS_READ, []uint64{n, bufAt, 4}, 4, false},
		{"pread", unix.SYS_PREAD64, []uint64{n, bufAt, 4, 8}, 2, false},
		{"lseek", unix.SYS_LSEEK, []uint64{n, 0, 1}, 4, false},
		{"lseek to nowhere", unix.SYS_LSEEK, []uint64{n, ^uint64(0), 0}, 0, true},
		{"bad memory", unix.SYS_READ, []uint64{n, 8, 4}, 0, true},
		{"write", unix.SYS_WRITE, []uint64{n, bufAt, 4}, 0, true},
		{"pwrite", unix.SYS_PWRITE64, []uint64{n, bufAt, 4, 0}, 0, true},
		{"another number", unix.SYS_READ, []uint64{n + 1, bufAt, 4}, 0, true},
		{"a large number", unix.SYS_READ, []uint64{maxGrants, bufAt, 4}, 0, true},
		{"minus one", unix.SYS_READ, []uint64{1<<64 - 1, bufAt, 4}, 0, true},
		{"close of another", unix.SYS_CLOSE, []uint64{n + 1}, 0, true},
	} {
		got, asked := guestCall(t, th, c.nr, c.args...)
		if asked != c.asked || !asked && got != c.want {
			t.Errorf("%s: %d, asked %v", c.name, got, asked)
		}
	}
	var b [4]byte
	th.space.Read(bufAt, b[:])
	if string(b[:]) != "8923" {
		t.Errorf("read %q", b)
	}
	if sp := th.LastGrantSP(); sp != codeAt+0xff00 || th.LastGrantSP() != 0 {
		t.Errorf("stack pointer %#x", sp)
	}
	// Taken away, and closed.
	if !th.space.Permit(n, 0) {
		t.Error("it was not there")
	}
	if _, asked := guestCall(t, th, unix.SYS_READ, n, bufAt, 4); !asked {
		t.Error("read after it was taken back")
	}
	if err := th.Ungrant([]int{n}); err != nil {
		t.Fatal(err)
	}
	if _, err := th.Do1(unix.SYS_LSEEK, n+grantBase, 0, 1); err != unix.EBADF {
		t.Errorf("the descriptor is still there: %v", err)
	}
	// The stub closes before the server hears of it.
	grant(t, th, n, int(f.Fd()), GrantRead|GrantFile)
	if _, asked := guestCall(t, th, unix.SYS_CLOSE, n); !asked {
		t.Error("the server did not hear of the close")
	}
	if th.space.Permit(n, 0) {
		t.Error("the stub has not taken the word away")
	}
	if _, err := th.Do1(unix.SYS_LSEEK, n+grantBase, 0, 1); err != unix.EBADF {
		t.Errorf("the stub has not closed it: %v", err)
	}
	// What another one has become meanwhile is not granted.
	if err := th.Grant(n, int(f.Fd()), func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := th.Do1(unix.SYS_LSEEK, n+grantBase, 0, 1); err != unix.EBADF {
		t.Errorf("a refused one is there: %v", err)
	}
}

// A child has none of its parent's descriptors.
func TestGrantsAreNotInherited(t *testing.T) {
	th := granting(t)
	f, err := os.Open("grant_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	grant(t, th, 3, int(f.Fd()), GrantRead|GrantFile)
	child, err := th.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { child.space.Kill(); child.space.Free() }()
	child.UseGrants(true)
	if _, asked := guestCall(t, child, unix.SYS_READ, 3, bufAt, 1); !asked {
		t.Error("the child may read")
	}
	if _, err := child.Do1(unix.SYS_LSEEK, 3+grantBase, 0, 1); err != unix.EBADF {
		t.Errorf("the child has the descriptor: %v", err)
	}
	if n, asked := guestCall(t, th, unix.SYS_READ, 3, bufAt, 1); asked || n != 1 {
		t.Errorf("the parent: %d, %v", n, asked)
	}
}

// grantedPipe gives a thread that may read a pipe as its number 4; fd is the host's.
func grantedPipe(t *testing.T) (th *Thread, fd int, w *os.File) {
	th = granting(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	fd = int(r.Fd()) // which makes it wait
	grant(t, th, 4, fd, GrantRead)
	return th, fd, w
}

// A wait on a stream ends by a kick with nothing having happened, and Settle waits
// for it.
func TestGrantedStream(t *testing.T) {
	th, _, w := grantedPipe(t)
	w.WriteString("ab")
	if n, asked := guestCall(t, th, unix.SYS_READ, 4, bufAt, 1); asked || n != 1 {
		t.Errorf("read: %d, %v", n, asked)
	}
	if _, asked := guestCall(t, th, unix.SYS_PREAD64, 4, bufAt, 1, 0); !asked {
		t.Error("pread of a stream")
	}
	if n, asked := guestCall(t, th, unix.SYS_READ, 4, bufAt, 1); asked || n != 1 {
		t.Errorf("read: %d, %v", n, asked)
	}
	stopped := make(chan *Trap)
	go func() { stopped <- jump(t, th, codeAt, unix.SYS_READ, 4, bufAt, 1) }()
	for !th.InHostCall() {
		runtime.Gosched()
	}
	settled := make(chan bool, 1)
	th.space.Permit(4, 0)
	th.space.Settle(func() { settled <- true })
	tr := <-stopped
	if tr.Kind != TrapInterrupted || !tr.Local || th.Regs.RAX != unix.SYS_READ {
		t.Errorf("%v %v %d", tr.Kind, tr.Local, th.Regs.RAX)
	}
	<-settled
	th.space.Settle(func() { settled <- true })
	<-settled
}

// What the server wants to be asked for stays so, whatever is granted.
func TestGrantsLeaveWhatIsAskedFor(t *testing.T) {
	th := granting(t)
	if _, asked := guestCall(t, th, unix.SYS_MSYNC, codeAt, 4096, unix.MS_ASYNC); asked {
		t.Fatal("asked for msync")
	}
	th.space.Ask(unix.SYS_MSYNC)
	for _, on := range []bool{true, false, true} {
		th.UseGrants(on)
		if _, asked := guestCall(t, th, unix.SYS_MSYNC, codeAt, 4096, unix.MS_ASYNC); !asked {
			t.Errorf("not asked for msync with grants: %v", on)
		}
	}
	f, err := os.Open("grant_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	grant(t, th, 3, int(f.Fd()), GrantRead|GrantFile)
	th.space.Ask(unix.SYS_MREMAP)
	if n, asked := guestCall(t, th, unix.SYS_READ, 3, bufAt, 1); asked || n != 1 {
		t.Errorf("a grant ended with the wish to be asked: %d, %v", n, asked)
	}
}

// Once a thread has stopped, nobody waits for what it did before.
func TestSettleIsOverWhenStopped(t *testing.T) {
	th, fd, w := grantedPipe(t)
	for i := range 5000 {
		w.WriteString("x")
		settled := make(chan bool, 1)
		called := make(chan bool)
		go func() {
			th.space.Settle(func() { settled <- true })
			close(called)
		}()
		jump(t, th, codeAt, unix.SYS_READ, 4, bufAt, 1)
		<-called
		select {
		case <-settled:
		default:
			t.Fatalf("round %d: still waiting for a stopped thread", i)
		}
		unix.SetNonblock(fd, true)
		var b [1]byte
		unix.Read(fd, b[:]) // if the kick was first
		unix.SetNonblock(fd, false)
	}
}
