package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// Client is a file system whose server is at the other end of a lane. Its methods
// may be called concurrently.
type Client struct {
	redialer[session, *session]
	fs      vfs.FS
	root    *node
	orphans orphans
	job     Job
}

// session is a client's lane to one server.
type session struct {
	talk
	client   *Client
	call     wire.Client
	nodes    knownNodes
	files    knownFiles
	settle   settler
	args     argTable
	loans    knownLoans
	prompt   atomic.Bool
	survives bool // what the server has is found again when it is started anew
}

// New makes a file system of a lane's end, whose other end [Serve] answers. It
// asks for the root; ctx may end that. When the lane ends, so does the file system.
func New(ctx context.Context, end *lane.Lane) (*Client, error) {
	return newClient(ctx, end, nil)
}

// Dial connects to the socket of a server (hati serve, or a [lane.Listener]).
func Dial(ctx context.Context, path string) (*Client, error) {
	end, err := DialerOf(path)(ctx)
	if err != nil {
		return nil, err
	}
	return New(ctx, end)
}

func newClient(ctx context.Context, end *lane.Lane, dial Dialer) (*Client, error) {
	c := new(Client)
	c.init(dial)
	c.redialer.reach, c.follow = c.reach, c.orphans.add
	s, rep, err := c.begin(ctx, end)
	if err != nil {
		c.leave(err)
		return nil, err
	}
	root, err := s.node(rep.Root)
	if err != nil {
		end.Close()
		c.leave(err)
		return nil, fmt.Errorf("remote: the server's root: %w", err)
	}
	c.root, _ = base(c, root)
	c.fs = plainFS{c}
	if rep.Bits&wire.FSStatfs != 0 {
		c.fs = statFS{plainFS{c}}
	}
	c.now.Store(s)
	return c, nil
}

// begin makes a session of a lane.
func (c *Client) begin(ctx context.Context, end *lane.Lane) (*session, *wire.RootReply, error) {
	s := &session{client: c, talk: talk{lane: end}, call: wire.Client{Lane: end}}
	config := Config("")
	config.Around = s.around
	end.Settle(config)
	s.settle.session = s
	s.nodes.byID, s.files.byID = map[uint64]*known{}, map[uint64]*pollFile{}
	if err := end.Handle(s.handle, lane.ServeOptions{}); err != nil {
		return nil, nil, fmt.Errorf("remote: %w", err)
	}
	rep := new(wire.RootReply)
	if err := s.outcome(s.call.Root(ctx, new(wire.Empty), rep, nil)); err != nil {
		end.Close()
		return nil, nil, fmt.Errorf("remote: the server's root: %w", err)
	}
	s.prompt.Store(rep.Bits&wire.FSPrompt != 0)
	s.settle.unordered = rep.Bits&wire.FSUnordered != 0
	s.survives = rep.Bits&wire.FSSurvives != 0 && c.dial != nil
	go func() {
		<-end.Done()
		s.files.wakeAll()
		s.loans.endAll()
		s.hangUp()
		if c.dial == nil {
			c.leave(vfs.ErrShutdown)
		}
	}()
	return s, rep, nil
}

// FS returns the file system.
func (c *Client) FS() vfs.FS { return c.fs }

// Done returns a channel that is closed when the file system has ended: by Close,
// or with the lane of [New] and [Dial], by whomever.
func (c *Client) Done() <-chan struct{} { return c.life.Done() }

type plainFS struct{ c *Client }

// Root returns the node that the server named when the lane began.
func (f plainFS) Root(ctx context.Context) (vfs.Node, error) {
	if f.c.dial == nil && f.c.now.Load().lane.Err() != nil {
		return nil, ErrGone
	}
	return f.c.root.self, nil
}

// Unmount ends the lane: nothing of the file system is in use any more.
func (f plainFS) Unmount(bool) { f.c.Close() }

type statFS struct{ plainFS }

// Statfs describes the server's file system.
func (f statFS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	c, err := f.c.session(ctx)
	if err == nil {
		err = c.settle.wait(ctx)
	}
	if err != nil {
		return vfs.Statfs{}, err
	}
	var rep wire.StatfsReply
	err = c.outcome(c.call.Statfs(ctx, new(wire.Empty), &rep, nil))
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
func (c *session) handle(ctx context.Context, r *lane.Request) error {
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
	case r.Op == wire.OpSignal && r.IsNote:
		var m wire.SignalNote
		if err := m.DecodeLane(r.Data, version); err != nil {
			return c.broken("%v", err)
		}
		c.signal(&m)
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
