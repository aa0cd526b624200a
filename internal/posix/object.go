package posix

import (
	"fmt"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Files without a name in any file system.
var objectCalls = calls{
	unix.SYS_PIPE:         {fn: func(t *Task, a *Args) (uint64, error) { return t.pipe(a[0], 0) }},
	unix.SYS_PIPE2:        {fn: func(t *Task, a *Args) (uint64, error) { return t.pipe(a[0], a.Int(1)) }},
	unix.SYS_MEMFD_CREATE: {fn: sysMemfdCreate},
	unix.SYS_SPLICE:       {fn: sysSplice, blocks: interruptible},
	unix.SYS_TEE:          {fn: sysTee, blocks: interruptible},
	unix.SYS_VMSPLICE:     {fn: sysVmsplice, blocks: interruptible},
}

// installObject gives a nameless file a descriptor.
func (t *Task) installObject(f vfs.File, flags int, name string) (uint64, error) {
	fd, err := t.installFile(f, flags, name)
	return uint64(fd), err
}

func (t *Task) pipe(at uint64, flags int) (uint64, error) {
	if flags&^(unix.O_CLOEXEC|unix.O_DIRECT|unix.O_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	c := t.creds.Load()
	r, w := pipe.NewOwned(c.FSUID, c.FSGID)
	if flags&unix.O_DIRECT != 0 {
		w.SetPacket(true)
	}
	name := fmt.Sprintf("pipe:[%d]", inoOf(r))
	rfd, err := t.installFile(r, flags|unix.O_RDONLY, name)
	if err != nil {
		w.Close()
		return 0, err
	}
	wfd, err := t.installFile(w, flags|unix.O_WRONLY, name)
	if err != nil {
		t.closeFD(rfd)
		return 0, err
	}
	if err := t.copyOutUint64(at, uint64(uint32(rfd))|uint64(wfd)<<32); err != nil {
		t.closeFD(rfd)
		t.closeFD(wfd)
		return 0, err
	}
	return 0, nil
}

func sysMemfdCreate(t *Task, a *Args) (uint64, error) {
	const known = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING | unix.MFD_NOEXEC_SEAL | unix.MFD_EXEC
	flags := a.Int(1)
	if flags&^known != 0 || flags&unix.MFD_EXEC != 0 && flags&unix.MFD_NOEXEC_SEAL != 0 {
		return 0, syscall.EINVAL
	}
	name, err := t.copyInString(a[0], 250, syscall.EINVAL)
	if err != nil {
		return 0, err
	}
	c := t.creds.Load()
	mode := uint32(0o777)
	if flags&unix.MFD_NOEXEC_SEAL != 0 {
		mode = 0o666
	}
	f := t.k.memfds.NewMemfd(vfs.MakeOptions{Mode: mode, UID: c.FSUID, GID: c.FSGID}, flags&(unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL) != 0)
	open := unix.O_RDWR
	if flags&unix.MFD_CLOEXEC != 0 {
		open |= unix.O_CLOEXEC
	}
	return t.installObject(f, open, "/memfd:"+name+" (deleted)")
}

// remember and forget keep the epoll items that watch a description: they end
// with it.
func (d *Description) remember(it *epollItem) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched == nil {
		d.watched = map[*epollItem]struct{}{}
	}
	d.watched[it] = struct{}{}
}

func (d *Description) forget(it *epollItem) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watched, it)
}

// unwatch takes the description out of all epolls.
func (d *Description) unwatch() {
	d.mu.Lock()
	items := d.watched
	d.watched = nil
	d.mu.Unlock()
	for it := range items {
		it.descriptionClosed()
	}
}

// splicePair is where splice takes and puts bytes.
type splicePair struct {
	in, out         *Description
	inPipe, outPipe *pipe.End
	inAt, outAt     uint64 // addresses of the offsets, or 0
	nonblock        bool
}

