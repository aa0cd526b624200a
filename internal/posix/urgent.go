package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What sockets tell their owners: SIGURG, when urgent data come (socket(7)), which
// needs no O_ASYNC; and the older names of F_SETOWN.

// setUrgent begins, or ends, to tell a network socket's owner of urgent data.
func (t *Task) setUrgent(d *Description, on bool) {
	if d.net == nil {
		return
	}
	if !on {
		d.unwatchFor(&d.owner.urgent)
		return
	}
	k := t.k
	w := &vfs.Waiter{Mask: vfs.EventPri, Wake: func(_ *vfs.Waiter, e vfs.Events) {
		if e&vfs.EventPri != 0 { // the waiter runs with the server's locks
			k.alive.Go(func() { k.tellOwner(d, abi.KillInfo(syscall.SIGURG, abi.SI_KERNEL, 0, 0)) })
		}
	}}
	d.watchFor(&d.owner.urgent, w)
}

// ownerIoctl has F_SETOWN and F_GETOWN for sockets; ok says that cmd is one of them.
func (t *Task) ownerIoctl(d *Description, cmd uint32, arg uint64) (ok bool, err error) {
	switch cmd {
	case abi.FIOSETOWN, unix.SIOCSPGRP:
		id, err := t.copyInUint32(arg)
		if err != nil {
			return true, err
		}
		_, err = t.fcntlOwner(d, unix.F_SETOWN, uint64(int64(int32(id))))
		return true, err
	case abi.FIOGETOWN, unix.SIOCGPGRP:
		id, err := t.fcntlOwner(d, unix.F_GETOWN, 0)
		if err != nil {
			return true, err
		}
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		return true, t.copyOut(arg, b[:])
	}
	return false, nil
}

// atMark reports whether urgent data are the next that a stream would receive: what
// comes before them is not received together with what comes after.
func (t *Task) atMark(s *netSocket) bool {
	if s.Poll(vfs.EventPri)&vfs.EventPri == 0 {
		return false
	}
	var mark wordArg
	_, err := s.Ioctl(t.context(), unix.SIOCATMARK, &mark)
	return err == nil && mark != wordArg{}
}

// wordArg is an int of an ioctl that the guest did not make.
type wordArg [4]byte

func (*wordArg) Value() uint64 { return 0 }

func (a *wordArg) ReadAt(p []byte, off int) error {
	copy(p, a[min(off, len(a)):])
	return nil
}

func (a *wordArg) WriteAt(p []byte, off int) error {
	copy(a[min(off, len(a)):], p)
	return nil
}
