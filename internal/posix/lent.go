package posix

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/cancel"
	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// lentFile is the host file behind a description, whose offset and status flags
// are the host file's from then on, since processes use it without asking
// (grant.go). It ends with the description, or when its server calls it back.
type lentFile struct {
	loan     vfs.Loan
	recalled atomic.Bool

	mu     sync.Mutex // a leaf; guards the rest
	spaces map[*machine.Space]struct{}
}

// usedBy notes a process that has the file. It forgets those that are gone, now and
// then: a log may be written by many, one after the other.
func (l *lentFile) usedBy(s *machine.Space) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spaces == nil {
		l.spaces = map[*machine.Space]struct{}{}
	}
	if len(l.spaces)%64 == 63 {
		maps.DeleteFunc(l.spaces, func(s *machine.Space, _ struct{}) bool {
			_, gone := s.Ended()
			return gone
		})
	}
	l.spaces[s] = struct{}{}
}

// users are the processes that have, or had, the file.
func (l *lentFile) users() []*machine.Space {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.spaces))
}

// borrow returns the host file behind d, asking the server for it if nobody has;
// nil if it lends none, or has called it back.
func (t *Task) borrow(d *Description) *lentFile {
	if l := d.lent.Load(); l != nil {
		if l.recalled.Load() {
			return nil
		}
		return l
	}
	if d.offset.lock(t) != nil {
		return nil
	}
	defer d.offset.unlock()
	if l := d.lent.Load(); l != nil {
		return l
	}
	l := &lentFile{}
	k := t.k
	loan, err := d.lender.Lend(t.context(), true, func() {
		l.recalled.Store(true)
		k.granted.revoke(l)
		go d.giveBack(l)
	})
	if err != nil {
		// EAGAIN: later, perhaps.
		d.refused.Store(errnoOf(err) != syscall.EAGAIN && context.Cause(t.context()) == nil)
		return nil
	}
	if loan.Return == nil {
		loan.Return = func() {}
	}
	l.loan = loan
	if loan.Offset != 0 || !answers(loan.FD, d.stream) || !d.handOver(l) {
		d.refused.Store(true)
		loan.Return()
		return nil
	}
	d.lent.Store(l)
	_ = l.setFlags(d.flags.Load()) // which may have changed since
	return l
}

// answers reports whether the host does what is asked of fd by itself, so that a
// process that uses it can always be killed: a regular file of a local file system,
// or for a stream a pipe or a socket.
func answers(fd int, stream bool) bool {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO, unix.S_IFSOCK:
		return stream
	case unix.S_IFREG:
		return !stream && unix.Fstatfs(fd, &fs) == nil && localTypes[uint64(fs.Type)]
	}
	return false
}

// localTypes are file systems that wait for nobody else (statfs(2)).
var localTypes = map[uint64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC: true, unix.RAMFS_MAGIC: true, unix.HUGETLBFS_MAGIC: true, unix.OVERLAYFS_SUPER_MAGIC: true,
	unix.SQUASHFS_MAGIC: true, unix.EROFS_SUPER_MAGIC_V1: true, unix.ISOFS_SUPER_MAGIC: true, unix.MSDOS_SUPER_MAGIC: true,
	unix.EXFAT_SUPER_MAGIC: true, unix.UDF_SUPER_MAGIC: true,
	0x2fc12fc1: true, 0xca451a4e: true, // ZFS, bcachefs
}

// handOver gives the host file d's offset and flags.
func (d *Description) handOver(l *lentFile) bool {
	if d.stream {
		return l.setFlags(d.flags.Load()) == nil
	}
	if _, err := unix.Seek(l.loan.FD, d.off, io.SeekStart); err != nil {
		return false
	}
	return l.setFlags(d.flags.Load()) == nil
}

// changeFlags changes d's status flags to those of flags in mask, also where they
// count for a lent file.
func (t *Task) changeFlags(d *Description, mask, flags uint32) error {
	d.setFlags(mask, flags)
	if d.lent.Load() == nil { // who makes it so looks at the flags afterwards
		return nil
	}
	if err := d.offset.lock(t); err != nil {
		return err
	}
	defer d.offset.unlock()
	if l := d.lent.Load(); l != nil {
		return l.setFlags(d.flags.Load())
	}
	return nil
}

// setFlags gives the host file the status flags of its description.
func (l *lentFile) setFlags(flags uint32) error {
	const kept = unix.O_APPEND | unix.O_NONBLOCK
	now, err := unix.FcntlInt(uintptr(l.loan.FD), unix.F_GETFL, 0)
	if err == nil && uint32(now)&kept != flags&kept {
		_, err = unix.FcntlInt(uintptr(l.loan.FD), unix.F_SETFL, int(uint32(now)&^kept|flags&kept))
	}
	return err
}

