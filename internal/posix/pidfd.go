package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/internal/servers/proc"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var pidfdCalls = calls{
	unix.SYS_PIDFD_OPEN:        {fn: sysPidfdOpen},
	unix.SYS_PIDFD_SEND_SIGNAL: {fn: sysPidfdSendSignal},
	unix.SYS_PIDFD_GETFD:       {fn: sysPidfdGetfd},
}

// pidFile is what pidfd_open(2) opens. It can be read when the process has
// ended.
type pidFile struct {
	node *anon.Node
	proc *Process
}

func newPidFile(p *Process, c *Creds) *pidFile {
	return &pidFile{anon.New(anon.DevInode, unix.S_IFREG|0o700, c.FSUID, c.FSGID), p}
}

func (f *pidFile) Node() vfs.Node { return f.node }
func (f *pidFile) Close() error   { return nil }

func (f *pidFile) Poll(mask vfs.Events) vfs.Events {
	select {
	case <-f.proc.exit.done:
		return mask & vfs.EventsIn
	default:
		return 0
	}
}

func (f *pidFile) Watch(w *vfs.Waiter)   { f.proc.exit.ends.Watch(w) }
func (f *pidFile) Unwatch(w *vfs.Waiter) { f.proc.exit.ends.Unwatch(w) }

// installPidfd opens a descriptor for p.
func (t *Task) installPidfd(p *Process, flags int) (int, error) {
	return t.installFile(newPidFile(p, t.creds.Load()), unix.O_RDWR|flags&(unix.O_NONBLOCK|unix.O_CLOEXEC), "anon_inode:[pidfd]")
}

// pidfd returns the process behind a descriptor, and whether waiting for it
// must not block.
func (t *Task) pidfd(fd int) (p *Process, nonblock bool, err error) {
	d, f, err := fileOfKind[*pidFile](t, fd, syscall.EBADF)
	if err != nil {
		return nil, false, err
	}
	defer d.release()
	return f.proc, d.nonblocking(), nil
}

// signalled is pidfd for signals, which a process's directory in /proc takes,
// too.
func (t *Task) signalled(fd int) (*Process, error) {
	d, err := t.fds.get(fd)
	if err != nil {
		return nil, err
	}
	defer d.release()
	if f, ok := d.file.(*pidFile); ok {
		return f.proc, nil
	}
	pid, ok := proc.ProcessOf(d.file.Node())
	if !ok {
		return nil, syscall.EBADF
	}
	p := t.k.process(pid)
	if p == nil {
		return nil, syscall.ESRCH
	}
	return p, nil
}

func sysPidfdOpen(t *Task, a *Args) (uint64, error) {
	pid, flags := a.Int(0), a.Int(1)
	if flags&^unix.PIDFD_NONBLOCK != 0 || pid <= 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	p := t.k.processes[pid]
	_, thread := t.k.tasks[pid]
	t.k.mu.Unlock()
	switch {
	case p == nil && thread:
		return 0, syscall.ENOENT
	case p == nil:
		return 0, syscall.ESRCH
	}
	fd, err := t.installPidfd(p, flags|unix.O_CLOEXEC)
	return uint64(fd), err
}

func sysPidfdSendSignal(t *Task, a *Args) (uint64, error) {
	if a[3] != 0 {
		return 0, syscall.EINVAL
	}
	p, err := t.signalled(a.Int(0))
	if err != nil {
		return 0, err
	}
	info := t.userInfo(a.Int(1), abi.SI_USER)
	if a[2] != 0 {
		sig := info.Signo
		if info, err = t.copyInSiginfo(a[2], int(sig)); err != nil {
			return 0, err
		}
		if (info.Code >= 0 || info.Code == abi.SI_TKILL) && p != t.proc {
			return 0, syscall.EPERM
		}
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	if t.k.processes[p.pid] != p {
		return 0, syscall.ESRCH
	}
	return 0, t.sendTo(p, nil, info)
}

func sysPidfdGetfd(t *Task, a *Args) (uint64, error) {
	if a[2] != 0 {
		return 0, syscall.EINVAL
	}
	p, _, err := t.pidfd(a.Int(0))
	if err != nil {
		return 0, err
	}
	t.k.mu.Lock()
	if p.exit.zombie || p.leader == nil || len(p.tasks) == 0 {
		t.k.mu.Unlock()
		return 0, syscall.ESRCH
	}
	if !t.mayAccess(p) {
		t.k.mu.Unlock()
		return 0, syscall.EPERM
	}
	var fds *FDTable
	for _, o := range p.tasks {
		if fds = o.fds; !o.dying() {
			break
		}
	}
	t.k.mu.Unlock()
	if fds == nil {
		return 0, syscall.ESRCH
	}
	d, err := fds.get(a.Int(1))
	if err != nil {
		return 0, err
	}
	fd, err := t.installDescription(d, true)
	return uint64(fd), err
}
