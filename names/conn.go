package names

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names/internal/wire"
)

// Conn is a connection to a registry in another process. Its methods may be
// called concurrently.
type Conn struct {
	lane *lane.Lane
	ask  wire.Client

	mu       sync.Mutex
	services map[uint64]Service
	known    chan struct{} // closed and replaced when a number becomes known
}

// Dial connects to a registry that serves at path.
func Dial(ctx context.Context, path string) (*Conn, error) {
	l, err := lane.Dial(ctx, path, config())
	if err != nil {
		return nil, fmt.Errorf("names: %w", err) // it names the path
	}
	return NewConn(l)
}

// NewConn uses a lane whose other end is a registry's.
func NewConn(l *lane.Lane) (*Conn, error) {
	c := &Conn{lane: l, ask: wire.Client{Lane: l}, services: map[uint64]Service{}, known: make(chan struct{})}
	if err := l.Handle(wire.Handler(asked{c}), lane.ServeOptions{}); err != nil {
		l.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection, and with it what was registered over it.
func (c *Conn) Close() error { return c.lane.Close() }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.lane.Done() }

// Register implements Directory.
func (c *Conn) Register(ctx context.Context, name string, s Service) (*Registration, error) {
	if !Valid(name) {
		return nil, ErrName
	}
	q := wire.RegisterRequest{
		Name: name, Mode: uint32(s.Mode & fs.ModePerm), Shared: s.Shared, Replace: s.Replace, Recovers: s.Recovers,
		Protocol: s.Protocol.Name, Version: s.Protocol.Version, Oldest: s.Protocol.Oldest,
	}
	if s.GID != nil {
		q.GID, q.HasGID = *s.GID, true
	}
	var rep wire.RegisterReply
	if err := c.ask.Register(ctx, &q, &rep, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", name, named(err))
	}
	c.mu.Lock()
	c.services[rep.ID] = s
	close(c.known)
	c.known = make(chan struct{})
	c.mu.Unlock()
	return &Registration{withdraw: func() {
		c.mu.Lock()
		delete(c.services, rep.ID)
		c.mu.Unlock()
		// When the registry is gone, so is the name.
		_ = c.ask.Withdraw(context.Background(), &wire.WithdrawRequest{ID: rep.ID}, &wire.Nothing{}, nil)
	}}, nil
}

// Open implements Directory.
func (c *Conn) Open(ctx context.Context, name string, r Request) (Opened, error) {
	if !Valid(name) {
		return Opened{}, ErrUnknown
	}
	q := wire.OpenRequest{
		Name: name, Protocol: r.Protocol.Name, Version: r.Protocol.Version, Oldest: r.Protocol.Oldest,
		Caller: wire.Caller{UID: r.Caller.UID, GID: r.Caller.GID, PID: r.Caller.PID}, Session: r.Session,
	}
	var rep wire.OpenReply
	var x lane.Extra
	if err := c.ask.Open(ctx, &q, &rep, &x); err != nil {
		closeAll(x.Got)
		return Opened{}, named(err)
	}
	l, err := theLane(x.Got)
	if err != nil {
		return Opened{}, err
	}
	l.SetProtocol("service "+name, r.Protocol.Name, rep.Version)
	return Opened{l, rep.Session, rep.Recovers}, nil
}

// List implements Directory.
func (c *Conn) List(ctx context.Context, name string) ([]Info, error) {
	var all []Info
	q := wire.ListRequest{Name: name}
	for {
		var rep wire.ListReply
		if err := c.ask.List(ctx, &q, &rep, nil); err != nil {
			return nil, named(err)
		}
		for _, e := range rep.Entries {
			if !Valid(e.Name) || e.Name <= q.After && name == "" {
				return nil, ErrClosed // not a registry's answer
			}
			all = append(all, Info{
				Name: e.Name, Mode: fs.FileMode(e.Mode) & fs.ModePerm, UID: e.UID, GID: e.GID,
				Instances: int(min(e.Instances, math.MaxInt32)), Recovers: e.Recovers, Protocol: e.Protocol,
			})
			q.After = e.Name
		}
		if name != "" || len(rep.Entries) == 0 {
			return all, nil
		}
	}
}

// service returns what was registered under a number, which a client may use
// before Register has learnt it.
func (c *Conn) service(ctx context.Context, id uint64) (Service, error) {
	for {
		c.mu.Lock()
		s, ok := c.services[id]
		known := c.known
		c.mu.Unlock()
		if ok {
			return s, nil
		}
		select {
		case <-known:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}

// asked is what the registry may ask of a connection.
type asked struct{ *Conn }

// Accept implements wire.Server.
func (c asked) Accept(ctx context.Context, q *wire.AcceptRequest, _ *wire.Nothing, r *lane.Request) error {
	s, err := c.service(ctx, q.ID)
	if err != nil {
		return err
	}
	l, err := s.here(ctx, Opening{
		Name:   q.Name,
		Client: Client{UID: int(q.UID), GID: int(q.GID), PID: int(q.PID)},
		Caller: Caller{q.Caller.UID, q.Caller.GID, q.Caller.PID}, Session: q.Session, Again: q.Again,
	}, lane.Config{Name: "service " + q.Name, Protocol: s.Protocol.Name, Version: q.Version}, true)
	if err == nil {
		r.Reply.Objects = append(r.Reply.Objects, l)
	}
	return err
}

// Register, Withdraw, Open and List implement wire.Server: these are a registry's.
func (asked) Register(context.Context, *wire.RegisterRequest, *wire.RegisterReply, *lane.Request) error {
	return syscall.ENOSYS
}

func (asked) Withdraw(context.Context, *wire.WithdrawRequest, *wire.Nothing, *lane.Request) error {
	return syscall.ENOSYS
}

func (asked) Open(context.Context, *wire.OpenRequest, *wire.OpenReply, *lane.Request) error {
	return syscall.ENOSYS
}

func (asked) List(context.Context, *wire.ListRequest, *wire.ListReply, *lane.Request) error {
	return syscall.ENOSYS
}

// theLane returns the only object that came, which must be a lane.
func theLane(objects []lane.Object) (*lane.Lane, error) {
	if len(objects) == 1 {
		if l, ok := objects[0].(*lane.Lane); ok {
			return l, nil
		}
	}
	closeAll(objects)
	return nil, fmt.Errorf("names: no lane came: %w", syscall.EBADMSG)
}

func closeAll(objects []lane.Object) {
	for _, o := range objects {
		if o != nil {
			o.Close()
		}
	}
}

// named gives an error that came over a lane the name it has here.
func named(err error) error {
	for _, e := range []error{ErrName, ErrUnknown, ErrTaken, ErrForbidden, ErrProtocol} {
		var errno, own syscall.Errno
		if errors.As(e, &own) && errors.As(err, &errno) && errno == own {
			return e
		}
	}
	if errors.Is(err, lane.ErrPeerDied) || errors.Is(err, lane.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}
