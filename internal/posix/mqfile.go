package posix

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// mqFile is an open message queue. As a file it can be polled, and read for its
// state.
type mqFile struct {
	q     *mqueue
	table *mqTable
}

// Node implements vfs.File.
func (f *mqFile) Node() vfs.Node { return f.q.node }

// Close implements vfs.File.
func (f *mqFile) Close() error { return nil }

// Flush ends the notification of a process that closes the queue.
func (f *mqFile) Flush(ctx context.Context) error {
	if t := callerOf(ctx); t != nil {
		f.table.mu.Lock()
		defer f.table.mu.Unlock()
		if n := f.q.notify; n != nil && n.p == t.proc {
			f.q.notify = nil
		}
	}
	return nil
}

// Read gives the line that mq_overview(7) describes.
func (f *mqFile) Read(_ context.Context, p []byte, off int64) (int, error) {
	f.table.mu.Lock()
	defer f.table.mu.Unlock()
	size := 0
	for _, m := range f.q.messages {
		size += len(m.text)
	}
	var notify, signo int32
	pid := 0
	if n := f.q.notify; n != nil {
		notify, pid = n.event.Notify, n.p.pid
		if notify == abi.SIGEV_SIGNAL {
			signo = n.event.Signo
		}
	}
	line := fmt.Sprintf("QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", size, notify, signo, pid)
	if off >= int64(len(line)) {
		return 0, nil
	}
	return copy(p, line[off:]), nil
}

// Poll, Watch and Unwatch implement vfs.Pollable.
func (f *mqFile) Poll(mask vfs.Events) vfs.Events {
	f.table.mu.Lock()
	defer f.table.mu.Unlock()
	var e vfs.Events
	if len(f.q.messages) > 0 {
		e |= vfs.EventsIn
	}
	if len(f.q.messages) < f.q.max {
		e |= vfs.EventsOut
	}
	return e & mask
}

func (f *mqFile) Watch(w *vfs.Waiter)   { f.q.watchers.Watch(w) }
func (f *mqFile) Unwatch(w *vfs.Waiter) { f.q.watchers.Unwatch(w) }

func sysMqNotify(t *Task, a *Args) (uint64, error) {
	var e abi.Sigevent
	if a[1] != 0 {
		var b [abi.SizeSigevent]byte
		if err := t.copyIn(a[1], b[:]); err != nil {
			return 0, err
		}
		e.Decode(b[:])
		switch {
		case e.Notify == abi.SIGEV_THREAD:
			// glibc's form of it goes through a netlink socket.
			t.k.miss(t, "mq_notify with SIGEV_THREAD")
			return 0, syscall.ENOSYS
		case e.Notify != abi.SIGEV_NONE && e.Notify != abi.SIGEV_SIGNAL,
			e.Notify == abi.SIGEV_SIGNAL && !validSignal(int(e.Signo)):
			return 0, syscall.EINVAL
		}
	}
	d, q, err := t.mqOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	mu := &t.k.mq.mu
	mu.Lock()
	defer mu.Unlock()
	switch {
	case a[1] == 0:
		if q.notify != nil && q.notify.p == t.proc {
			q.notify = nil
		}
	case q.notify != nil:
		return 0, syscall.EBUSY
	default:
		q.notify = &mqNotify{t.proc, e}
	}
	return 0, nil
}

func sysMqGetsetattr(t *Task, a *Args) (uint64, error) {
	var b [sizeMqAttr]byte
	var flags uint64
	if a[1] != 0 {
		if err := t.copyIn(a[1], b[:]); err != nil {
			return 0, err
		}
		if flags = binary.LittleEndian.Uint64(b[:]); flags&^unix.O_NONBLOCK != 0 {
			return 0, syscall.EINVAL
		}
	}
	d, q, err := t.mqOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	t.k.mq.mu.Lock()
	clear(b[:])
	for i, v := range []int{int(d.flags.Load()) & unix.O_NONBLOCK, q.max, q.size, len(q.messages)} {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
	}
	t.k.mq.mu.Unlock()
	if a[1] != 0 {
		d.setFlags(unix.O_NONBLOCK, uint32(flags))
	}
	if a[2] == 0 {
		return 0, nil
	}
	return 0, t.copyOut(a[2], b[:])
}
