package cancel_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestC07_AtEveryInstruction stops a thread at every instruction between entersyscall and exitsyscall, cancels the call
// there, and checks the outcome: before the kernel is entered the call is cancelled and has done nothing, behind that
// it has its result. Once more with another handler running when the cancel's signal comes.
func TestC07_AtEveryInstruction(t *testing.T) {
	runtime.LockOSThread() // ptrace knows threads
	defer runtime.UnlockOSThread()
	s := startStepper(t)

	// Once without a cancel, to see the way.
	s.send("ready")
	s.toBreakpoint()
	var way []uint64
	entered := 0 // the steps after which the system call has been made
	for after := 0; after < 8; {
		way = append(way, s.pc())
		if way[len(way)-1] == s.end-2 {
			entered = len(way)
		}
		if entered > 0 {
			after++
		}
		s.step()
	}
	s.finish()
	if n, cancelled, left := s.result(); n != 1 || cancelled || left != 0 {
		t.Fatalf("undisturbed: n %d, cancelled %v, left %d", n, cancelled, left)
	}
	t.Logf("%d instructions to the system call, %d behind", entered, len(way)-entered)

	for _, handler := range []bool{false, true} {
		for _, input := range []string{"ready", "empty"} {
			for k := range len(way) + 1 {
				s.send(input)
				s.toBreakpoint()
				inKernel := false
				for range k {
					inKernel = inKernel || s.pc() == s.end-2
					if inKernel && input == "empty" {
						break // it would not return
					}
					s.step()
				}
				if handler {
					s.ask("handler")
				}
				s.ask("cancel")
				s.finish()
				n, cancelled, left := s.result()
				wantCancelled := input == "empty" || !inKernel
				wantLeft := 0
				if wantCancelled && input == "ready" {
					wantLeft = 1
				}
				if cancelled != wantCancelled || left != wantLeft || !cancelled && n != 1 {
					t.Errorf("%s, handler %v, after %d of %d steps: n %d, cancelled %v, left %d",
						input, handler, k, entered, n, cancelled, left)
				}
			}
		}
	}
}

// stepper drives the helper process and traces its victim.
type stepper struct {
	t                 *testing.T
	commands          *os.File
	answers           *bufio.Reader
	pid, tid          int
	entry, begin, end uint64
	code              byte
}

func startStepper(t *testing.T) *stepper {
	cr, cw, err := os.Pipe()
	check(err)
	ar, aw, err := os.Pipe()
	check(err)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "HATI_CANCEL_HELPER=step", "GOGC=off", "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=4")
	cmd.ExtraFiles = []*os.File{cr, aw}
	cmd.Stderr = os.Stderr
	check(cmd.Start())
	cr.Close()
	aw.Close()
	s := &stepper{t: t, commands: cw, answers: bufio.NewReader(ar), pid: cmd.Process.Pid}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		cw.Close()
		ar.Close()
		_, _ = unix.Wait4(s.tid, nil, unix.WALL, nil) // or the process stays
		_ = cmd.Wait()
	})
	if _, err := fmt.Fscanln(s.answers, &s.tid, &s.entry, &s.begin, &s.end); err != nil {
		t.Fatal(err)
	}
	if err := unix.PtraceSeize(s.tid); err != nil {
		t.Skip("ptrace: ", err)
	}
	check(unix.PtraceInterrupt(s.tid))
	s.wait()
	// Break behind the first call, of entersyscall: a thread stopped in there can hold a lock of the runtime.
	var code [32]byte
	_, err = unix.PtracePeekText(s.tid, uintptr(s.entry), code[:])
	check(err)
	i := bytes.IndexByte(code[:], 0xe8) + 5
	s.entry, s.code = s.entry+uint64(i), code[i]
	s.poke(0xcc)
	check(unix.PtraceCont(s.tid, 0))
	return s
}

func (s *stepper) poke(b byte) {
	_, err := unix.PtracePokeText(s.tid, uintptr(s.entry), []byte{b})
	check(err)
}

// wait waits until the victim stops and returns the signal that stopped it.
func (s *stepper) wait() unix.Signal {
	var status unix.WaitStatus
	_, err := unix.Wait4(s.tid, &status, unix.WALL, nil)
	check(err)
	if !status.Stopped() {
		s.t.Fatalf("the victim ended: %#x", status)
	}
	return status.StopSignal()
}

func (s *stepper) toBreakpoint() {
	for {
		sig := s.wait()
		if sig == unix.SIGTRAP {
			break
		}
		check(unix.PtraceCont(s.tid, int(sig)))
	}
	s.poke(s.code)
	regs := s.regs()
	regs.Rip--
	check(unix.PtraceSetRegs(s.tid, &regs))
}

func (s *stepper) regs() (regs unix.PtraceRegs) {
	check(unix.PtraceGetRegs(s.tid, &regs))
	return regs
}

func (s *stepper) pc() uint64 {
	regs := s.regs()
	return regs.Rip
}

func (s *stepper) step() {
	check(unix.PtraceSingleStep(s.tid))
	if sig := s.wait(); sig != unix.SIGTRAP {
		s.t.Fatalf("a step ended with %v", sig)
	}
}

// finish lets the victim end its call, and gives it the signals that come.
func (s *stepper) finish() {
	sig := unix.Signal(0)
	for sig != unix.SIGUSR2 {
		check(unix.PtraceCont(s.tid, int(sig)))
		sig = s.wait()
	}
	s.poke(0xcc)
	check(unix.PtraceCont(s.tid, 0))
}

func (s *stepper) send(command string) {
	_, err := fmt.Fprintln(s.commands, command)
	check(err)
}

func (s *stepper) ask(command string) string {
	s.send(command)
	line, err := s.answers.ReadString('\n')
	check(err)
	return strings.TrimSpace(line)
}

func (s *stepper) result() (n int, cancelled bool, left int) {
	_, err := fmt.Sscan(s.ask("result"), &n, &cancelled, &left)
	check(err)
	return n, cancelled, left
}
