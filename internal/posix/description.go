package posix

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// statusFlags are the open flags that fcntl's F_SETFL can change; F_GETFL shows
// them, the access mode and a few that stay as they were at open.
const (
	statusFlags = unix.O_APPEND | unix.O_NONBLOCK | unix.O_ASYNC | unix.O_DIRECT | unix.O_NOATIME
	keptFlags   = unix.O_ACCMODE | statusFlags | unix.O_DSYNC | unix.O_SYNC | largeFile |
		unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_PATH | unix.O_TMPFILE
)

// Description is an open file description. It ends with its last reference:
// those of descriptors, of messages on their way, and of calls under way.
type Description struct {
	file vfs.File
	path Path
	id   uint64 // owner of locks

	// What the file can do.
	reader   vfs.Reader
	writer   vfs.Writer
	appender vfs.Appender
	poll     vfs.Pollable
	keeper   vfs.OffsetKeeper
	lender   vfs.Lender
	tty      vfs.Terminal
	sock     *socket
	net      *netSocket
	stream   bool // no offsets
	isPath   bool // opened with O_PATH
	isNew    bool // the open has made the file

	refs   atomic.Int64
	flags  atomic.Uint32             // the keptFlags
	locks  atomic.Pointer[lockTable] // where it has, or had, locks of its own
	tidied atomic.Bool               // set-id bits were looked after (see dropSetID)

	transfers atomic.Uint32            // by the server; see Task.used
	lent      atomic.Pointer[lentFile] // changes under offset
	refused   atomic.Bool              // the server lends nothing

	offset offsetLock // orders the users of off
	off    int64

	mu      sync.Mutex              // a leaf; guards the rest
	owner   fileOwner               // F_SETOWN
	watched map[*epollItem]struct{} // the epoll items of it
}

// fileOwner is who gets signals about a description.
type fileOwner struct {
	kind   int // ownerTID, ownerPID or ownerPGRP
	id     int
	signal int // F_SETSIG: 0 is SIGIO
	creds  *Creds
	waiter *vfs.Waiter // while O_ASYNC is on
	urgent *vfs.Waiter // of a network's socket, while there is an owner
}

// lastOwner makes descriptions and descriptor tables distinct owners of locks.
var lastOwner atomic.Uint64

// newDescription returns a description with one reference. flags are open(2)'s.
func newDescription(f vfs.File, p Path, flags int) *Description {
	d := &Description{file: f, path: p, id: lastOwner.Add(1)}
	if p.d != nil {
		p.d.opens.Add(1)
		p.d.mount.opens.Add(1)
	}
	d.refs.Store(1)
	d.flags.Store(uint32(flags & keptFlags))
	if flags&unix.O_PATH != 0 {
		d.isPath = true
		return d
	}
	d.reader, _ = f.(vfs.Reader)
	d.writer, _ = f.(vfs.Writer)
	d.appender, _ = f.(vfs.Appender)
	d.poll, _ = f.(vfs.Pollable)
	d.keeper, _ = f.(vfs.OffsetKeeper)
	d.lender, _ = f.(vfs.Lender)
	d.tty, _ = f.(vfs.Terminal)
	d.sock, _ = f.(*socket)
	d.net, _ = f.(*netSocket)
	d.stream = vfs.IsStream(f)
	return d
}

// accessMode returns O_RDONLY, O_WRONLY or O_RDWR.
func (d *Description) accessMode() int { return int(d.flags.Load() & unix.O_ACCMODE) }

func (d *Description) canRead() bool {
	m := d.accessMode()
	return m == unix.O_RDONLY || m == unix.O_RDWR
}

func (d *Description) canWrite() bool {
	m := d.accessMode()
	return m == unix.O_WRONLY || m == unix.O_RDWR
}

func (d *Description) nonblocking() bool { return d.flags.Load()&unix.O_NONBLOCK != 0 }

// position returns the offset, for /proc.
func (d *Description) position() int64 {
	if d.stream || d.keeper != nil {
		return 0
	}
	if l := d.lent.Load(); l != nil {
		off, _ := l.Lseek(context.Background(), 0, unix.SEEK_CUR)
		return off
	}
	return d.off
}

// setFlags changes the flags of mask to those in flags.
func (d *Description) setFlags(mask, flags uint32) {
	for {
		old := d.flags.Load()
		if d.flags.CompareAndSwap(old, old&^mask|flags&mask) {
			return
		}
	}
}