func sysSplice(t *Task, a *Args) (uint64, error) {
	if a[5]&^uint64(unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MORE|unix.SPLICE_F_GIFT) != 0 {
		return 0, syscall.EINVAL
	}
	if a[4] == 0 {
		return 0, nil
	}
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
	if !in.canRead() || !out.canWrite() {
		return 0, syscall.EBADF
	}
	s := splicePair{in: in, out: out, inAt: a[1], outAt: a[3], nonblock: a[5]&unix.SPLICE_F_NONBLOCK != 0}
	s.inPipe, _ = in.file.(*pipe.End)
	s.outPipe, _ = out.file.(*pipe.End)
	if err := t.unhost(s.inPipe, s.outPipe); err != nil {
		return 0, err
	}
	n := int(min(a[4], 1<<30))
	switch {
	case s.inPipe != nil && a[1] != 0, s.outPipe != nil && a[3] != 0:
		return 0, syscall.ESPIPE
	case s.inPipe != nil && s.outPipe != nil:
		return t.pipeToPipe(&s, n, pipe.Splice)
	case s.inPipe != nil && isMessenger(out):
		return t.messageFromPipe(&s, n)
	case s.outPipe != nil && isMessenger(in):
		return t.messageToPipe(&s, n)
	case s.inPipe != nil:
		return t.pipeToFile(&s, n)
	case s.outPipe != nil:
		return t.fileToPipe(&s, n)
	}
	return 0, syscall.EINVAL
}

func sysTee(t *Task, a *Args) (uint64, error) {
	if a[3]&^uint64(unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MORE|unix.SPLICE_F_GIFT) != 0 {
		return 0, syscall.EINVAL
	}
	if a[2] == 0 {
		return 0, nil
	}
	in, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer in.release()
	out, err := t.fds.get(a.Int(1))
	if err != nil {
		return 0, err
	}
	defer out.release()
	if !in.canRead() || !out.canWrite() {
		return 0, syscall.EBADF
	}
	s := splicePair{in: in, out: out, nonblock: a[3]&unix.SPLICE_F_NONBLOCK != 0}
	s.inPipe, _ = in.file.(*pipe.End)
	s.outPipe, _ = out.file.(*pipe.End)
	if s.inPipe == nil || s.outPipe == nil {
		return 0, syscall.EINVAL
	}
	if err := t.unhost(s.inPipe, s.outPipe); err != nil {
		return 0, err
	}
	return t.pipeToPipe(&s, int(min(a[2], 1<<30)), pipe.Tee)
}

// pipeToPipe waits for bytes on one side and room on the other.
func (t *Task) pipeToPipe(s *splicePair, n int, move func(w, r *pipe.End, n int) (int, error)) (uint64, error) {
	if s.inPipe.Node() == s.outPipe.Node() {
		return 0, syscall.EINVAL
	}
	for {
		m, err := move(s.outPipe, s.inPipe, n)
		if m > 0 || err != syscall.EAGAIN {
			return uint64(m), t.brokenPipe(err)
		}
		if s.nonblock || s.in.nonblocking() || s.out.nonblocking() {
			return 0, err
		}
		if s.inPipe.Poll(vfs.EventsIn) == 0 {
			err = t.await(s.inPipe, vfs.EventsIn, noDeadline)
		} else {
			err = t.await(s.outPipe, vfs.EventsOut, noDeadline)
		}
		if err != nil {
			return 0, err
		}
	}
}

// brokenPipe raises SIGPIPE for an EPIPE.
func (t *Task) brokenPipe(err error) error {
	if err == syscall.EPIPE {
		t.signal(abi.KillInfo(syscall.SIGPIPE, abi.SI_USER, int32(t.proc.pid), t.creds.Load().UID))
	}
	return err
}

