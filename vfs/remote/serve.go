package remote

import (
	"context"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// ServeOptions bound what one client can have. The zero ServeOptions are usable.
type ServeOptions struct {
	// MaxNodes and MaxFiles are what a client can hold at a time (ENFILE beyond);
	// 0 means 1,000,000 and 65,536.
	MaxNodes, MaxFiles int
	// Concurrency bounds the requests that are worked on at a time; 0 means as many
	// as the lane has slots.
	Concurrency int
	// Inline answers each request where it is found, without a goroutine: for
	// servers none of whose methods ever waits.
	Inline bool
	// SharedWrites gives Write the client's own shared memory, which the client may
	// change meanwhile: for servers that read each byte once and trust none.
	SharedWrites bool
	// Unordered says that opens, removals and renames need not wait for the closes
	// before them: for files that do not care who else has them open.
	Unordered bool
	// Survives says that when the server is started anew, its files are the same: a
	// file in the same place has the same device, number and time of birth, and the
	// cookies of directories still hold. See [Redial].
	Survives bool
	// Prompt says that nothing but a lock waits for others: what is served lies on a disk,
	// or in memory. Then handled signals end no call, as on Linux, unless the server does
	// not answer for a second.
	Prompt bool
	// NoLend has every read and write ask the server, also where it could lend the
	// host file behind an open file (vfs.Lender), which it cannot take back by force.
	NoLend bool
	// Terminals, if it is what the server's terminals have for processes, tells
	// clients of their signals.
	Terminals *Terminals
	// Log hears why a lane was ended because its client broke the protocol.
	Log func(format string, args ...any)
}

// Serve answers for fs at one end of a lane, made with [Config] or settled so
// ([lane.Lane.Settle]), until the lane or ctx ends. Then
// what is under way is cancelled, and when it has returned, the client's files
// are closed and its locks released. It returns why it ended: nil when the
// client has gone.
func Serve(ctx context.Context, end *lane.Lane, fs vfs.FS, o ServeOptions) error {
	c := newConn(end, fs, o)
	return c.run(ctx, c.handler(), c.serveOptions(), c.finish)
}

// ServeListener answers for fs at every lane that l accepts, until ctx ends.
func ServeListener(ctx context.Context, l *lane.Listener, fs vfs.FS, o ServeOptions) error {
	return serveAll(ctx, l, o.Log, func(end *lane.Lane) error { return Serve(ctx, end, fs, o) })
}

// conn is what a server has of one client.
type conn struct {
	answering
	fs    vfs.FS
	opts  ServeOptions
	nodes nodeTable
	files fileTable
	locks ownerTable
	loans loanTable

	signals atomic.Int32 // notes that are owed
}

func newConn(end *lane.Lane, fs vfs.FS, o ServeOptions) *conn {
	if o.MaxNodes <= 0 {
		o.MaxNodes = 1_000_000
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = 65_536
	}
	c := &conn{fs: fs, opts: o, files: fileTable{byID: map[uint64]*openFile{}, max: o.MaxFiles}}
	c.nodes.clear(o.MaxNodes)
	if o.Terminals != nil {
		c.nodes.left = func(l lineNode) { o.Terminals.leave(l.Line, c) }
	}
	c.locks.seed = maphash.MakeSeed()
	c.answering.init(end)
	c.files.loans = &c.loans
	return c
}

func (c *conn) serveOptions() lane.ServeOptions {
	return lane.ServeOptions{Concurrency: c.opts.Concurrency, Inline: c.opts.Inline, SharedBulk: c.opts.SharedWrites}
}

func (c *conn) handler() lane.Handler { return c.around(wire.Handler(c)) }

// finish gives back all that the client had.
func (c *conn) finish() {
	c.stop()
	c.files.end()
	c.work.Wait()
	c.loans.endAll()
	c.locks.release(c)
	c.nodes.clear(0)
}

// node returns the node that a request names.
func (c *conn) node(id uint64) (vfs.Node, error) {
	n, known := c.nodes.get(id)
	switch {
	case !known:
		return nil, c.broken("node %d was never given out", id)
	case n == nil:
		return nil, syscall.ESTALE // forgotten, by a request that was abandoned
	}
	return n, nil
}

// file returns the open file that a request names; it ends with files.put.
func (c *conn) file(id uint64) (*openFile, error) {
	f, known := c.files.get(id)
	switch {
	case !known:
		return nil, c.broken("file %d was never given out", id)
	case f == nil:
		return nil, syscall.EBADF
	}
	return f, nil
}

func (f *openFile) mayRead() error {
	if f.flags&unix.O_ACCMODE == unix.O_WRONLY {
		return syscall.EBADF
	}
	return nil
}

func (f *openFile) mayWrite() error {
	if f.flags&unix.O_ACCMODE == unix.O_RDONLY {
		return syscall.EBADF
	}
	return nil
}

// name checks a name of a directory: no server is ever asked for "..".
func (c *conn) name(s string) error {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00") {
		return c.broken("%q is no name", s)
	}
	return nil
}

// tell gives the client a node with the reply.
func (c *conn) tell(ctx context.Context, r *lane.Request, n vfs.Node) (wire.Node, error) {
	w, first, err := c.nodes.tell(n)
	if err != nil {
		return w, err
	}
	r.OnUndelivered(func() { c.nodes.forget(w.ID, 1) })
	if first && c.opts.Survives {
		if a, err := n.Stat(ctx); err == nil { // else it is not found again
			w.Dev, w.Ino, w.BornSec, w.BornNsec = a.Dev, a.Ino, a.Btime.Sec, a.Btime.Nsec
			c.nodes.identify(w)
		}
	}
	return w, nil
}

// give gives the client an open file with the reply.
func (c *conn) give(r *lane.Request, f vfs.File, flags int) (wire.File, error) {
	o, err := c.files.add(f, flags)
	if err != nil {
		f.Close()
		return wire.File{}, err
	}
	r.OnUndelivered(func() { c.files.remove(o.id) })
	bits := fileBits(f)
	if c.opts.NoLend {
		bits &^= wire.FileLender
	}
	return wire.File{ID: o.id, Bits: bits}, nil
}

func fileBits(f vfs.File) (bits uint32) {
	set := func(ok bool, bit uint32) {
		if ok {
			bits |= bit
		}
	}
	_, dir := f.(vfs.DirReader)
	_, keeper := f.(vfs.OffsetKeeper)
	_, poll := f.(vfs.Pollable)
	_, mapper := f.(vfs.Mapper)
	_, flusher := f.(vfs.Flusher)
	_, ioctl := f.(vfs.Ioctler)
	_, locker := f.(vfs.Locker)
	m, message := f.(vfs.Messenger)
	_, lender := f.(vfs.Lender)
	set(dir, wire.FileDir)
	set(vfs.IsStream(f), wire.FileStream)
	set(keeper, wire.FileKeeper)
	set(poll, wire.FilePollable)
	set(mapper, wire.FileMapper)
	set(flusher, wire.FileFlusher)
	set(ioctl, wire.FileIoctler)
	set(locker, wire.FileLocker)
	set(lender, wire.FileLender)
	set(message && m.Message(), wire.FileMessage)
	t, terminal := f.(vfs.Terminal)
	set(terminal, wire.FileTerminal)
	set(terminal && t.IsMaster(), wire.FileMaster)
	_, asks := f.(vfs.Poller)
	set(asks, wire.FilePoller)
	s, shares := f.(vfs.LockSharer)
	set(shares && s.SharedLocks() != nil, wire.FileSharer)
	return bits
}
