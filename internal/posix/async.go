package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

const fGetOwnerUIDs = abi.F_GETOWNER_UIDS

// Kinds of owners, as F_SETOWN_EX has them.
const (
	ownerTID = iota
	ownerPID
	ownerPGRP
)

// fcntlOwner is what fcntl(2) has for signals about a file.
func (t *Task) fcntlOwner(d *Description, cmd int, arg uint64) (uint64, error) {
	switch cmd {
	case unix.F_SETOWN:
		kind, id := ownerPID, int(int32(arg))
		if id < 0 {
			if id == -1<<31 {
				return 0, syscall.EINVAL
			}
			kind, id = ownerPGRP, -id
		}
		return 0, t.setOwner(d, kind, id)
	case unix.F_SETOWN_EX:
		var b [8]byte
		if err := t.copyIn(arg, b[:]); err != nil {
			return 0, err
		}
		kind := int(binary.LittleEndian.Uint32(b[:]))
		if kind > ownerPGRP {
			return 0, syscall.EINVAL
		}
		return 0, t.setOwner(d, kind, int(int32(binary.LittleEndian.Uint32(b[4:]))))
	case unix.F_SETSIG:
		if arg > abi.NumSignals {
			return 0, syscall.EINVAL
		}
		d.mu.Lock()
		d.owner.signal = int(arg)
		d.mu.Unlock()
		return 0, nil
	}
	d.mu.Lock()
	o := d.owner
	d.mu.Unlock()
	switch cmd {
	case unix.F_GETOWN:
		if o.kind == ownerPGRP {
			return uint64(-int64(o.id)), nil
		}
		return uint64(o.id), nil
	case unix.F_GETOWN_EX:
		var b [8]byte
		binary.LittleEndian.PutUint32(b[:], uint32(o.kind))
		binary.LittleEndian.PutUint32(b[4:], uint32(o.id))
		return 0, t.copyOut(arg, b[:])
	case fGetOwnerUIDs:
		var b [8]byte
		if o.creds != nil {
			binary.LittleEndian.PutUint32(b[:], o.creds.UID)
			binary.LittleEndian.PutUint32(b[4:], o.creds.EUID)
		}
		return 0, t.copyOut(arg, b[:])
	}
	return uint64(o.signal), nil // F_GETSIG
}

func (t *Task) setOwner(d *Description, kind, id int) error {
	t.k.mu.Lock()
	found := id == 0
	switch kind {
	case ownerTID:
		found = found || t.k.tasks[id] != nil
	case ownerPID:
		found = found || t.k.processes[id] != nil
	case ownerPGRP:
		found = found || t.k.groups[id] != nil
	}
	t.k.mu.Unlock()
	if !found {
		return syscall.ESRCH
	}
	d.mu.Lock()
	d.owner.kind, d.owner.id, d.owner.creds = kind, id, t.creds.Load()
	d.mu.Unlock()
	t.setUrgent(d, id != 0)
	return nil
}

// setAsync is O_ASYNC of F_SETFL: from now on the owner gets a signal when the
// file becomes ready. A file that is always ready does not change.
func (t *Task) setAsync(d *Description, fd int, on bool) {
	if d.poll == nil {
		return
	}
	if !on {
		d.endAsync()
		return
	}
	k := t.k
	// The waiter runs with the server's locks: the signal is sent elsewhere.
	w := &vfs.Waiter{Mask: vfs.EventsIn | vfs.EventsOut | vfs.EventPri, Wake: func(_ *vfs.Waiter, e vfs.Events) {
		k.alive.Go(func() { k.signalOwner(d, fd, e) })
	}}
	d.setFlags(unix.O_ASYNC, unix.O_ASYNC)
	d.watchFor(&d.owner.waiter, w)
}

// endAsync ends O_ASYNC.
func (d *Description) endAsync() {
	if d.unwatchFor(&d.owner.waiter) {
		d.setFlags(unix.O_ASYNC, 0)
	}
}

// watchFor has the owner's waiter at, unless there is one, be w and hear of the file.
func (d *Description) watchFor(at **vfs.Waiter, w *vfs.Waiter) {
	d.mu.Lock()
	free := *at == nil
	if free {
		*at = w
	}
	d.mu.Unlock()
	if free {
		d.poll.Watch(w)
	}
}

// unwatchFor ends that, and reports whether there was one.
func (d *Description) unwatchFor(at **vfs.Waiter) bool {
	d.mu.Lock()
	w := *at
	*at = nil
	d.mu.Unlock()
	if w != nil {
		d.poll.Unwatch(w)
	}
	return w != nil
}

// bandOf says what a siginfo tells of events: its code, and the events that stand for
// that code (fs/fcntl.c has them in a table: they are not those that came).
func bandOf(e vfs.Events) (code int32, band vfs.Events) {
	switch {
	case e&vfs.EventsIn != 0:
		return abi.POLL_IN, unix.EPOLLIN | unix.EPOLLRDNORM
	case e&vfs.EventPri != 0:
		return abi.POLL_PRI, unix.EPOLLPRI | unix.EPOLLRDBAND
	}
	return abi.POLL_OUT, unix.EPOLLOUT | unix.EPOLLWRNORM | unix.EPOLLWRBAND
}

// signalOwner sends the signal that F_SETSIG has chosen.
func (k *Kernel) signalOwner(d *Description, fd int, e vfs.Events) {
	d.mu.Lock()
	signal := d.owner.signal
	d.mu.Unlock()
	info := abi.KillInfo(syscall.SIGIO, abi.SI_KERNEL, 0, 0)
	if signal != 0 {
		code, band := bandOf(e)
		info = abi.PollInfo(syscall.Signal(signal), code, int64(band), int32(fd))
	}
	k.tellOwner(d, info)
}

// tellOwner sends a signal to the owner of d, if there is one.
func (k *Kernel) tellOwner(d *Description, info abi.Siginfo) {
	d.mu.Lock()
	o := d.owner
	d.mu.Unlock()
	if o.id == 0 {
		return
	}
	s := queuedSignal{info: info}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch o.kind {
	case ownerTID:
		if t := k.tasks[o.id]; t != nil {
			_ = t.proc.send(t, s)
		}
	case ownerPID:
		if p := k.processes[o.id]; p != nil {
			_ = p.send(nil, s)
		}
	case ownerPGRP:
		if g := k.groups[o.id]; g != nil {
			g.signal(s)
		}
	}
}