// spliceOffset reads where to begin in a file, and returns how to say where it
// ended.
func (t *Task) spliceOffset(d *Description, at uint64) (off int64, done func(int64) error, err error) {
	if at == 0 {
		if d.stream || d.keeper != nil {
			return -1, func(int64) error { return nil }, nil
		}
		x := transfer{d: d}
		if err := t.lockOwnOffset(&x); err != nil {
			return 0, nil, err
		}
		return x.off, func(end int64) error { d.off = end; d.offset.unlock(); return nil }, nil
	}
	if d.stream {
		return 0, nil, syscall.ESPIPE
	}
	v, err := t.copyInUint64(at)
	if err != nil {
		return 0, nil, err
	}
	if int64(v) < 0 {
		return 0, nil, syscall.EINVAL
	}
	return int64(v), func(end int64) error { return t.copyOutUint64(at, uint64(end)) }, nil
}

func (t *Task) pipeToFile(s *splicePair, n int) (uint64, error) {
	if s.out.flags.Load()&unix.O_APPEND != 0 {
		return 0, syscall.EINVAL
	}
	off, done, err := t.spliceOffset(s.out, s.outAt)
	if err != nil {
		return 0, err
	}
	moved, err := 0, error(nil)
	var a socketWait
	defer a.end()
	for {
		moved, err = s.inPipe.Drain(n, func(p []byte) (int, error) {
			m, err := t.writeOut(s.out, p, off)
			if off >= 0 {
				off += int64(m)
			}
			return m, err
		})
		if moved > 0 || err != syscall.EAGAIN || s.nonblock {
			break
		}
		if s.inPipe.Poll(vfs.EventsIn) == 0 {
			err = t.await(s.inPipe, vfs.EventsIn, noDeadline)
		} else if s.out.nonblocking() {
			break
		} else {
			err = a.wait(t, s.out, vfs.EventsOut)
		}
		if err != nil {
			break
		}
	}
	if e := done(off); err == nil {
		err = e
	}
	return uint64(moved), t.brokenPipe(err)
}

// writeOut writes to a file at an offset, or at the one it keeps itself.
func (t *Task) writeOut(d *Description, p []byte, off int64) (int, error) {
	if d.keeper != nil && off < 0 {
		return d.keeper.WriteNext(t.context(), p)
	}
	return vfs.Write(t.context(), d.file, p, max(off, 0))
}

func (t *Task) fileToPipe(s *splicePair, n int) (uint64, error) {
	off, done, err := t.spliceOffset(s.in, s.inAt)
	if err != nil {
		return 0, err
	}
	moved, err := 0, error(nil)
	var a socketWait
	defer a.end()
	for {
		moved, err = s.outPipe.Fill(n, func(p []byte) (int, error) {
			var m int
			var err error
			if s.in.keeper != nil && off < 0 {
				m, err = s.in.keeper.ReadNext(t.context(), p)
			} else {
				m, err = vfs.Read(t.context(), s.in.file, p, max(off, 0))
			}
			if off >= 0 {
				off += int64(m)
			}
			return m, err
		})
		if moved > 0 || err != syscall.EAGAIN || s.nonblock {
			break
		}
		if s.outPipe.Poll(vfs.EventsOut) == 0 {
			err = t.await(s.outPipe, vfs.EventsOut, noDeadline)
		} else if s.in.nonblocking() {
			break
		} else {
			err = a.wait(t, s.in, vfs.EventsIn)
		}
		if err != nil {
			break
		}
	}
	if e := done(off); err == nil {
		err = e
	}
	return uint64(moved), t.brokenPipe(err)
}

// sysVmsplice moves memory into a pipe, or out of one, by copying: what a
// program gives away it may not change, so it cannot tell.
func sysVmsplice(t *Task, a *Args) (uint64, error) {
	if a[3]&^uint64(unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MORE|unix.SPLICE_F_GIFT) != 0 {
		return 0, syscall.EINVAL
	}
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	end, ok := d.file.(*pipe.End)
	write := d.canWrite()
	d.release()
	if !ok || end == nil {
		if mem, err := t.copyInVec(a[1], a[2]); err != nil || mem.left == 0 {
			return 0, err
		}
		return 0, syscall.EBADF
	}
	args := Args{a[0], a[1], a[2]}
	if write {
		return sysWritev(t, &args)
	}
	return sysReadv(t, &args)
}
