package remote

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
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
	if err := end.Handle(c.handler(), c.serveOptions()); err != nil {
		return err
	}
	select {
	case <-end.Done():
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		end.Shutdown(grace)
		cancel()
	}
	c.finish()
	switch {
	case c.breach.Load() != nil:
		return *c.breach.Load()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(end.Err(), lane.ErrPeerDied):
		return nil
	}
	return end.Err()
}

// ServeListener answers for fs at every lane that l accepts, until ctx ends.
func ServeListener(ctx context.Context, l *lane.Listener, fs vfs.FS, o ServeOptions) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	for {
		end, err := l.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		wg.Go(func() {
			if err := Serve(ctx, end, fs, o); err != nil && ctx.Err() == nil && o.Log != nil {
				o.Log("a client's lane ended: %v", err)
			}
		})
	}
}

// conn is what a server has of one client.
type conn struct {
	end   *lane.Lane
	fs    vfs.FS
	opts  ServeOptions
	nodes nodeTable
	files fileTable
	locks ownerTable
	ready notifier
	loans loanTable
	gone  context.Context // ends with the lane
	leave context.CancelCauseFunc
	work  sync.WaitGroup // requests under way

	breach errorOnce
	ending sync.Mutex
	ended  bool
}

func newConn(end *lane.Lane, fs vfs.FS, o ServeOptions) *conn {
	if o.MaxNodes <= 0 {
		o.MaxNodes = 1_000_000
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = 65_536
	}
	c := &conn{end: end, fs: fs, opts: o, files: fileTable{byID: map[uint64]*openFile{}, max: o.MaxFiles}}
	c.nodes.clear(o.MaxNodes)
	c.locks.seed = maphash.MakeSeed()
	c.gone, c.leave = context.WithCancelCause(context.Background())
	c.ready.conn = c
	c.files.loans = &c.loans
	return c
}

func (c *conn) serveOptions() lane.ServeOptions {
	return lane.ServeOptions{Concurrency: c.opts.Concurrency, Inline: c.opts.Inline, SharedBulk: c.opts.SharedWrites}
}

// handler is the protocol's handler, with what concerns all operations.
func (c *conn) handler() lane.Handler {
	h := wire.Handler(c)
	return func(ctx context.Context, r *lane.Request) error {
		if !c.begin() {
			return vfs.ErrCallerDied
		}
		defer c.work.Done()
		if !r.IsNote {
			var ok bool
			if ctx, ok = takeCaller(ctx, &r.Data); !ok {
				return c.broken("a call without a caller")
			}
		}
		err := h(ctx, r)
		if err == nil {
			return nil
		}
		var e syscall.Errno
		switch {
		case errors.Is(err, vfs.ErrInDoubt):
			return fmt.Errorf("%w: %v", lane.ErrInDoubt, err) // of a server behind this one
		case errors.As(err, &e):
			return goodErrno(e)
		}
		return err
	}
}

// goodErrno is EIO for numbers that no caller may get from a server: none, an
// interruption that nobody sent, the kernel's own.
func goodErrno(e syscall.Errno) syscall.Errno {
	if e == 0 || e == syscall.EINTR || e >= 512 {
		return syscall.EIO
	}
	return e
}

func (c *conn) begin() bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	if c.ended {
		return false
	}
	c.work.Add(1)
	return true
}

// finish gives back all that the client had.
func (c *conn) finish() {
	c.leave(vfs.ErrCallerDied)
	c.ending.Lock()
	c.ended = true
	c.ending.Unlock()
	c.files.end()
	c.work.Wait()
	c.loans.endAll()
	c.locks.release(c)
	c.nodes.clear(0)
}

// errBroken ends a request whose lane is being ended.
var errBroken = fmt.Errorf("remote: the client broke the protocol: %w", syscall.EPROTO)

// broken ends the lane of a client that did what no honest one does.
func (c *conn) broken(format string, args ...any) error {
	err := fmt.Errorf("remote: the client broke the protocol: "+format, args...)
	if c.breach.set(err) {
		go c.end.Close() // which waits for nobody, but may call back
	}
	return errBroken
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
func (c *conn) tell(r *lane.Request, n vfs.Node) (wire.Node, error) {
	w, err := c.nodes.tell(n)
	if err == nil {
		r.OnUndelivered(func() { c.nodes.forget(w.ID, 1) })
	}
	return w, err
}

// give gives the client an open file with the reply.
func (c *conn) give(r *lane.Request, f vfs.File, flags int) (wire.File, error) {
	o, err := c.files.add(f, flags)
	if err != nil {
		f.Close()
		return wire.File{}, err
	}
	r.OnUndelivered(func() { c.files.remove(o.id) })
	return wire.File{ID: o.id, Bits: fileBits(f)}, nil
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
	return bits
}