// takeBack ends the loan: from now on d's offset is POSIX's. d.offset is held. It
// waits until no process uses the file by itself any more, which only the task's
// end cuts short.
func (t *Task) takeBack(d *Description) error {
	l := d.lent.Load()
	l.recalled.Store(true)
	t.k.granted.revoke(l)
	if err := t.awaitDone(l.settled(t.wakeUp)); err != nil {
		return err
	}
	return d.returned(l)
}

// own takes d's file back if it is lent, for what processes must not do meanwhile.
func (t *Task) own(d *Description) error {
	if d.lent.Load() == nil {
		return nil
	}
	if err := d.offset.lock(t); err != nil {
		return err
	}
	defer d.offset.unlock()
	if d.lent.Load() == nil {
		return nil
	}
	return t.takeBack(d)
}

// giveBack is takeBack for the server, which has called l back.
func (d *Description) giveBack(l *lentFile) {
	if !d.tryRef() {
		return // its end gives it back
	}
	defer d.release()
	d.offset.lockAlone()
	defer d.offset.unlock()
	if d.lent.Load() == l {
		<-l.settled(func() {})
		_ = d.returned(l)
	}
}

// awaitDone waits for something that comes by itself, which tells the task so, unless
// the task is to end.
func (t *Task) awaitDone(done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
		}
		if err := t.sleepKillable(); err != nil {
			return err
		}
	}
}

// unhost has pipes back that processes use by themselves, for what only the server
// can do with them. An end may be nil.
func (t *Task) unhost(ends ...*pipe.End) error {
	for _, e := range ends {
		if e == nil {
			continue
		}
		if done := e.Unhost(t.wakeUp); done != nil {
			if err := t.awaitDone(done); err != nil {
				return err
			}
		}
	}
	return nil
}

// settled returns a channel that is closed when no process that was granted l
// uses it any more; then woken is called.
func (l *lentFile) settled(woken func()) <-chan struct{} {
	done := make(chan struct{})
	users := l.users()
	left := atomic.Int32{}
	left.Store(int32(len(users)) + 1)
	one := func() {
		if left.Add(-1) == 0 {
			close(done)
			woken()
		}
	}
	for _, s := range users {
		s.Settle(one)
	}
	one()
	return done
}

// returned gives l to its server, and d has its offset itself. d.offset is held.
func (d *Description) returned(l *lentFile) error {
	if !d.stream {
		off, err := unix.Seek(l.loan.FD, 0, io.SeekCurrent)
		if err != nil {
			return err
		}
		d.off = off
	}
	d.lent.Store(nil)
	l.loan.Return()
	return nil
}

// lockOffset locks the offset of x.d for x, which begins there: in the description
// or, if that is lent, in the host file.
func (t *Task) lockOffset(x *transfer) error {
	d := x.d
	if err := d.offset.lock(t); err != nil {
		return err
	}
	var err error
	if l := d.lent.Load(); l == nil {
		x.off = d.off
	} else if l.recalled.Load() {
		err = t.takeBack(d)
		x.off = d.off
	} else {
		x.lent = l
		x.off, err = l.Lseek(t.context(), 0, io.SeekCurrent)
	}
	if err != nil {
		d.offset.unlock()
	}
	return err
}

// lockOwnOffset is lockOffset for those who move the description's own.
func (t *Task) lockOwnOffset(x *transfer) error {
	err := t.lockOffset(x)
	if err != nil || x.lent == nil {
		return err
	}
	if err = t.takeBack(x.d); err != nil {
		x.d.offset.unlock()
		return err
	}
	x.lent, x.off = nil, x.d.off
	return nil
}

// ReadNext, WriteNext and Lseek are vfs.OffsetKeeper's, of the host.

func (l *lentFile) ReadNext(ctx context.Context, p []byte) (int, error) {
	n, err := cancel.Read(ctx, l.loan.FD, p)
	return max(n, 0), err
}

// unread goes back by n bytes, which the guest had no memory for.
func (l *lentFile) unread(n int) { _, _ = unix.Seek(l.loan.FD, -int64(n), io.SeekCurrent) }

func (l *lentFile) WriteNext(ctx context.Context, p []byte) (int, error) {
	n, err := cancel.Write(ctx, l.loan.FD, p)
	return max(n, 0), err
}

func (l *lentFile) Lseek(_ context.Context, off int64, whence int) (int64, error) {
	return unix.Seek(l.loan.FD, off, whence)
}
