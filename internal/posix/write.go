package posix

import (
	"math"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// writeFD is any of the write calls.
func (t *Task) writeFD(fd int, x *transfer) (uint64, error) {
	d, err := t.fds.get(fd)
	if err != nil {
		return 0, err
	}
	defer d.release()
	x.d = d
	switch {
	case x.at && d.stream:
		return 0, syscall.ESPIPE
	case !d.canWrite():
		return 0, syscall.EBADF
	case d.writer == nil && d.keeper == nil:
		return 0, syscall.EINVAL
	case x.mem.left == 0 && d.poll == nil:
		return 0, nil
	case x.flags&rwNowait != 0 && d.poll == nil:
		return 0, syscall.EOPNOTSUPP
	}
	x.append = d.flags.Load()&unix.O_APPEND != 0 && x.flags&rwNoappend == 0 || x.flags&rwAppend != 0
	var n int
	if d.sock != nil || d.net != nil {
		n, err = t.socketWrite(d, x)
	} else if x.at || d.stream || d.keeper != nil {
		if err := x.check(); err != nil {
			return 0, err
		}
		n, err = t.write(x)
	} else {
		if x.flags&(rwAppend|rwNoappend) != 0 {
			err = t.lockOwnOffset(x)
		} else {
			err = t.lockOffset(x)
		}
		if err != nil {
			return 0, err
		}
		if err = x.check(); err == nil {
			if n, err = t.write(x); n > 0 {
				d.off = x.off
			}
		}
		d.offset.unlock()
	}
	if n > 0 {
		if sync := x.flags&(rwSync|rwDsync) != 0; sync {
			if s, ok := d.file.(vfs.Syncer); ok {
				if err := s.Sync(t.context(), x.flags&rwSync == 0); err != nil {
					return 0, err
				}
			}
		}
		if !d.stream {
			t.modified(d.path)
		}
		t.used(fd, d)
		return uint64(n), nil
	}
	return 0, err
}

// write moves bytes from the guest to the file, and x.off with them. With n > 0
// an error is not the call's result.
func (t *Task) write(x *transfer) (n int, err error) {
	d := x.d
	if d.tty != nil && d.tty.Line().StopsOutput() {
		if err := t.foreground(d, syscall.SIGTTOU); err != nil {
			return 0, err
		}
	}
	size := chunk
	if d.poll != nil {
		size = chunkDatagram
	} else if err := t.prepareWrite(x); err != nil {
		return 0, err
	}
	for {
		buf := t.buffer(min(x.mem.left, size))
		m, fault := x.mem.copyIn(buf)
		if fault != nil && (m == 0 || d.poll != nil) {
			return n, fault
		}
		buf = buf[:m]
		for {
			done, err := t.writeSome(x, buf)
			n += done
			x.moved = n > 0
			if err != nil {
				if errnoOf(err) == syscall.EPIPE && d.stream && !isMessenger(d) {
					t.signal(abi.KillInfo(syscall.SIGPIPE, 0, int32(t.proc.pid), t.creds.Load().UID))
				}
				return n, err
			}
			buf = buf[done:]
			if len(buf) == 0 {
				break
			}
			if done == 0 || d.poll == nil {
				return n, nil
			}
		}
		if fault != nil || x.mem.left == 0 {
			return n, fault
		}
	}
}

// writeSome does one write, and waits until it can.
func (t *Task) writeSome(x *transfer, buf []byte) (int, error) {
	d := x.d
	for {
		n, err := x.writeOnce(t, buf)
		if x.interrupted(err) {
			continue
		}
		if err == nil || errnoOf(err) != syscall.EAGAIN || d.nonblocking() || x.flags&rwNowait != 0 {
			return n, err
		}
		if d.net != nil { // see socketWait
			p := d.net.patience(vfs.EventsOut)
			err := t.retrySocket(d.net, vfs.EventsOut, &p, func() error {
				n, err = x.writeOnce(t, buf)
				return err
			})
			return n, err
		}
		if err := t.awaitReady(d, vfs.EventsOut); err != nil {
			return 0, err
		}
	}
}

func (x *transfer) writeOnce(t *Task, buf []byte) (int, error) {
	d := x.d
	if d.keeper != nil && !x.at {
		return d.keeper.WriteNext(x.context(t), buf)
	}
	if x.lent != nil {
		return x.lent.WriteNext(x.context(t), buf)
	}
	if d.writer == nil {
		return 0, syscall.ESPIPE
	}
	if x.append && !d.stream {
		if d.appender != nil {
			n, end, err := d.appender.Append(x.context(t), buf)
			if n > 0 {
				x.off = end
			}
			return n, err
		}
		a, err := d.file.Node().Stat(t.context())
		if err != nil {
			return 0, err
		}
		x.off = a.Size
	}
	n, err := d.writer.Write(x.context(t), buf, x.off)
	if n > 0 {
		x.off += int64(n)
	}
	return n, err
}

// prepareWrite applies the file size limit to a write, and takes away set-id
// bits that it must not leave.
func (t *Task) prepareWrite(x *transfer) error {
	d := x.d
	if !d.tidied.Load() {
		if err := t.dropSetID(d); err != nil {
			return err
		}
		d.tidied.Store(true)
	}
	limit := t.proc.limit(unix.RLIMIT_FSIZE)
	off := x.off
	if limit < math.MaxInt64 && x.append || d.keeper != nil && limit < math.MaxInt64 {
		a, err := d.file.Node().Stat(t.context())
		if err != nil {
			return err
		}
		if !a.IsRegular() {
			return nil
		}
		if off = a.Size; !x.append {
			if off, err = d.keeper.Lseek(t.context(), 0, unix.SEEK_CUR); err != nil {
				return err
			}
		}
	}
	return t.limitSize(&x.mem, off, limit)
}

// limitSize cuts a write at off down to the limit on file sizes; beyond that it
// is SIGXFSZ and EFBIG.
func (t *Task) limitSize(v *userVec, off int64, limit uint64) error {
	most := int64(min(limit, math.MaxInt64))
	if off >= most {
		if most < math.MaxInt64 {
			t.signal(abi.KillInfo(syscall.SIGXFSZ, 0, int32(t.proc.pid), t.creds.Load().UID))
		}
		return syscall.EFBIG
	}
	if most-off < int64(v.left) {
		v.left = int(most - off)
	}
	return nil
}
