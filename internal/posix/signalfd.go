package posix

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// signalfdCalls are signalfd(2) in its two versions.
var signalfdCalls = calls{
	unix.SYS_SIGNALFD:  {fn: func(t *Task, a *Args) (uint64, error) { return t.signalfd(a, 0) }},
	unix.SYS_SIGNALFD4: {fn: func(t *Task, a *Args) (uint64, error) { return t.signalfd(a, a.Int(3)) }},
}

// signalFile is a signalfd. It has nothing of its own: who reads it gets his
// own signals, and who polls it sees those (pollable).
type signalFile struct{ mask atomic.Uint64 }

func (f *signalFile) set() abi.Sigset { return abi.Sigset(f.mask.Load()) }

// Node implements vfs.File.
func (f *signalFile) Node() vfs.Node { return anon.Inode }

// Close implements vfs.File.
func (f *signalFile) Close() error { return nil }

// IsStream implements vfs.Streamer.
func (f *signalFile) IsStream() bool { return true }

// FDInfo is for /proc.
func (f *signalFile) FDInfo() string { return fmt.Sprintf("sigmask:\t%016x\n", f.mask.Load()) }

// Read takes as many of the caller's pending signals as p has room for.
func (f *signalFile) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	if len(p) < abi.SizeSignalfdSiginfo {
		return 0, syscall.EINVAL
	}
	t := callerOf(ctx)
	if t == nil {
		return 0, syscall.EAGAIN
	}
	n := 0
	for len(p)-n >= abi.SizeSignalfdSiginfo {
		info, ok := t.takeSignal(f.set())
		if !ok {
			break
		}
		info.EncodeSignalfd(p[n:])
		n += abi.SizeSignalfdSiginfo
	}
	if n == 0 {
		return 0, syscall.EAGAIN
	}
	return n, nil
}

// Poll, Watch and Unwatch make it a vfs.Pollable; a task has a view to ask.
func (f *signalFile) Poll(vfs.Events) vfs.Events { return 0 }
func (f *signalFile) Watch(*vfs.Waiter)          {}
func (f *signalFile) Unwatch(*vfs.Waiter)        {}

// signalView is a signalfd as one task sees it.
type signalView struct {
	f *signalFile
	t *Task
}

func (v signalView) Poll(mask vfs.Events) vfs.Events {
	if v.t.pendingSignals()&v.f.set() == 0 {
		return 0
	}
	return mask & vfs.EventsIn
}

func (v signalView) Watch(w *vfs.Waiter)   { v.t.proc.signalQueue().Watch(w) }
func (v signalView) Unwatch(w *vfs.Waiter) { v.t.proc.signalQueue().Unwatch(w) }

// pollable returns what the task asks whether f is ready: nil when it always is.
func (t *Task) pollable(f vfs.File) vfs.Pollable {
	if s, ok := f.(*signalFile); ok {
		return signalView{s, t}
	}
	if p, ok := f.(vfs.Poller); ok {
		return p.Pollable()
	}
	p, _ := f.(vfs.Pollable)
	return p
}

func (t *Task) signalfd(a *Args, flags int) (uint64, error) {
	if a[2] != abi.SizeSigset {
		return 0, syscall.EINVAL
	}
	set, err := t.copyInSigset(a[1], a[2])
	if err != nil {
		return 0, err
	}
	if flags&^(unix.SFD_CLOEXEC|unix.SFD_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	set &^= unblockable
	fd := a.Int(0)
	if fd == -1 {
		f := &signalFile{}
		f.mask.Store(uint64(set))
		return t.installObject(f, unix.O_RDWR|flags, "anon_inode:[signalfd]")
	}
	d, f, err := fileOfKind[*signalFile](t, fd, syscall.EINVAL)
	if err != nil {
		return 0, err
	}
	defer d.release()
	f.mask.Store(uint64(set))
	t.proc.signalQueue().Notify(vfs.EventsIn) // perhaps there is one now
	return uint64(fd), nil
}
