package cancel_test

import (
	"context"
	"encoding/binary"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

var childContests = []contest{
	{"wait4", 1, func(t *testing.T) contestant {
		child := newStopped(t)
		return contestant{
			call: func(ctx context.Context) error {
				var status unix.WaitStatus
				_, err := cancel.Wait4(ctx, child.pid, &status, unix.WUNTRACED|unix.WCONTINUED, nil)
				if err == nil && status.Stopped() == child.stopped {
					t.Fatalf("status %#x", status)
				}
				return err
			},
			complete: child.toggle,
			settle:   child.settle,
		}
	}},
	{"waitid", 1, func(t *testing.T) contestant {
		child := newStopped(t)
		return contestant{
			call: func(ctx context.Context) error {
				return cancel.Waitid(ctx, unix.P_PID, child.pid, nil, unix.WSTOPPED|unix.WCONTINUED, nil)
			},
			complete: child.toggle,
			settle:   child.settle,
		}
	}},
	{"wait4 (end)", 10, func(t *testing.T) contestant {
		start := pauser(t)
		var child int
		return contestant{
			prepare: func() { child = start() },
			call: func(ctx context.Context) error {
				pid, err := cancel.Wait4(ctx, child, nil, 0, nil)
				if err == nil && pid != child {
					t.Fatalf("pid %d, want %d", pid, child)
				}
				return err
			},
			complete: func() { check(unix.Kill(child, unix.SIGKILL)) },
			settle: func(done bool) {
				_, err := unix.Wait4(child, nil, 0, nil)
				if done != (err == unix.ECHILD) {
					t.Fatalf("done %v, reaping: %v", done, err)
				}
			},
		}
	}},
}

// stopped is a child that stops and continues; each is an event that one wait gets.
type stopped struct {
	t       *testing.T
	pid     int
	stopped bool
}

func newStopped(t *testing.T) *stopped {
	pid := sleeper(t)
	onEnd(t, func() {
		check(unix.Kill(pid, unix.SIGKILL))
		must(unix.Wait4(pid, nil, 0, nil))
	})
	return &stopped{t: t, pid: pid}
}

func (s *stopped) toggle() {
	if s.stopped {
		check(unix.Kill(s.pid, unix.SIGCONT))
	} else {
		check(unix.Kill(s.pid, unix.SIGSTOP))
	}
}

func (s *stopped) settle(done bool) {
	s.stopped = !s.stopped
	if !done {
		must(unix.Wait4(s.pid, nil, unix.WUNTRACED|unix.WCONTINUED, nil))
	}
	if pid := must(unix.Wait4(s.pid, nil, unix.WUNTRACED|unix.WCONTINUED|unix.WNOHANG, nil)); pid != 0 {
		s.t.Fatalf("done %v: the event has come twice", done)
	}
}

// pauser returns a function that starts a child that waits until it is killed: where possible one whose program is no
// more than that, because a million are started.
func pauser(t *testing.T) (start func() (pid int)) {
	if runtime.GOARCH != "amd64" {
		return func() int { return sleeper(t) }
	}
	const at = 0x400000
	code := []byte{0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7} // again: pause(); goto again
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	le := binary.LittleEndian
	for _, v := range []uint16{2, 62, 1, 0} {
		elf = le.AppendUint16(elf, v)
	}
	for _, v := range []uint64{at + 120, 64, 0} {
		elf = le.AppendUint64(elf, v)
	}
	elf = le.AppendUint32(elf, 0)
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {
		elf = le.AppendUint16(elf, v)
	}
	elf = le.AppendUint32(le.AppendUint32(elf, 1), 5)
	for _, v := range []uint64{0, at, at, 120 + uint64(len(code)), 120 + uint64(len(code)), 4096} {
		elf = le.AppendUint64(elf, v)
	}
	name := t.TempDir() + "/pause"
	// A child that is forked meanwhile would keep the file open for writing until it execs.
	syscall.ForkLock.RLock()
	check(os.WriteFile(name, append(elf, code...), 0o700))
	syscall.ForkLock.RUnlock()
	attr := os.ProcAttr{Env: []string{}}
	return func() int {
		p, err := os.StartProcess(name, []string{name}, &attr)
		check(err)
		pid := p.Pid
		check(p.Release())
		return pid
	}
}
