package posix

import (
	"math"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func sysSendfile(t *Task, a *Args) (uint64, error) {
	in, err := t.fds.get(a.Int(1))
	if err != nil {
		return 0, err
	}
	defer in.release()
	out, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer out.release()
	end, _ := out.file.(*pipe.End)
	switch {
	case !in.canRead() || !out.canWrite():
		return 0, syscall.EBADF
	case in.stream && a[2] != 0:
		return 0, syscall.ESPIPE
	case end != nil && (in.sock != nil || in.net != nil) && int64(a[3]) > 0:
		// Into a pipe it is splice(2), which takes more kinds of files.
		if err := t.unhost(nil, end); err != nil {
			return 0, err
		}
		return t.fileToPipe(&splicePair{in: in, out: out, outPipe: end}, int(min(a[3], 1<<30)))
	case in.reader == nil || in.stream || in.keeper != nil && a[2] != 0,
		out.writer == nil && out.keeper == nil, out.flags.Load()&unix.O_APPEND != 0:
		return 0, syscall.EINVAL
	case int64(a[3]) < 0:
		return 0, syscall.EINVAL
	}
	c := rangeCopy{in: transfer{d: in}, out: transfer{d: out}, left: int64(min(a[3], abi.MaxRW))}
	return t.copyOffsets(&c, a[2], 0, t.copyBytes)
}

func sysCopyFileRange(t *Task, a *Args) (uint64, error) {
	in, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer in.release()
	out, err := t.fds.get(a.Int(2))
	if err != nil {
		return 0, err
	}
	defer out.release()
	if a.Int(5) != 0 {
		return 0, syscall.EINVAL
	}
	if !in.canRead() || !out.canWrite() || out.flags.Load()&unix.O_APPEND != 0 {
		return 0, syscall.EBADF
	}
	for _, d := range []*Description{in, out} {
		attr, err := d.file.Node().Stat(t.context())
		switch {
		case err != nil:
			return 0, err
		case attr.IsDir():
			return 0, syscall.EISDIR
		case !attr.IsRegular():
			return 0, syscall.EINVAL
		}
	}
	c := rangeCopy{in: transfer{d: in}, out: transfer{d: out}, left: int64(min(a[4], abi.MaxRW))}
	return t.copyOffsets(&c, a[1], a[3], t.copyRange)
}

// rangeCopy is a copy from one file to another.
type rangeCopy struct {
	in, out transfer
	left    int64
}

// copyOffsets finds the offsets at which a copy begins, in the guest's memory
// if an address is given and else the description's own, and puts them where
// they belong when it is done.
func (t *Task) copyOffsets(c *rangeCopy, inAt, outAt uint64, f func(*rangeCopy) (int64, error)) (uint64, error) {
	sides := []struct {
		x  *transfer
		at uint64
	}{{&c.in, inAt}, {&c.out, outAt}}
	if c.in.d.id > c.out.d.id { // always in the same order
		sides[0], sides[1] = sides[1], sides[0]
	}
	for i, s := range sides {
		switch d := s.x.d; {
		case s.at != 0:
			off, err := t.copyInUint64(s.at)
			if err != nil {
				return 0, err
			}
			if int64(off) < 0 {
				return 0, syscall.EINVAL
			}
			s.x.off, s.x.at = int64(off), true
		case d.stream || d.keeper != nil:
		case i == 1 && d == sides[0].x.d && sides[0].at == 0:
			s.x.off = d.off // locked already
		default:
			if err := t.lockOwnOffset(s.x); err != nil {
				return 0, err
			}
			defer d.offset.unlock()
		}
	}
	n, err := f(c)
	if n == 0 {
		return 0, err
	}
	for _, s := range sides {
		switch d := s.x.d; {
		case s.at != 0:
			if err := t.copyOutUint64(s.at, uint64(s.x.off)); err != nil {
				return 0, err
			}
		case d.stream || d.keeper != nil:
		default:
			d.off = s.x.off
		}
	}
	if !c.out.d.stream {
		t.modified(c.out.d.path)
	}
	return uint64(n), nil
}

// copyRange lets the server copy if it can.
func (t *Task) copyRange(c *rangeCopy) (int64, error) {
	if c.in.d.file.Node() == c.out.d.file.Node() && c.in.off < c.out.off+c.left && c.out.off < c.in.off+c.left {
		return 0, syscall.EINVAL
	}
	if c.in.off > math.MaxInt64-c.left || c.out.off > math.MaxInt64-c.left {
		return 0, syscall.EOVERFLOW
	}
	if c.left == 0 {
		return 0, nil
	}
	if rc, ok := c.in.d.file.(vfs.RangeCopier); ok {
		v := userVec{left: int(c.left)}
		if err := t.limitSize(&v, c.out.off, t.proc.limit(unix.RLIMIT_FSIZE)); err != nil {
			return 0, err
		}
		n, err := rc.CopyRange(t.context(), c.in.off, c.out.d.file, c.out.off, int64(v.left))
		if e := errnoOf(err); e != syscall.EXDEV && e != syscall.EOPNOTSUPP {
			c.in.off += n
			c.out.off += n
			return n, err
		}
	}
	return t.copyBytes(c)
}

// copyBytes copies through the POSIX server. What was read and could not be
// written counts as not read.
func (t *Task) copyBytes(c *rangeCopy) (n int64, err error) {
	out := c.out.d
	if out.poll == nil && c.left > 0 {
		v := &c.out.mem
		v.left = int(c.left)
		if err := t.prepareWrite(&c.out); err != nil {
			return 0, err
		}
		c.left = int64(v.left)
	}
	for c.left > 0 {
		buf := t.buffer(int(min(c.left, chunk)))
		m, err := t.readSome(&c.in, buf)
		if err != nil || m == 0 {
			return n, err
		}
		for buf = buf[:m]; len(buf) > 0; {
			done, err := t.writeSome(&c.out, buf)
			n += int64(done)
			c.in.off += int64(done)
			c.left -= int64(done)
			if err != nil {
				if errnoOf(err) == syscall.EPIPE && out.stream {
					t.signal(abi.KillInfo(syscall.SIGPIPE, 0, int32(t.proc.pid), t.creds.Load().UID))
				}
				return n, err
			}
			if done == 0 {
				return n, nil
			}
			buf = buf[done:]
		}
	}
	return n, nil
}
