package hati

import (
	"context"
	"os"
	"strconv"
	"syscall"

	"github.com/hati-os/hati/internal/posix"
)

// Process is a program that runs in a box.
type Process struct{ p *posix.Process }

// Pid returns its process id in the box.
func (p *Process) Pid() int { return p.p.PID() }

// Signal sends a signal, as kill(2) by the superuser of the box would.
// os.ErrProcessDone when it has ended.
func (p *Process) Signal(sig syscall.Signal) error { return done(p.p.Signal(sig)) }

// SignalForeground sends a signal to the foreground process group of the
// program's terminal, as a key typed there does; without one, to its own group.
func (p *Process) SignalForeground(sig syscall.Signal) error {
	return done(p.p.SignalForeground(sig))
}

// Kill sends SIGKILL.
func (p *Process) Kill() error { return p.Signal(syscall.SIGKILL) }

// Wait waits until the program has ended or ctx has.
func (p *Process) Wait(ctx context.Context) (*ProcessState, error) {
	st, err := p.p.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return &ProcessState{pid: p.Pid(), status: st}, nil
}

func done(err error) error {
	if err == syscall.ESRCH {
		return os.ErrProcessDone
	}
	return err
}

// ProcessState is how a program ended.
type ProcessState struct {
	pid    int
	status syscall.WaitStatus
}

// Pid returns the process id that it had.
func (s *ProcessState) Pid() int { return s.pid }

// Exited reports whether the program exited by itself.
func (s *ProcessState) Exited() bool { return s.status.Exited() }

// Success reports whether it exited with status 0.
func (s *ProcessState) Success() bool { return s.status.ExitStatus() == 0 }

// ExitCode returns the exit status, or -1 if a signal ended the program.
func (s *ProcessState) ExitCode() int { return s.status.ExitStatus() }

// Sys returns the syscall.WaitStatus.
func (s *ProcessState) Sys() any { return s.status }

func (s *ProcessState) String() string {
	switch st := s.status; {
	case st.Exited():
		return "exit status " + strconv.Itoa(st.ExitStatus())
	case st.Signaled():
		r := "signal: " + st.Signal().String()
		if st.CoreDump() {
			r += " (core dumped)"
		}
		return r
	}
	return "status " + strconv.Itoa(int(s.status))
}
