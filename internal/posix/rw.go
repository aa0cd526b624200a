package posix

import (
	"context"
	"errors"
	"math"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
)

// chunk is how many bytes a transfer moves at once; chunkDatagram is more than
// the largest message of a socket, which must not be taken apart.
const (
	chunk         = 256 << 10
	chunkDatagram = 1 << 20
)

var noDeadline time.Time

// rwFlags of preadv2(2) and pwritev2(2).
const (
	rwHipri    = 0x1
	rwDsync    = 0x2
	rwSync     = 0x4
	rwNowait   = 0x8
	rwAppend   = 0x10
	rwNoappend = 0x20
)

// transfer is a read or a write under way.
type transfer struct {
	d      *Description
	mem    userVec
	off    int64
	flags  int  // RWF_
	at     bool // off is the caller's: the description's does not count
	append bool
	lent   *lentFile // has the offset
	moved  bool      // some of it has been moved
	goesOn bool      // handled signals do not end it
}

// context is that of what the transfer asks for.
func (x *transfer) context(t *Task) context.Context {
	if x.goesOn {
		return lasting{t.context()}
	}
	return t.context()
}

// interrupted reports whether a part was not begun because of a signal, and is to be begun
// all the same: where nothing has to be waited for, signals make no transfer shorter.
func (x *transfer) interrupted(err error) bool {
	if !x.moved || x.goesOn || !errors.Is(err, vfs.ErrNotBegun) {
		return false
	}
	x.goesOn = true
	return true
}

func sysRead(t *Task, a *Args) (uint64, error) {
	return t.readFD(a.Int(0), &transfer{mem: t.oneVec(a[1], a[2])})
}

func sysWrite(t *Task, a *Args) (uint64, error) {
	return t.writeFD(a.Int(0), &transfer{mem: t.oneVec(a[1], a[2])})
}

func sysPread(t *Task, a *Args) (uint64, error) {
	if int64(a[3]) < 0 {
		return 0, syscall.EINVAL
	}
	return t.readFD(a.Int(0), &transfer{mem: t.oneVec(a[1], a[2]), off: int64(a[3]), at: true})
}

func sysPwrite(t *Task, a *Args) (uint64, error) {
	if int64(a[3]) < 0 {
		return 0, syscall.EINVAL
	}
	return t.writeFD(a.Int(0), &transfer{mem: t.oneVec(a[1], a[2]), off: int64(a[3]), at: true})
}

// check refuses a transfer whose end has no offset.
func (x *transfer) check() error {
	if x.off > math.MaxInt64-int64(x.mem.left) {
		return syscall.EINVAL
	}
	return nil
}

// readFD is any of the read calls.
func (t *Task) readFD(fd int, x *transfer) (uint64, error) {
	d, err := t.fds.get(fd)
	if err != nil {
		return 0, err
	}
	defer d.release()
	x.d = d
	switch {
	case x.at && d.stream:
		return 0, syscall.ESPIPE
	case !d.canRead():
		return 0, syscall.EBADF
	case d.reader == nil && d.keeper == nil:
		_, err := vfs.Read(t.context(), d.file, nil, 0)
		return 0, err
	case x.mem.left == 0 && d.poll == nil:
		return 0, nil
	case x.flags&rwNowait != 0 && d.poll == nil:
		return 0, syscall.EOPNOTSUPP
	}
	var n int
	if d.sock != nil || d.net != nil {
		n, err = t.socketRead(d, x)
	} else if x.at || d.stream || d.keeper != nil {
		if err := x.check(); err != nil {
			return 0, err
		}
		n, err = t.read(x)
	} else {
		if err := t.lockOffset(x); err != nil {
			return 0, err
		}
		if err = x.check(); err == nil {
			n, err = t.read(x)
			d.off = x.off
		}
		d.offset.unlock()
	}
	if n > 0 {
		if !d.stream {
			t.accessed(d.path)
		}
		t.used(fd, d)
		return uint64(n), nil
	}
	return 0, err
}

// read moves bytes from the file to the guest, and x.off with them. With n > 0
// an error is not the call's result.
func (t *Task) read(x *transfer) (n int, err error) {
	d := x.d
	if d.tty != nil {
		return t.readTerminal(x)
	}
	size := chunk
	if d.poll != nil {
		size = chunkDatagram
	}
	for {
		buf := t.buffer(min(x.mem.left, size))
		m, err := t.readSome(x, buf)
		if err != nil {
			return n, err
		}
		done, err := x.mem.copyOut(buf[:m])
		if done < m && x.lent != nil {
			x.lent.unread(m - done)
		}
		n += done
		x.moved = n > 0
		x.off += int64(done)
		if err != nil || m < len(buf) || x.mem.left == 0 || d.poll != nil {
			return n, err
		}
	}
}

// readSome does one read, and waits until it can.
func (t *Task) readSome(x *transfer, buf []byte) (int, error) {
	d := x.d
	for {
		n, err := x.readOnce(t, buf)
		if x.interrupted(err) {
			continue
		}
		if err == nil || errnoOf(err) != syscall.EAGAIN || d.nonblocking() || x.flags&rwNowait != 0 {
			return n, err
		}
		if d.net != nil { // see socketWait
			p := d.net.patience(vfs.EventsIn | vfs.EventRdHup)
			err := t.retrySocket(d.net, vfs.EventsIn|vfs.EventRdHup, &p, func() error {
				n, err = x.readOnce(t, buf)
				return err
			})
			return n, err
		}
		if err := t.awaitReady(d, vfs.EventsIn|vfs.EventRdHup); err != nil {
			return 0, err
		}
	}
}

func (x *transfer) readOnce(t *Task, buf []byte) (int, error) {
	if k := x.d.keeper; k != nil && !x.at {
		return k.ReadNext(x.context(t), buf)
	}
	if x.lent != nil {
		return x.lent.ReadNext(x.context(t), buf)
	}
	if x.d.reader == nil {
		return 0, syscall.ESPIPE
	}
	return x.d.reader.Read(x.context(t), buf, x.off)
}
