package names

import (
	"context"
	"io/fs"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names/internal/wire"
)

// config is that of the lanes between a registry and its users.
func config() lane.Config {
	return lane.Config{
		// An opening that waits for its server holds a slot.
		Slots: 1024, Arena: 1 << 20,
		Protocol: wire.ProtocolName, Version: wire.ProtocolVersion, Oldest: wire.ProtocolOldest,
		Name: "names",
	}
}

// Listen makes a socket for Serve at path: who may write to it may connect, and
// then register and see names. A socket that a registry left which is gone is replaced.
func Listen(path string, perm fs.FileMode) (*lane.Listener, error) {
	return lane.ListenAnew(path, perm, config())
}

// Serve answers for the registry until ctx ends. What users of a lane have
// registered goes with the lane.
func (r *Registry) Serve(ctx context.Context, l *lane.Listener) error {
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	for {
		c, err := l.Accept(ctx)
		if err != nil {
			l.Close()
			return err
		}
		u := &user{registry: r, lane: c, held: map[uint64]*Registration{}}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		if err := c.Handle(wire.Handler(u), lane.ServeOptions{}); err != nil {
			stop()
			c.Close()
			continue
		}
		go func() {
			u.farewell()
			stop() // or ctx keeps the lane's memory
		}()
	}
}

// user is somebody at a lane.
type user struct {
	registry *Registry
	lane     *lane.Lane

	mu   sync.Mutex
	held map[uint64]*Registration // nil when it is gone
	last uint64
}

// farewell withdraws what a user has registered when it is gone.
func (u *user) farewell() {
	<-u.lane.Done()
	u.mu.Lock()
	held := u.held
	u.held = nil
	u.mu.Unlock()
	for _, g := range held {
		g.Close()
	}
}

func (u *user) who() Client {
	c, ok := u.lane.Peer()
	if !ok {
		return Client{UID: -1, GID: -1}
	}
	return c
}

// Register implements wire.Server.
func (u *user) Register(_ context.Context, q *wire.RegisterRequest, rep *wire.RegisterReply, _ *lane.Request) error {
	u.mu.Lock()
	u.last++
	id := u.last
	u.mu.Unlock()
	s := Service{
		Protocol: Protocol{q.Protocol, q.Version, q.Oldest}, Mode: fs.FileMode(q.Mode),
		Shared: q.Shared, Replace: q.Replace, Recovers: q.Recovers,
	}
	accept := func(ctx context.Context, o Opening, cfg lane.Config, _ bool) (*lane.Lane, error) {
		return u.accept(ctx, id, o, cfg)
	}
	if q.HasGID {
		s.GID = &q.GID
	}
	g, err := u.registry.register(u.who(), q.Name, s, accept)
	if err != nil {
		return err
	}
	u.mu.Lock()
	late := u.held == nil
	if !late {
		u.held[id] = g
	}
	u.mu.Unlock()
	if late {
		g.Close()
		return syscall.ECANCELED
	}
	rep.ID = id
	return nil
}

// accept has the server at the other end make a lane for a client.
func (u *user) accept(ctx context.Context, id uint64, o Opening, cfg lane.Config) (*lane.Lane, error) {
	q := wire.AcceptRequest{
		ID: id, Name: o.Name, Version: cfg.Version, UID: uint32(o.Client.UID), GID: uint32(o.Client.GID), PID: int32(o.Client.PID),
		Caller:  wire.Caller{UID: o.Caller.UID, GID: o.Caller.GID, PID: o.Caller.PID},
		Session: o.Session, Again: o.Again,
	}
	var x lane.Extra
	if err := (wire.Client{Lane: u.lane}).Accept(ctx, &q, &wire.Nothing{}, &x); err != nil {
		closeAll(x.Got)
		return nil, err
	}
	l, err := theLane(x.Got)
	if err == nil {
		l.SetProtocol(cfg.Name, cfg.Protocol, cfg.Version)
	}
	return l, err
}

// Withdraw implements wire.Server.
func (u *user) Withdraw(_ context.Context, q *wire.WithdrawRequest, _ *wire.Nothing, _ *lane.Request) error {
	u.mu.Lock()
	g := u.held[q.ID]
	delete(u.held, q.ID)
	u.mu.Unlock()
	if g == nil {
		return syscall.ENOENT
	}
	g.Close()
	return nil
}

// Open implements wire.Server.
func (u *user) Open(ctx context.Context, q *wire.OpenRequest, rep *wire.OpenReply, r *lane.Request) error {
	o, err := u.registry.open(ctx, u.who(), q.Name, Request{
		Protocol: Protocol{q.Protocol, q.Version, q.Oldest},
		Caller:   Caller{q.Caller.UID, q.Caller.GID, q.Caller.PID}, Session: q.Session,
	}, true)
	if err != nil {
		return err
	}
	*rep = wire.OpenReply{Session: o.Session, Version: o.Lane.Version(), Recovers: o.Recovers}
	r.Reply.Objects = append(r.Reply.Objects, o.Lane)
	return nil
}

// List implements wire.Server.
func (u *user) List(ctx context.Context, q *wire.ListRequest, rep *wire.ListReply, _ *lane.Request) error {
	all, err := u.registry.List(ctx, q.Name)
	if err != nil {
		return err
	}
	for _, i := range all {
		if q.Name == "" && i.Name <= q.After {
			continue
		}
		rep.Entries = append(rep.Entries, wire.Entry{
			Name: i.Name, Mode: uint32(i.Mode), UID: i.UID, GID: i.GID,
			Instances: uint32(i.Instances), Recovers: i.Recovers, Protocol: i.Protocol,
		})
		if len(rep.Entries) == page {
			break
		}
	}
	return nil
}

// page is how many services one reply has room for.
const page = 5

// Accept implements wire.Server: nobody asks a registry that.
func (u *user) Accept(context.Context, *wire.AcceptRequest, *wire.Nothing, *lane.Request) error {
	return syscall.ENOSYS
}