// ref adds a reference to a description that has one.
func (d *Description) ref() *Description {
	d.refs.Add(1)
	return d
}

// tryRef adds a reference unless the last one is gone.
func (d *Description) tryRef() bool {
	for {
		n := d.refs.Load()
		if n == 0 {
			return false
		}
		if d.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back; the last one closes the file.
func (d *Description) release() { d.releaseErr() }

func (d *Description) releaseErr() error {
	if d.refs.Add(-1) != 0 {
		return nil
	}
	d.closed()
	if d.path.d != nil {
		defer d.path.d.mount.closed()
	}
	if d.isPath {
		return nil
	}
	d.endAsync()
	d.unwatchFor(&d.owner.urgent)
	d.unwatch()
	if l := d.locks.Load(); l != nil {
		l.release(d, d.id)
	}
	if l := d.lent.Load(); l != nil {
		l.loan.Return()
	}
	return d.file.Close()
}

// installFile gives a file that has no name a descriptor. flags are open(2)'s:
// access mode, O_NONBLOCK, O_CLOEXEC. name is what /proc/self/fd shows. The
// file is closed if that fails (EMFILE).
func (t *Task) installFile(f vfs.File, flags int, name string) (int, error) {
	fd, err := t.reserveFD(flags&unix.O_CLOEXEC != 0)
	if err != nil {
		f.Close()
		return -1, err
	}
	t.fds.install(fd, newDescription(f, anonymous(f.Node(), name), flags))
	return fd, nil
}

// installDescription gives d, whose reference it takes over, a descriptor.
func (t *Task) installDescription(d *Description, cloexec bool) (int, error) {
	fd, err := t.reserveFD(cloexec)
	if err != nil {
		d.release()
		return -1, err
	}
	t.fds.install(fd, d)
	return fd, nil
}

func (t *Task) reserveFD(cloexec bool) (int, error) {
	return t.fds.reserve(0, t.proc.limit(unix.RLIMIT_NOFILE), cloexec)
}

// closeFD is close(2).
func (t *Task) closeFD(fd int) error {
	d, err := t.fds.remove(fd)
	if err != nil {
		return err
	}
	return t.fds.closed(t, d)
}

// closeGrace is how long a server may take over what the end of a process or of
// a description brings, for which nobody waits.
const closeGrace = time.Second

// closeContext is the context for what a server does at close; t is nil when no
// call waits for it.
func closeContext(t *Task) (context.Context, context.CancelFunc) {
	if t != nil {
		return t.context(), func() {}
	}
	return context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrCallerDied)
}

// offsetLock is a lock whose waiters can be killed: its holder may be waiting
// for a server.
type offsetLock struct {
	state atomic.Int32 // 0 free, 1 held, 2 held and perhaps waited for
	queue vfs.Queue
}

func (l *offsetLock) lock(t *Task) error {
	if l.state.CompareAndSwap(0, 1) {
		return nil
	}
	w := vfs.Waiter{Mask: vfs.EventIn, Wake: func(*vfs.Waiter, vfs.Events) { t.wakeUp() }}
	l.queue.Watch(&w)
	defer l.queue.Unwatch(&w)
	for l.state.Swap(2) != 0 {
		if err := t.sleepKillable(); err != nil {
			return err
		}
	}
	return nil
}

// lockAlone is lock for no task. What holds the lock ends by itself.
func (l *offsetLock) lockAlone() {
	woken := make(chan struct{}, 1)
	w := vfs.Waiter{Mask: vfs.EventIn, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}}
	l.queue.Watch(&w)
	defer l.queue.Unwatch(&w)
	for l.state.Swap(2) != 0 {
		<-woken
	}
}

func (l *offsetLock) unlock() {
	if l.state.Swap(0) == 2 {
		l.queue.Notify(vfs.EventIn)
	}
}

// pathFile is what a descriptor made with O_PATH has for a file.
type pathFile struct{ n vfs.Node }

func (p pathFile) Node() vfs.Node { return p.n }
func (p pathFile) Close() error   { return nil }

// awaitReady waits until d may be ready, for a call that got EAGAIN from its
// file.
func (t *Task) awaitReady(d *Description, events vfs.Events) error {
	if d.poll == nil {
		return syscall.EAGAIN
	}
	return t.await(d.file, events, time.Time{})
}
