package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// Client is one end of a lane whose other end is a file system. Its methods may
// be called concurrently.
type Client struct {
	lane   *lane.Lane
	call   wire.Client
	fs     vfs.FS
	root   vfs.Node
	nodes  knownNodes
	files  knownFiles
	settle settler
	args   argTable
	loans  knownLoans
	breach errorOnce
}

// New makes a file system of a lane's end, whose other end [Serve] answers. It
// asks for the root; ctx may end that.
func New(ctx context.Context, end *lane.Lane) (*Client, error) {
	end.Settle(Config(""))
	c := &Client{lane: end, call: wire.Client{Lane: end}}
	c.settle.client = c
	c.nodes.byID, c.files.byID = map[uint64]*known{}, map[uint64]*pollFile{}
	if err := end.Handle(c.handle, lane.ServeOptions{}); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	var rep wire.RootReply
	err := c.outcome(c.call.Root(ctx, new(wire.Empty), &rep, nil))
	if err == nil {
		c.root, err = c.node(rep.Root)
	}
	if err != nil {
		end.Close()
		return nil, fmt.Errorf("remote: the server's root: %w", err)
	}
	c.settle.unordered = rep.Bits&wire.FSUnordered != 0
	c.fs = plainFS{c}
	if rep.Bits&wire.FSStatfs != 0 {
		c.fs = statFS{plainFS{c}}
	}
	go func() {
		<-end.Done()
		c.files.wakeAll()
	}()
	return c, nil
}

// Dial connects to the socket of a server (hati serve, or a [lane.Listener]).
func Dial(ctx context.Context, path string) (*Client, error) {
	end, err := lane.Dial(ctx, path, Config(path))
	if err != nil {
		return nil, err
	}
	return New(ctx, end)
}

// FS returns the file system.
func (c *Client) FS() vfs.FS { return c.fs }

// Close ends the lane: the server closes all files and releases all locks.
func (c *Client) Close() error { return c.lane.Close() }

// Done returns a channel that is closed when the lane has ended, by whomever.
func (c *Client) Done() <-chan struct{} { return c.lane.Done() }

// Err says why the lane has ended; nil before.
func (c *Client) Err() error {
	if e := c.breach.Load(); e != nil {
		return *e
	}
	return c.lane.Err()
}

// Pending lists the requests under way.
func (c *Client) Pending() []lane.Operation { return c.lane.Pending() }

// broken ends the lane to a server that answered what no honest one does. The
// request has done something, but what cannot be told.
func (c *Client) broken(format string, args ...any) error {
	err := fmt.Errorf("remote: the server broke the protocol: "+format, args...)
	if c.breach.set(err) {
		c.lane.Close()
	}
	return &doubt{err.Error()}
}

type plainFS struct{ c *Client }

// Root returns the node that the server named when the lane began.
func (f plainFS) Root(ctx context.Context) (vfs.Node, error) {
	if f.c.lane.Err() != nil {
		return nil, ErrGone
	}
	return f.c.root, nil
}

// Unmount ends the lane: nothing of the file system is in use any more.
func (f plainFS) Unmount(bool) { f.c.Close() }

type statFS struct{ plainFS }

// Statfs describes the server's file system.
func (f statFS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	if err := f.c.settle.wait(ctx); err != nil {
		return vfs.Statfs{}, err
	}
	var rep wire.StatfsReply
	err := f.c.outcome(f.c.call.Statfs(ctx, new(wire.Empty), &rep, nil))
	return vfs.Statfs(rep), err
}

// argTable holds the arguments of ioctls under way, which the server may read and
// write.
type argTable struct {
	mu   sync.Mutex // a leaf
	last uint64
	args map[uint64]*userMemory
}

type userMemory struct {
	mu  sync.Mutex // held while the server's call uses arg
	arg vfs.IoctlArg
}

func (t *argTable) add(a vfs.IoctlArg) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.args == nil {
		t.args = map[uint64]*userMemory{}
	}
	t.last++
	t.args[t.last] = &userMemory{arg: a}
	return t.last
}

// remove returns when nobody uses the argument any more.
func (t *argTable) remove(token uint64) {
	t.mu.Lock()
	u := t.args[token]
	delete(t.args, token)
	t.mu.Unlock()
	u.mu.Lock()
	u.arg = nil
	u.mu.Unlock()
}

func (t *argTable) with(token uint64, f func(vfs.IoctlArg) error) error {
	t.mu.Lock()
	u := t.args[token]
	t.mu.Unlock()
	if u == nil {
		return syscall.EFAULT
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.arg == nil {
		return syscall.EFAULT
	}
	return f(u.arg)
}

// handle answers the server: its notes, and its questions about an ioctl.
func (c *Client) handle(ctx context.Context, r *lane.Request) error {
	version := c.lane.Version()
	const userSize = 20
	if !r.IsNote && len(r.Data) == userSize+callerSize {
		r.Data = r.Data[:userSize] // who it is for is known by the token
	}
	switch {
	case r.Op == wire.OpReady && r.IsNote:
		var m wire.ReadyNote
		if err := m.DecodeLane(r.Data, version); err != nil {
			return c.broken("%v", err)
		}
		c.files.ready(&m)
		return nil
	case r.Op == wire.OpRecall && r.IsNote:
		var m wire.RecallNote
		if err := m.DecodeLane(r.Data, version); err != nil {
			return c.broken("%v", err)
		}
		if !c.loans.recall(m.Loan) {
			return c.broken("loan %d was recalled and never given", m.Loan)
		}
		return nil
	case (r.Op == wire.OpUserRead || r.Op == wire.OpUserWrite) && !r.IsNote:
		var m wire.UserRequest
		if err := m.DecodeLane(r.Data, version); err != nil {
			return syscall.EBADMSG
		}
		return c.args.with(m.Token, func(a vfs.IoctlArg) error {
			if r.Op == wire.OpUserWrite {
				return a.WriteAt(r.Bulk, int(m.Off))
			}
			room := r.Room(int(m.Size))
			if len(room) < int(m.Size) {
				return syscall.E2BIG
			}
			err := a.ReadAt(room, int(m.Off))
			if err == nil {
				r.Reply.Bulk = room
			}
			return err
		})
	}
	return syscall.ENOSYS
}

// done is true for errors that are answers, not outcomes: the request came back.
func answered(err error) bool {
	var e syscall.Errno
	return err == nil || errors.As(err, &e) && !errors.Is(err, ErrGone)
}
