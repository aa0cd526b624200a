package posix

import (
	"bytes"
	"syscall"

	"github.com/hati-os/hati/internal/loader"
	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var execCalls = calls{
	unix.SYS_EXECVE:   {fn: again(sysExecve), blocks: killable},
	unix.SYS_EXECVEAT: {fn: again(sysExecveat), blocks: killable},
}

func sysExecve(t *Task, a *Args) (uint64, error) {
	return t.execve(unix.AT_FDCWD, a[0], a[1], a[2], 0)
}

func sysExecveat(t *Task, a *Args) (uint64, error) {
	flags := a.Int(4)
	if flags&^(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, syscall.EINVAL
	}
	return t.execve(a.Int(0), a[1], a[2], a[3], flags)
}

func (t *Task) execve(dirfd int, nameAt, argvAt, envpAt uint64, flags int) (uint64, error) {
	name, err := t.copyInPath(nameAt)
	if err != nil {
		return 0, err
	}
	budget := loader.ArgLimit(t.proc.limit(unix.RLIMIT_STACK))
	argv, err := t.copyInStrings(argvAt, &budget)
	if err != nil {
		return 0, err
	}
	envp, err := t.copyInStrings(envpAt, &budget)
	if err != nil {
		return 0, err
	}
	p, err := t.load(&program{dirfd: dirfd, name: name, flags: flags, argv: argv, envp: envp})
	if err != nil {
		return 0, err
	}
	if err := t.become(p); err != nil {
		p.mem.release(t.k, p.thread)
		return 0, err
	}
	return 0, nil
}

// become makes the task run the program. Until its other threads have ended it
// can fail; then it cannot.
func (t *Task) become(p *program) error {
	if err := t.killSiblings(); err != nil {
		return err
	}
	t.leaveMemory()
	old, oldThread := t.mem, t.thread
	t.fds = t.fds.unshareForExec()
	if g := t.fds.grants.Load(); g != nil && old.shared() { // the old process goes on
		g.end()
		t.closeStaleOf(g)
	}
	t.k.mu.Lock()
	t.takeOverLeader()
	t.thread, t.mem = p.thread, p.mem
	t.execSignals()
	t.assume(p)
	t.proc.execed = true
	t.proc.releaseVfork()
	t.k.mu.Unlock()
	grants := t.fds.grants.Load()
	t.bindGrants()
	t.setComm(p.comm)
	t.proc.host.exe.Store(&p.exe)
	old.release(t.k, oldThread)
	if old.over() {
		grants.awaitGone()
	}
	return nil
}

// leaveMemory does what is due when a thread stops using its memory while
// others go on: see set_tid_address(2).
func (t *Task) leaveMemory() {
	t.releaseRobust()
	if t.mem.shared() {
		t.leaveRseq()
	}
	if t.clearTID != 0 && t.mem.shared() {
		if t.copyOutUint32(t.clearTID, 0) == nil {
			t.thread.Do1(unix.SYS_FUTEX, t.clearTID, futexWake, 1)
		}
	}
	t.clearTID, t.rseq = 0, rseqArea{}
}

// takeOverLeader gives the task the process's id: a thread other than the first
// called execve. k.mu is held.
func (t *Task) takeOverLeader() {
	p := t.proc
	if p.leader == t {
		return
	}
	delete(t.k.tasks, t.tid)
	delete(p.tasks, t.tid)
	t.tid, p.leader = p.pid, t
	t.k.tasks[t.tid] = t
	p.tasks[t.tid] = t
}

// program is a program on its way into memory.
type program struct {
	dirfd int
	name  string
	flags int
	argv  []string
	envp  []string

	exe  Path
	attr vfs.Attr // of the file that is run, which a script is not
	comm string
	// What the file makes of the caller's: see setid.go.
	creds       *Creds
	personality uint32
	gains       bool // ids that the caller did not have in effect
	secure      bool // AT_SECURE
	thread      *machine.Thread
	mem         *Memory
}

// scriptHead reads the beginning of a file, for "#!".
func scriptHead(r readerAt) ([]byte, error) {
	var head [loader.ScriptHead]byte
	n, err := r.ReadAt(head[:], 0)
	if err != nil && n == 0 && !isEOF(err) {
		return nil, err
	}
	return bytes.Clone(head[:n]), nil
}
