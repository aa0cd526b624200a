package strace_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/strace"
)

// TestAsStrace has strace(1) and a tracer of our own look at a program that
// makes many system calls, and compares what they print.
func TestAsStrace(t *testing.T) {
	for _, tool := range []string{"gcc", "strace"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	version, err := exec.Command("strace", "--version").Output()
	if err != nil || !bytes.Contains(version, []byte("version 6.1\n")) {
		t.Skipf("strace is not 6.1, and others print some things differently: %.30s", version)
	}
	dir := t.TempDir()
	exe, log := filepath.Join(dir, "calls"), filepath.Join(dir, "log")
	if out, err := exec.Command("gcc", "-w", "-static", "-o", exe, "testdata/calls.c").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	var work [2]string
	for i := range work {
		work[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(work[i], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("strace", "-o", log, exe)
	cmd.Dir = work[0]
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("strace: %v: %s", err, out)
	}
	want, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	got, err := trace(exe, work[1])
	if err != nil {
		t.Skip(err)
	}
	theirs, ours := lines(want), lines(got)
	if len(theirs) != len(ours) {
		t.Errorf("%d calls, strace has %d", len(ours), len(theirs))
	}
	for i := range min(len(theirs), len(ours)) {
		if theirs[i] != ours[i] {
			t.Errorf("got  %s\nwant %s", ours[i], theirs[i])
		}
	}
	if len(theirs) < 250 {
		t.Errorf("only %d calls", len(theirs))
	}
}

var (
	addresses = regexp.MustCompile(`0x[0-9a-f]{5,}`)
	spaces    = regexp.MustCompile(`\) += `)
	dates     = regexp.MustCompile(` /\* [-0-9]+T[-+:.0-9]+ \*/`)
	signals   = regexp.MustCompile(`(?m)^(---|\+\+\+).*\n`)
)

// lines are the calls after the mark, without what differs each time.
func lines(log []byte) []string {
	log = signals.ReplaceAll(log, nil)
	s := bufio.NewScanner(bytes.NewReader(log))
	var list []string
	pids := map[string]string{}
	for marks := 0; s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "getppid(") {
			marks++
			continue
		}
		if marks == 0 {
			continue
		}
		for _, call := range []string{"fork()", "getpid()"} {
			if rest, ok := strings.CutPrefix(line, call); ok {
				pids[strings.TrimSpace(rest)[2:]] = call
			}
		}
		line = dates.ReplaceAllString(line, "")
		line = addresses.ReplaceAllString(line, "ADDR")
		for pid, name := range pids {
			line = regexp.MustCompile(`\b`+pid+`\b`).ReplaceAllString(line, name)
		}
		// The column depends on the length of the addresses.
		line = spaces.ReplaceAllString(line, ") = ")
		list = append(list, line)
	}
	return list
}

// memory is a process's, through /proc.
type memory struct{ *os.File }

func (m memory) ReadAt(addr uint64, p []byte) error {
	if int64(addr) < 0 {
		return syscall.EFAULT
	}
	n, err := m.File.ReadAt(p, int64(addr))
	if n == len(p) {
		return nil
	}
	return err
}

// trace runs exe and prints the system calls of its first process.
func trace(exe, dir string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	p, err := os.StartProcess(exe, []string{exe}, &os.ProcAttr{
		Dir: dir, Files: []*os.File{null, null, null}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return nil, err
	}
	pid := p.Pid
	defer p.Release()
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return nil, err
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var (
		out    bytes.Buffer
		call   strace.Call
		inside bool
		sig    int
	)
	for {
		if err := unix.PtraceSyscall(pid, sig); err != nil {
			return nil, err
		}
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
			return nil, err
		}
		sig = 0
		switch {
		case status.Exited():
			out.Write(call.Gone())
			out.WriteByte('\n')
			return out.Bytes(), nil
		case !status.Stopped():
			return nil, errors.New("the program was killed")
		case status.StopSignal() != syscall.SIGTRAP|0x80:
			sig = int(status.StopSignal())
			continue
		}
		var r unix.PtraceRegs
		if err := unix.PtraceGetRegs(pid, &r); err != nil {
			return nil, err
		}
		if inside = !inside; inside {
			call.SP = r.Rsp
			call.Enter(r.Orig_rax, [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9}, memory{f})
			continue
		}
		out.Write(call.Exit(r.Rax, memory{f}))
		out.WriteByte('\n')
	}
}
