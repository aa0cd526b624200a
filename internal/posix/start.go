package posix

import (
	"context"
	"errors"
	"fmt"
	"path"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// StartSpec says what program to start from outside the box.
type StartSpec struct {
	// Paths are where the program may be: the first one that is there is run.
	Paths []string
	Argv  []string
	Env   []string
	Creds *Creds
	// Dir is the working directory. With DirOptional the root serves when there
	// is no such directory.
	Dir         string
	DirOptional bool
	// Files become descriptors 0, 1, 2 and so on. They are closed with the last
	// descriptor, or when the program could not be started.
	Files []StartFile
}

// ErrDirectory: the working directory cannot be entered.
var ErrDirectory = errors.New("working directory")

// StartFile is an open file for a new program. Flags are open(2)'s.
type StartFile struct {
	File  vfs.File
	Flags int
}

// NewCreds returns the credentials of a user. uid 0 is the box's superuser.
func NewCreds(uid, gid uint32, groups []uint32) *Creds {
	return &Creds{
		UID: uid, EUID: uid, SUID: uid, FSUID: uid,
		GID: gid, EGID: gid, SGID: gid, FSGID: gid, Groups: groups,
	}
}

// Start runs a program as a child of process 1, in a group of its own, and in a
// session of its own when one of the files is a terminal.
func (k *Kernel) Start(s StartSpec) (*Process, error) {
	t := &Task{k: k, wake: make(chan struct{}, 1), ctx: &taskContext{}}
	t.creds.Store(s.Creds)
	t.setComm(path.Base(s.Argv[0]))
	t.fds = k.NewFDTable()
	for i, f := range s.Files {
		if err := t.fds.Set(i, f.File, f.Flags, ""); err != nil {
			t.fds.drop()
			return nil, err
		}
	}
	p, err := k.start(t, s)
	if err != nil {
		t.fds.drop()
	}
	return p, err
}

func (k *Kernel) start(t *Task, s StartSpec) (*Process, error) {
	first := &Task{k: k, proc: k.init}
	if err := k.enroll(t, first, &cloneArgs{exitSignal: int(unix.SIGCHLD)}); err != nil {
		return nil, err
	}
	p, err := t.prepare(s)
	if err != nil {
		k.unenroll(t)
		return nil, err
	}
	t.ctx.task = t
	t.sched.nice = hostNice()
	t.thread, t.mem = p.thread, p.mem
	t.bindGrants()
	k.mu.Lock()
	t.assume(p)
	k.mu.Unlock()
	t.setComm(p.comm)
	t.proc.host.exe.Store(&p.exe)
	t.proc.execed = true
	proc := t.proc
	if k.launch(t, first) != nil {
		return nil, syscall.ESRCH // the box is closing
	}
	return proc, nil
}

// prepare finds the directory and loads the program.
func (t *Task) prepare(s StartSpec) (*program, error) {
	t.k.mu.Lock()
	t.proc.newSession()
	login := false
	for _, f := range s.Files {
		// As a login does: the terminal that was given is the session's.
		if tty, ok := f.File.(vfs.Terminal); ok && !tty.IsMaster() && tty.Line().Session() == 0 {
			t.proc.group.session.takeTerminal(tty.Line(), t.proc.pid)
			login = true
			break
		}
	}
	if !login {
		// A session's leader would make a controlling terminal of the first one
		// that it opens, and end with it.
		t.proc.group.session = t.k.init.group.session
	}
	t.k.mu.Unlock()
	fs, err := t.k.newFSContext(t, s.Dir)
	if err != nil && s.DirOptional {
		fs, err = t.k.newFSContext(t, "/")
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrDirectory, s.Dir, err)
	}
	t.fs = fs
	return t.loadFirst(s)
}

// loadFirst loads the first program that is there and may be run, as execvp(3)
// finds it.
func (t *Task) loadFirst(s StartSpec) (*program, error) {
	var last error = syscall.ENOENT
	for _, name := range s.Paths {
		p, err := t.load(&program{dirfd: unix.AT_FDCWD, name: name, argv: s.Argv, envp: s.Env})
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, syscall.EACCES):
			last = err
		case !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR):
			return nil, err
		}
	}
	return nil, last
}

// callerOf returns the task whose system call a context belongs to.
func callerOf(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

type taskKey struct{}

// TTYDevice is /dev/tty: the caller's controlling terminal.
var TTYDevice = dev.DeviceFunc(func(ctx context.Context, _ vfs.Node, flags int) (vfs.File, error) {
	if t := callerOf(ctx); t != nil {
		return t.openTerminal(flags)
	}
	return nil, syscall.ENXIO
})

// Signal sends a signal from outside the box; ESRCH when the process has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	if p.exit.zombie || p.k.processes[p.pid] != p {
		return syscall.ESRCH
	}
	return p.send(nil, queuedSignal{info: abi.KillInfo(sig, abi.SI_USER, 0, 0)})
}

// SignalForeground sends a signal as a key typed at the process's terminal does:
// to the foreground group, or without a terminal to the process's own.
func (p *Process) SignalForeground(sig syscall.Signal) error {
	p.k.mu.Lock()
	if p.exit.zombie || p.group == nil {
		p.k.mu.Unlock()
		return syscall.ESRCH
	}
	own, line := p.group.id, p.group.session.tty
	p.k.mu.Unlock()
	if line != nil {
		if fg := line.Foreground(); fg > 0 && p.k.SignalGroup(fg, sig) {
			return nil
		}
	}
	if !p.k.SignalGroup(own, sig) {
		return syscall.ESRCH
	}
	return nil
}
